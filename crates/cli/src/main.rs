//! The `countersign` program.

mod admin_key_file;
mod args;
mod argument_fault;
mod client;
mod command_log;
mod completion;
mod config;
mod confirm;
mod dialect;
mod exit;
mod operator;
mod output;
mod output_file;
mod sandbox;
mod serve;
mod sidecar;
mod table;
mod text;
mod version;

use std::process::ExitCode;

/// Gives memory back: the system's keeps the 19 MiB that a password hash needs
/// once in each of its arenas, for ever.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use args::{Args, Command};
use exit::Failure;
use output::Output;
use rustix::process::{Resource, Rlimit, setrlimit};

fn main() -> ExitCode {
    leave_no_core_dumps();
    let words: Vec<_> = std::env::args_os().collect();
    let args = match args::parse(&words) {
        Ok(args) => args,
        Err(code) => return code,
    };
    let mut output = Output::new(args.json, args.verbosity());
    if !matches!(args.command, Command::Serve(_) | Command::Sidecar(_)) {
        command_log::show(&output);
    }
    let outcome = run(&args, &mut output);
    exit::report(outcome, &output)
}

/// Nearly every command has a key, a secret or a token in memory, which a core dump would
/// contain in plaintext. The command that `exec` starts is given a token too.
fn leave_no_core_dumps() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // Lowering a limit is always allowed.
    let _ = setrlimit(Resource::Core, none);
}

fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    match &args.command {
        Command::Serve(args) => serve::run(args, output),
        Command::Login(args) => client::login(args, output),
        Command::Token(args) => client::token(args, output),
        Command::Request(args) => client::request(args, output),
        Command::Exec(args) => client::exec(args, output),
        Command::Status(args) => client::status(args, output),
        Command::Logout(args) => client::logout(args, output),
        Command::Doctor(args) => client::doctor(args, output),
        Command::Sidecar(args) => sidecar::run(args, output),
        Command::Account(args) => operator::account(args, output),
        Command::Credential(args) => operator::credential(args, output),
        Command::Session(args) => operator::session(args, output),
        Command::Explain(args) => operator::explain(args, output),
        Command::Api(args) => operator::api(args, output),
        Command::Key(args) => operator::key(args, output),
        Command::AdminKey(args) => operator::admin_key(args, output),
        Command::Store(args) => operator::store(args, output),
        Command::Audit(args) => operator::audit(args, output),
        Command::Dialect(command) => dialect::run(command, output),
        Command::Config(command) => config::run(command, output),
        Command::Sandbox(args) => sandbox::run(args, output),
        Command::Completion(args) => completion::run(args, output),
        Command::Version => version::run(output),
    }
}
