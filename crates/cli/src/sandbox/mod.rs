//! `countersign sandbox`: a vendor to test a client against, and the hand on its
//! clock and its faults.

mod bounds;
mod card;
mod command;
mod ctl;
mod files;
mod manifest;
mod play;
mod ready;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use countersign_domain::Timestamp;
use countersign_outbound::ServerUrl;
use countersign_sandbox::span;

use self::card::CardArgs;
use self::ctl::CtlArgs;
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

All is in memory and gone when it ends. Every path that is not a token endpoint is guarded, and \
answers with what it received, or as the upstream does. What the file of a dialect for clients does \
not say is made up, and told."
)]
pub(crate) struct SandboxArgs {
    #[command(subcommand)]
    command: Option<SandboxCommand>,
    #[command(flatten)]
    play: PlayArgs,
}

#[derive(Debug, clap::Subcommand)]
enum SandboxCommand {
    /// Control a sandbox that runs
    Ctl(CtlArgs),
}

/// What the sandbox is to be.
#[derive(Debug, clap::Args)]
struct PlayArgs {
    /// The name of a dialect that comes with the program, or a file
    #[arg(value_name = "DIALECT", required = true)]
    dialect: Option<String>,
    /// Where the vendor listens [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where it is controlled [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    control_listen: Option<SocketAddr>,
    /// Write URLs, login and secrets to this file once it serves, for its owner only
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Write a profile for each variant to this file once it serves, for its owner only
    #[arg(long, value_name = "FILE")]
    profiles: Option<PathBuf>,
    /// Forward guarded calls to this server, instead of answering with what they are
    #[arg(long, value_name = "URL")]
    upstream: Option<ServerUrl>,
    /// Let the clock stand still until it is moved; at this instant, or at the time of now
    #[arg(long, value_name = "INSTANT", num_args = 0..=1, require_equals = true, value_parser = instant)]
    still: Option<Option<Timestamp>>,
    /// How long an access token lives, such as 5s [default: as at the vendor]
    #[arg(long, value_name = "SPAN", value_parser = a_span)]
    access: Option<Duration>,
    /// How long a refresh token lives [default: as at the vendor]
    #[arg(long, value_name = "SPAN", value_parser = a_span)]
    refresh: Option<Duration>,
    /// How long a refresh may be repeated with the same token [default: 60s]
    #[arg(long, value_name = "SPAN", value_parser = a_span)]
    replay_window: Option<Duration>,
    /// Requests for each access token, or unlimited [default: as at the vendor]
    #[arg(long, value_name = "N", value_parser = budget)]
    budget: Option<Budget>,
    /// The login of its account
    #[arg(long)]
    login: Option<String>,
    /// Answer everything so much later
    #[arg(long, value_name = "SPAN", value_parser = a_span)]
    latency: Option<Duration>,
    /// Let faults with a rate strike other requests
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Let it, whose secrets lie open, listen on an address that others reach
    #[arg(long)]
    danger_listen: bool,
    /// Fail unless COMMAND asked what is expected: max-logins=1, no-expired, and what else
    /// `sandbox ctl assert` takes; may be repeated
    #[arg(
        long = "assert",
        value_name = "BOUND",
        allow_hyphen_values = true,
        requires = "program",
        conflicts_with = "card"
    )]
    asserts: Vec<String>,
    /// Run this command beside the sandbox, which ends with it
    #[arg(last = true, value_name = "COMMAND")]
    program: Vec<OsString>,
    #[command(flatten)]
    card: CardArgs,
}

/// Requests for each access token; `None` for any number.
#[derive(Clone, Copy, Debug)]
struct Budget(Option<u32>);

/// Runs `countersign sandbox …`.
pub(crate) fn run(args: &SandboxArgs, output: &mut Output) -> Result<(), Failure> {
    match &args.command {
        Some(SandboxCommand::Ctl(args)) => ctl::run(args, output),
        None if args.play.card.card => card::run(&args.play, output),
        None => play::run(&args.play, output),
    }
}

fn a_span(text: &str) -> Result<Duration, String> {
    span(text).ok_or_else(|| "write a span of time such as 90s, 6h or 1d2h".to_owned())
}

fn instant(text: &str) -> Result<Timestamp, String> {
    let instant = text.parse::<jiff::Timestamp>();
    let instant = instant.map_err(|_| "write an instant in RFC 3339, such as 2027-01-15T12:00:00Z");
    Ok(Timestamp::from_micros(instant?.as_microsecond()))
}

fn budget(text: &str) -> Result<Budget, String> {
    match text.parse() {
        _ if text == "unlimited" => Ok(Budget(None)),
        Ok(0) | Err(_) => Err("write a number of requests, or unlimited".to_owned()),
        Ok(requests) => Ok(Budget(Some(requests))),
    }
}
