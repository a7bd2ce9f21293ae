//! What `countersign serve` is told, and whether that can be served.

use std::path::{Path, PathBuf};

use super::demo;
use crate::config::{self, Overrides, Settings};
use crate::exit::Failure;

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

impl ServeArgs {
    /// The configuration, with what the command line says over it.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        let settings = match (&self.config, self.demo) {
            (Some(file), _) => config::load(file, &self.over)?,
            (None, true) => {
                let mut demo = config::read(demo::CONFIGURATION, "demo.toml", Path::new("."))
                    .map_err(Failure::bug)?;
                demo.override_with(&self.over);
                demo
            }
            (None, false) => {
                return Err(Failure::usage("neither --config nor --demo is given").with_help(
                "try `countersign serve --demo`, or write a configuration with `countersign config \
                 example > countersign.toml` and name it with --config",
            ));
            }
        };
        let settings = serves_something(settings)?;
        check_listeners(self, &settings)?;
        Ok(settings)
    }
}

/// The configuration, unless it leaves nothing to serve, as a file that is just
/// being written does.
pub(super) fn serves_something(settings: Settings) -> Result<Settings, Failure> {
    if settings.apis.is_empty() {
        return Err(Failure::usage("the configuration has no api")
            .with_help("add one, for example [apis.pay] with dialect = \"b2binpay\""));
    }
    Ok(settings)
}

fn check_listeners(args: &ServeArgs, settings: &Settings) -> Result<(), Failure> {
    let server = &settings.server;
    if args.demo && !args.danger_listen && !server.listen.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "others can reach {}, and a demo's secrets are public",
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
