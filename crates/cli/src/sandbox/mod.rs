//! `countersign sandbox`: a vendor to test a client against, and control over its clock and its
//! faults.

mod bounds;
mod card;
mod command;
mod ctl;
mod files;
mod manifest;
mod play;
mod play_args;
mod ready;

use self::ctl::CtlArgs;
use self::play_args::PlayArgs;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `countersign sandbox`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:
  countersign sandbox b2binpay
  countersign sandbox mypopup --manifest sandbox.json --access 5s --still
  countersign sandbox ./acme/dialect.toml --latency 80ms --listen 127.0.0.1:9000
  countersign sandbox mypopup --upstream http://127.0.0.1:3000
  countersign sandbox mypopup --assert 'max-logins=1' -- ./run-tests.sh
  countersign sandbox mypopup --card --junit card.xml -- php adapter.php

  export COUNTERSIGN_SANDBOX=sandbox.json
  countersign sandbox ctl advance 6h
  countersign sandbox ctl fault lost_reply --on refresh
  countersign sandbox ctl assert --logins 1 --max-refreshes 3 --no-expired

COMMAND finds a profile for each variant, named as the dialect, in COUNTERSIGN_PROFILES, the \
manifest in COUNTERSIGN_SANDBOX, and for other clients COUNTERSIGN_SANDBOX_URL, _LOGIN, _SECRET and \
_DIALECT. Its exit code is passed on, or 128 and the number of the signal that ended it.

Everything is in memory and gone when it ends. Every path that is not a token endpoint is guarded, and \
answers with what it received, or as the upstream does. What a dialect file for clients leaves open \
is made up, and reported."
)]
pub(crate) struct SandboxArgs {
    #[command(subcommand)]
    command: Option<SandboxCommand>,
    #[command(flatten)]
    play: PlayArgs,
}

#[derive(Debug, clap::Subcommand)]
enum SandboxCommand {
    /// Control a running sandbox
    Ctl(CtlArgs),
}

/// Runs `countersign sandbox …`.
pub(crate) fn run(args: &SandboxArgs, output: &mut Output) -> Result<(), Failure> {
    match &args.command {
        Some(SandboxCommand::Ctl(args)) => ctl::run(args, output),
        None if args.play.card.card => card::run(&args.play, output),
        None => play::run(&args.play, output),
    }
}
