//! The settings of a sandbox on the command line.

use crate::argument_fault::ArgumentFault;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use countersign_domain::Timestamp;
use countersign_outbound::ServerUrl;
use countersign_sandbox::span;

/// What the sandbox is to be.
#[derive(Debug, clap::Args)]
pub(super) struct PlayArgs {
    /// The name of a dialect that comes with the program, or a file
    #[arg(value_name = "DIALECT", required = true)]
    pub(super) dialect: Option<String>,
    /// The address of the vendor [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<SocketAddr>,
    /// The address of the control endpoints [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    pub(super) control_listen: Option<SocketAddr>,
    /// Write URLs, login and secrets to this file once it serves, for its owner only
    #[arg(long, value_name = "FILE")]
    pub(super) manifest: Option<PathBuf>,
    /// Write a profile for each variant to this file once it serves, for its owner only
    #[arg(long, value_name = "FILE")]
    pub(super) profiles: Option<PathBuf>,
    /// Forward guarded calls to this server, instead of echoing them
    #[arg(long, value_name = "URL")]
    pub(super) upstream: Option<ServerUrl>,
    /// Stop the clock until it is moved; at this time, or at the current one
    #[arg(long, value_name = "INSTANT", num_args = 0..=1, require_equals = true, value_parser = instant)]
    pub(super) still: Option<Option<Timestamp>>,
    /// How long an access token lives, such as 5s [default: as at the vendor]
    #[arg(long, value_name = "SPAN", value_parser = a_span)]
    pub(super) access: Option<Duration>,
    /// How long a refresh token lives [default: as at the vendor]
    #[arg(long, value_name = "SPAN", value_parser = a_span)]
    pub(super) refresh: Option<Duration>,
    /// How long a refresh may be repeated with the same token [default: 60s]
    #[arg(long, value_name = "SPAN", value_parser = a_span)]
    pub(super) replay_window: Option<Duration>,
    /// Requests for each access token, or unlimited [default: as at the vendor]
    #[arg(long, value_name = "N", value_parser = budget)]
    pub(super) budget: Option<Budget>,
    /// The login of its account
    #[arg(long)]
    pub(super) login: Option<String>,
    /// Delay every answer by this much
    #[arg(long, value_name = "SPAN", value_parser = a_span)]
    pub(super) latency: Option<Duration>,
    /// Choose other requests for faults that have a rate
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Let it listen on an address that others can reach, though its secrets are public
    #[arg(long)]
    pub(super) danger_listen: bool,
    /// Fail unless COMMAND asked what is expected: max-logins=1, no-expired, and what else
    /// `sandbox ctl assert` takes; may be repeated
    #[arg(
        long = "assert",
        value_name = "BOUND",
        allow_hyphen_values = true,
        requires = "program",
        conflicts_with = "card"
    )]
    pub(super) asserts: Vec<String>,
    /// Run this command, and stop the sandbox when it ends
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) program: Vec<OsString>,
    #[command(flatten)]
    pub(super) card: CardArgs,
}

/// Requests for each access token; `None` for any number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget(pub(super) Option<u32>);

/// What the card sets itself.
const SETTINGS: [&str; 15] = [
    "access",
    "asserts",
    "budget",
    "control_listen",
    "danger_listen",
    "latency",
    "listen",
    "login",
    "manifest",
    "profiles",
    "refresh",
    "replay_window",
    "seed",
    "still",
    "upstream",
];

/// The options of the card.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Card")]
pub(super) struct CardArgs {
    /// Lead a client through logins, expiries, lost replies and refusals, and report what it
    /// handles well and what it does not. COMMAND runs the client: for each line
    /// `call METHOD PATH` that it reads,
    /// it prints `ok STATUS` or `error TEXT`
    #[arg(long, requires = "program", conflicts_with_all = SETTINGS)]
    pub(super) card: bool,
    /// Also write the card as JUnit XML
    #[arg(long, value_name = "FILE", requires = "card")]
    pub(super) junit: Option<PathBuf>,
    /// The variant that the client speaks [default: the dialect's first]
    #[arg(long, value_name = "NAME", requires = "card")]
    pub(super) variant: Option<String>,
    /// Play only this step; may be repeated
    #[arg(long = "step", value_name = "NAME", requires = "card")]
    pub(super) steps: Vec<String>,
    /// How long the client may take to answer a call [default: 10s]
    #[arg(long, value_name = "SPAN", value_parser = a_span, requires = "card")]
    pub(super) step_timeout: Option<Duration>,
    /// Play this many steps at once, each with its own client [default: 1]
    #[arg(long, value_name = "N", requires = "card")]
    pub(super) jobs: Option<usize>,
}

pub(super) fn a_span(text: &str) -> Result<Duration, ArgumentFault> {
    span(text).ok_or_else(|| {
        ArgumentFault::new("it is not a span of time")
            .with_help("write one such as 90s, 6h or 1d2h")
    })
}

fn instant(text: &str) -> Result<Timestamp, ArgumentFault> {
    text.parse().map_err(|_| {
        ArgumentFault::new("it is not an instant in RFC 3339")
            .with_help("write one such as 2027-01-15T12:00:00Z")
    })
}

fn budget(text: &str) -> Result<Budget, ArgumentFault> {
    match text.parse() {
        _ if text == "unlimited" => Ok(Budget(None)),
        Ok(0) | Err(_) => Err(ArgumentFault::new("it is not a budget")
            .with_help("write a number of requests, or unlimited")),
        Ok(requests) => Ok(Budget(Some(requests))),
    }
}
