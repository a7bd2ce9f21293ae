//! `countersign serve`: the issuer, the guard and the admin API in one process.

mod arguments;
mod caller_evidence;
mod certificates;
pub(crate) mod data;
pub(crate) mod demo;
mod dry_run;
mod front;
mod host;
mod journal;
mod json_lines;
pub(crate) mod listeners;
pub(crate) mod node;
pub(crate) mod notify;
mod opening;
mod ready;
mod reload;
mod routing;
mod serving;
mod store_failures;
pub(crate) mod telemetry;

use countersign_store::clock::plausible_wall;

use crate::exit::Failure;
use crate::output::Output;

pub(crate) use arguments::ServeArgs;
pub(crate) use listeners::until;
pub(crate) use node::stop_signal;

/// Runs `countersign serve` until it is told to stop.
pub(crate) fn run(args: &ServeArgs, output: &mut Output) -> Result<(), Failure> {
    let settings = args.settings()?;
    plausible_wall()?;
    telemetry::log(settings.server.log, output.verbosity())?;
    certificates::warn_of_open_keys(&settings.server.certificates());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::failed(format!("no runtime: {error}")))?;
    runtime.block_on(node::run(settings, args, output))
}
