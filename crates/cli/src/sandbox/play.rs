//! A sandbox that runs until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;

use countersign_sandbox::{Sandbox, Setup, SetupError};
use tokio::runtime::{Builder, Runtime};

use super::manifest::Published;
use super::{Budget, PlayArgs, ready};
use crate::exit::Failure;
use crate::output::Output;
use crate::serve::stop_signal;
use crate::{dialect, serve};

/// Serves until SIGTERM or SIGINT.
pub(super) fn run(args: &PlayArgs, output: &mut Output) -> Result<(), Failure> {
    check_listeners(args)?;
    let setup = setup(args)?;
    runtime()?.block_on(play(setup, args, output))
}

/// What a vendor runs on.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    let runtime = Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::failed(format!("no runtime: {error}")))
}

async fn play(setup: Setup, args: &PlayArgs, output: &mut Output) -> Result<(), Failure> {
    let stop = stop_signal()?;
    let sandbox = setup.start().await.map_err(failure)?;
    let published = match &args.manifest {
        Some(file) => Some(Published::write(file, &sandbox.manifest())?),
        None => None,
    };
    let manifest = published.as_ref().map(Published::file);
    let mut document = sandbox.manifest();
    document["manifest"] = serde_json::json!(manifest);
    output.document(&document, &ready::text(&sandbox, manifest))?;
    serve::until(stop).await;
    if let Some(published) = published {
        published.withdraw();
    }
    sandbox.stop().await;
    Ok(())
}

fn setup(args: &PlayArgs) -> Result<Setup, Failure> {
    let name = args.dialect.as_deref().unwrap_or_default();
    let mut setup = Sandbox::speaking(Arc::new(dialect::load(name)?));
    setup = setup.controlled(args.control_listen);
    if let Some(address) = args.listen {
        setup = setup.listen(address);
    }
    setup = match args.still {
        Some(Some(instant)) => setup.still_at(instant),
        Some(None) => setup.still(),
        None => setup,
    };
    if let Some(life) = args.access {
        setup = setup.access(life);
    }
    if let Some(life) = args.refresh {
        setup = setup.refresh(life);
    }
    if let Some(window) = args.replay_window {
        setup = setup.replay_window(window);
    }
    if let Some(Budget(requests)) = args.budget {
        setup = setup.budget(requests);
    }
    if let Some(login) = &args.login {
        setup = setup.login(login);
    }
    let latency = args.latency.unwrap_or_default();
    Ok(setup.latency(latency).seed(args.seed.unwrap_or_default()))
}

fn check_listeners(args: &PlayArgs) -> Result<(), Failure> {
    let addresses = [args.listen, args.control_listen];
    let is_open = |address: &SocketAddr| !address.ip().is_loopback();
    match addresses.into_iter().flatten().find(is_open) {
        Some(address) if !args.danger_listen => Err(Failure::usage(format!(
            "{address} is reached by others, and a sandbox's secrets lie open: listen on \
             127.0.0.1, or say --danger-listen"
        ))),
        _ => Ok(()),
    }
}

/// Whose fault it is that there is no vendor.
pub(super) fn failure(error: SetupError) -> Failure {
    match error {
        SetupError::NoDialect(_) | SetupError::NotForIssuers(_) | SetupError::Lifetimes(_) => {
            Failure::usage(error)
        }
        SetupError::Account(_) => Failure::usage(error),
        SetupError::Listen { .. } => Failure::unavailable(error),
        _ => Failure::failed(error),
    }
}
