//! `countersign serve`: the issuer, the guard and the admin API in one process.

mod certificates;
pub(crate) mod data;
mod demo;
mod dry_run;
mod evidence;
mod faults;
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
pub(crate) mod telemetry;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use countersign_store::clock::plausible_wall;

use crate::config::{self, Overrides, Settings, TlsSection};
use crate::exit::Failure;
use crate::output::Output;

pub(crate) use demo::CONFIGURATION as DEMO;
pub(crate) use listeners::until;
pub(crate) use node::stop_signal;

/// Arguments of `countersign serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  countersign serve --demo
  countersign serve --config countersign.toml
  countersign serve --config countersign.toml --listen 0.0.0.0:8080 -q")]
pub(crate) struct ServeArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) over: Overrides,
    /// Serve the shipped dialects with ready accounts and an echo server behind the guard
    #[arg(long, conflicts_with = "config")]
    pub(crate) demo: bool,
    /// Let a demo listen on an address that others can reach, though its secrets are public
    #[arg(long, requires = "demo")]
    pub(crate) danger_listen: bool,
}

/// Runs `countersign serve` until it is told to stop.
pub(crate) fn run(args: &ServeArgs, output: &mut Output) -> Result<(), Failure> {
    let settings = settings(args)?;
    check_listeners(args, &settings)?;
    plausible_wall()?;
    telemetry::log(settings.server.log, output.verbosity())?;
    warn_of_open_keys(&settings.server.certificates());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::failed(format!("no runtime: {error}")))?;
    runtime.block_on(node::run(settings, args, output))
}

/// The configuration, with what the command line says over it.
fn settings(args: &ServeArgs) -> Result<Settings, Failure> {
    let settings = match (&args.config, args.demo) {
        (Some(file), _) => config::load(file, &args.over)?,
        (None, true) => {
            let mut demo = config::read(DEMO, "demo.toml", Path::new(".")).map_err(Failure::bug)?;
            demo.override_with(&args.over);
            demo
        }
        (None, false) => {
            return Err(Failure::usage("nothing says what to serve").with_help(
                "try `countersign serve --demo`, or write a configuration with `countersign config \
                 example > countersign.toml` and name it with --config",
            ));
        }
    };
    serves_something(settings)
}

/// The configuration, unless it leaves nothing to serve, as a file that is just
/// being written does.
fn serves_something(settings: Settings) -> Result<Settings, Failure> {
    if settings.apis.is_empty() {
        return Err(Failure::usage("the configuration has no api")
            .with_help("add one, for example [apis.pay] with dialect = \"b2binpay\""));
    }
    Ok(settings)
}

/// The keys of certificates are often read by a group of services on purpose, so one
/// that others can read is told and not refused.
fn warn_of_open_keys(certificates: &[TlsSection]) {
    for section in certificates {
        let mode = std::fs::metadata(&section.key).map(|it| it.permissions().mode());
        if mode.is_ok_and(|mode| mode & 0o077 != 0) {
            let key = section.key.display();
            tracing::warn!(
                %key,
                "others can read a certificate's private key: run `chmod 600` on it, or give it to \
                 this user alone"
            );
        }
    }
}

fn check_listeners(args: &ServeArgs, settings: &Settings) -> Result<(), Failure> {
    let server = &settings.server;
    if args.demo && !args.danger_listen && !server.listen.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "others can reach {}, and a demo's secrets lie open",
            server.listen
        ))
        .with_help("listen on 127.0.0.1, or say --danger-listen"));
    }
    if !server.admin_listen.ip().is_loopback() && server.admin_tls.is_none() {
        return Err(Failure::usage(format!(
            "the admin API would listen without TLS on {}, which others can reach",
            server.admin_listen
        ))
        .with_help("set admin_tls_certificate and admin_tls_key, or name a loopback address"));
    }
    Ok(())
}
