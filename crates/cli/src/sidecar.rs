//! `countersign sidecar`: any program of this machine talks plain HTTP to it, and it
//! talks to the vendor with a fresh token.

mod listen_target;
mod probes;
mod profile_sidecar;
mod reload;
mod running;
mod sidecar_parts;

use std::net::SocketAddr;
use std::time::Duration;

use countersign_dialect::document::duration;

use crate::argument_fault::ArgumentFault;
use crate::client::ProfilesArgs;
use crate::config::LogFormat;
use crate::exit::Failure;
use crate::output::Output;
use crate::serve::telemetry;
use listen_target::ListenTarget;

/// Arguments of `countersign sidecar`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  countersign sidecar pay
  curl --unix-socket $XDG_RUNTIME_DIR/countersign/pay.sock http://pay/deposit/
  countersign sidecar pay=127.0.0.1:9001 cards=/run/app/cards.sock

A program sends its requests there as it would to the vendor, without any token. On a port the Host \
must be localhost or a loopback address, and requests from browsers are refused. The profiles are \
read again on SIGHUP and when their file changes.")]
pub(crate) struct SidecarArgs {
    /// A profile, and where to listen for it: a path, or a loopback address with a port [default:
    /// the profile's `listen`, else NAME.sock in the runtime directory]
    #[arg(required = true, value_name = "PROFILE[=ADDR]")]
    targets: Vec<ListenTarget>,
    #[command(flatten)]
    file: ProfilesArgs,
    /// Where /healthz, /readyz and /metrics are answered
    #[arg(long, value_name = "ADDR")]
    probe_listen: Option<SocketAddr>,
    /// End the sessions at the vendors once the last request is answered
    #[arg(long)]
    logout_at_stop: bool,
    #[command(flatten)]
    carrying: CarryingArgs,
    /// How long running requests may continue after a signal to stop
    #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = span)]
    drain_timeout: Duration,
    /// How log lines are written
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    log: String,
}

/// How requests are carried.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct CarryingArgs {
    /// How long a vendor may take to begin its answer
    #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = span)]
    vendor_timeout: Duration,
    /// How long an unused connection to a vendor is kept; must be shorter than the vendor keeps it
    #[arg(long, value_name = "SPAN", default_value = "4s", value_parser = span)]
    vendor_idle_timeout: Duration,
    /// Log each request: its method, path and status, never its query, headers or body
    #[arg(long)]
    access_log: bool,
}

/// Runs `countersign sidecar` until it is told to stop.
pub(crate) fn run(args: &SidecarArgs, output: &mut Output) -> Result<(), Failure> {
    let format = match args.log.as_str() {
        "json" => LogFormat::Json,
        _ => LogFormat::Text,
    };
    telemetry::log(format, output.verbosity())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::failed(format!("no runtime: {error}")))?;
    runtime.block_on(running::run(args, output))
}

fn span(text: &str) -> Result<Duration, ArgumentFault> {
    let span = duration(text).filter(|span| !span.is_zero());
    span.ok_or_else(|| {
        ArgumentFault::new("it is not a span of time").with_help("write one such as 30s or 5m")
    })
}
