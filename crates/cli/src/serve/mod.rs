//! `countersign serve`: the issuer, the guard and the admin API in one process.

mod data;
mod demo;
mod echo;
mod evidence;
mod front;
mod journal;
mod node;
mod opening;
mod ready;
mod telemetry;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::config::{self, Settings};
use crate::exit::Failure;
use crate::output::Output;

pub(crate) use demo::CONFIGURATION as DEMO;

/// Arguments of `countersign serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  countersign serve --demo
  countersign config example > countersign.toml && countersign serve --config countersign.toml
  countersign serve --config countersign.toml --listen 0.0.0.0:8080 --data /var/lib/countersign")]
pub(crate) struct ServeArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The data directory [default: ./countersign-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Where the API listens [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where the admin API listens [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin_listen: Option<SocketAddr>,
    /// Serve the shipped dialects with ready accounts in front of an echo
    #[arg(long, conflicts_with = "config")]
    pub(crate) demo: bool,
    /// Let a demo, whose secrets lie open, listen on an address that others reach
    #[arg(long, requires = "demo")]
    pub(crate) danger_listen: bool,
}

/// Runs `countersign serve` until it is told to stop.
pub(crate) fn run(args: &ServeArgs, output: &mut Output) -> Result<(), Failure> {
    let settings = settings(args)?;
    check_listeners(args, &settings)?;
    telemetry::log(settings.server.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::failed(format!("no runtime: {error}")))?;
    runtime.block_on(node::run(settings, args.demo, output))
}

/// The configuration, with what the command line says over it.
fn settings(args: &ServeArgs) -> Result<Settings, Failure> {
    let mut settings = match (&args.config, args.demo) {
        (Some(file), _) => config::load(file)?,
        (None, true) => config::read(DEMO, "demo.toml", Path::new(".")).map_err(Failure::bug)?,
        (None, false) => {
            return Err(Failure::usage(
                "nothing says what to serve: try `countersign serve --demo`, or write a \
                 configuration with `countersign config example > countersign.toml` and name it \
                 with --config",
            ));
        }
    };
    settings.server.listen = args.listen.unwrap_or(settings.server.listen);
    settings.server.admin_listen = args.admin_listen.unwrap_or(settings.server.admin_listen);
    if let Some(data) = &args.data {
        settings.data.clone_from(data);
    }
    if settings.apis.is_empty() {
        return Err(Failure::usage(
            "the configuration has no api: add one, e.g. [apis.pay] with dialect = \"b2binpay\"",
        ));
    }
    Ok(settings)
}

fn check_listeners(args: &ServeArgs, settings: &Settings) -> Result<(), Failure> {
    let server = &settings.server;
    if args.demo && !args.danger_listen && !server.listen.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "{} is reached by others, and a demo's secrets lie open: listen on 127.0.0.1, or say \
             --danger-listen",
            server.listen
        )));
    }
    if !server.admin_listen.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "the admin API has no TLS, so it listens on a loopback address only, not on {}",
            server.admin_listen
        )));
    }
    Ok(())
}
