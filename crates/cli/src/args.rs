//! The command line: its syntax. Each command knows what its arguments mean.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};

use crate::argument_fault::ArgumentFault;
use crate::client::{
    DoctorArgs, ExecArgs, LoginArgs, LogoutArgs, RequestArgs, StatusArgs, TokenArgs,
};
use crate::completion::CompletionArgs;
use crate::config::ConfigCommand;
use crate::dialect::DialectCommand;
use crate::exit::{self, Failure};
use crate::operator::{
    AccountArgs, AdminKeyArgs, ApiArgs, AuditArgs, CredentialArgs, ExplainArgs, KeyArgs,
    SessionArgs, StoreArgs,
};
use crate::output::{Output, Verbosity};
use crate::sandbox::SandboxArgs;
use crate::serve::ServeArgs;
use crate::sidecar::SidecarArgs;
use crate::version;

/// Login, access and refresh tokens for B2B APIs, in the wire format of any vendor
#[derive(Debug, Parser)]
#[command(
    name = "countersign",
    version,
    after_help = "Examples:
  countersign serve --demo
  countersign account create --api mypopup --allow 192.0.2.0/24
  countersign dialect show apirone
  countersign login b2binpay
  countersign request b2binpay GET /deposit/

Exit codes: 0 done, 1 failed, 64 usage or configuration, 69 unavailable, 77 refused."
)]
pub(crate) struct Args {
    /// Print one JSON document
    #[arg(long, global = true, display_order = 900)]
    pub(crate) json: bool,
    /// Print the requests to a vendor and its answers to standard error, without secrets; as a
    /// server, log more
    #[arg(
        short,
        long,
        global = true,
        conflicts_with = "quiet",
        display_order = 900
    )]
    pub(crate) verbose: bool,
    /// Print only errors to standard error; as a server, log only warnings
    #[arg(short, long, global = true, display_order = 900)]
    pub(crate) quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the configured apis
    Serve(ServeArgs),
    /// Log in at a vendor, and store the tokens
    Login(LoginArgs),
    /// Print a fresh access token
    Token(TokenArgs),
    /// Send a request with a fresh access token
    Request(RequestArgs),
    /// Run a command with a fresh access token in its environment
    Exec(ExecArgs),
    /// Show where secrets and tokens are stored, and the state of the tokens
    Status(StatusArgs),
    /// End the session at a vendor
    Logout(LogoutArgs),
    /// Find out why there is no token
    Doctor(DoctorArgs),
    /// Forward plain HTTP from programs on this machine to vendors, with fresh tokens
    Sidecar(SidecarArgs),
    /// Manage accounts: the partners of an api
    Account(AccountArgs),
    /// Manage credentials: the logins and secrets of an account
    Credential(CredentialArgs),
    /// Manage sessions: each begins with a login and lasts through its refreshes
    Session(SessionArgs),
    /// Explain why a partner is refused
    Explain(ExplainArgs),
    /// Show the apis that are served, or revoke everything of one
    Api(ApiArgs),
    /// Manage the keys that sign an api's tokens, and the master key
    Key(KeyArgs),
    /// Manage admin keys: who may operate the server
    AdminKey(AdminKeyArgs),
    /// Work on the data directory of a stopped server
    Store(StoreArgs),
    /// Show the audit log: who changed what, and when
    Audit(AuditArgs),
    /// Show and check dialects: files that describe a wire format
    #[command(subcommand)]
    Dialect(DialectCommand),
    /// The configuration file
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Run a vendor in memory, to test a client against
    Sandbox(Box<SandboxArgs>),
    /// Print a completion script for a shell
    Completion(CompletionArgs),
    /// Print the version, the commit that it was built from, its features and its platform
    #[command(after_help = "Examples:
  countersign version
  countersign version --json")]
    Version,
}

impl Args {
    /// How much is said beside the output.
    pub(crate) fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, true) => Verbosity::Verbose,
            (false, false) => Verbosity::Normal,
        }
    }
}

/// Reads the command line; where there is nothing to run, the exit code.
pub(crate) fn parse(words: &[OsString]) -> Result<Args, ExitCode> {
    Args::try_parse_from(words).map_err(|error| match error.kind() {
        // Help that was asked for. If nobody reads it, nothing is lost.
        ErrorKind::DisplayHelp => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayVersion => {
            let mut output = output(words);
            exit::report(version::run(&mut output), &output)
        }
        _ => usage(&error, words),
    })
}

fn usage(error: &clap::Error, words: &[OsString]) -> ExitCode {
    if names_a_secret(error) {
        let failure = Failure::usage(SECRETS).with_help(SECRETS_HELP);
        return exit::report(Err(failure), &output(words));
    }
    exit::report(Err(failure(error)), &output(words))
}

/// The output of a line that was not understood.
fn output(words: &[OsString]) -> Output {
    let json = words.iter().any(|word| word == "--json");
    Output::new(json, Verbosity::Normal)
}

/// The parser's complaint as one of ours: its tips, and where to read more, are help.
fn failure(error: &clap::Error) -> Failure {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return no_subcommand(&error.to_string());
    }
    let text = error.to_string();
    let mut message = Vec::new();
    let fault = std::error::Error::source(error).and_then(|it| it.downcast_ref::<ArgumentFault>());
    let help = fault.and_then(ArgumentFault::help);
    let mut help: Vec<_> = help.map(str::to_owned).into_iter().collect();
    for line in text.trim_start_matches("error: ").lines() {
        let words = line.trim_start();
        if let Some(tip) = words.strip_prefix("tip: ") {
            help.push(tip.to_owned());
        } else if let Some(values) = words.strip_prefix("[possible values: ") {
            help.push(format!("write one of {}", values.trim_end_matches(']')));
        } else if let Some(more) = line.strip_prefix("For more information, try ") {
            help.push(format!("for more, try {}", more.trim_end_matches('.')));
        } else if !line.is_empty() {
            message.push(line);
        }
    }
    let failure = Failure::usage(message.join("\n"));
    if help.is_empty() {
        return failure;
    }
    failure.with_help(help.join("; "))
}

/// A command without its subcommand: the parser gives its whole help.
fn no_subcommand(help: &str) -> Failure {
    let mut lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let named = lines.by_ref().take_while(|line| !line.is_empty());
    let names: Vec<_> = named
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help")
        .collect();
    Failure::usage("the subcommand is missing").with_help(format!(
        "name one of {}; for more, try '--help'",
        names.join(", ")
    ))
}

/// The error for somebody who tries an option such as `--secret`.
const SECRETS: &str = "a secret cannot be an argument, because others could see it";

const SECRETS_HELP: &str = "name a file that contains it; a profile names a file with \
secret_file, a variable with secret_env, or a command with secret_command";

fn names_a_secret(error: &clap::Error) -> bool {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return false;
    };
    let name = argument.trim_start_matches('-');
    ["secret", "pass", "key", "credential"]
        .iter()
        .any(|it| name.starts_with(it))
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::Args;

    fn assert_whole_paragraphs(command: &Command) {
        let after = command.get_after_help().map(ToString::to_string);
        let lines: Vec<_> = after.iter().flat_map(|it| it.lines()).collect();
        for pair in lines.windows(2) {
            let [above, below] = [pair[0], pair[1]].map(|it| it.starts_with(char::is_alphabetic));
            assert!(!(above && below), "{}: {pair:?}", command.get_name());
        }
        for line in lines.iter().filter(|it| it.starts_with(' ')) {
            assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
        }
        command.get_subcommands().for_each(assert_whole_paragraphs);
    }

    /// A line that was broken by hand is broken once more where the terminal is narrow.
    #[test]
    fn help_leaves_it_to_the_terminal_where_a_line_ends() {
        assert_whole_paragraphs(&Args::command());
    }
}
