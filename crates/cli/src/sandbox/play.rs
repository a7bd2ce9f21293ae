//! A sandbox that runs until it is told to stop.

use countersign_relay::UpstreamSettings;
use countersign_sandbox::{RequestCounts, RequestExpectations, Sandbox, SandboxSetup, SetupError};
use serde_json::json;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

use super::bounds::BoundArgs;
use super::ctl::answer_text;
use super::files::Files;
use super::play_args::{Budget, PlayArgs};
use super::{command, ready};
use crate::exit::Failure;
use crate::output::Output;
use crate::serve::stop_signal;
use crate::{dialect, serve};

/// Serves until SIGTERM or SIGINT, or until its command ends.
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

async fn play(setup: SandboxSetup, args: &PlayArgs, output: &mut Output) -> Result<(), Failure> {
    let expected = match args.asserts.is_empty() {
        true => None,
        false => Some(BoundArgs::read(&args.asserts)?),
    };
    let sandbox = setup.start().await.map_err(failure)?;
    let files = Files::write(args, &sandbox)?;
    let outcome = match args.program.is_empty() {
        true => serve_until_stopped(&sandbox, &files, output).await,
        false => run_beside(&args.program, &sandbox, &files, expected.as_ref(), output).await,
    };
    files.withdraw();
    sandbox.stop().await;
    outcome
}

async fn serve_until_stopped(
    sandbox: &Sandbox,
    files: &Files,
    output: &mut Output,
) -> Result<(), Failure> {
    let stop = stop_signal()?;
    output.document(&files.document(sandbox), &ready::text(sandbox, files))?;
    serve::until(stop).await;
    Ok(())
}

/// Runs a command, to which standard output belongs, and judges what it asked.
async fn run_beside(
    command: &[OsString],
    sandbox: &Sandbox,
    files: &Files,
    expected: Option<&RequestExpectations>,
    output: &Output,
) -> Result<(), Failure> {
    for sentence in ready::open_questions(sandbox) {
        output.aside(&sentence);
    }
    let code = command::run(command, sandbox, files).await?;
    let verdict = expected.map(|expected| judged(sandbox, expected));
    match verdict {
        Some(Err(failure)) if code == 0 => return Err(failure),
        Some(Err(failure)) => output.complain(&failure.to_string()),
        Some(Ok(told)) => output.aside(&told),
        None => {}
    }
    match code {
        0 => Ok(()),
        code => Err(Failure::passed_on(code)),
    }
}

fn judged(sandbox: &Sandbox, expected: &RequestExpectations) -> Result<String, Failure> {
    let failures = sandbox.check(expected).err().unwrap_or_default();
    let asked = RequestCounts::count_all(&sandbox.requests()).document();
    let verdict = json!({ "passed": failures.is_empty(), "failures": failures, "asked": asked });
    match failures.is_empty() {
        true => Ok(answer_text::passed(&verdict).trim_end().to_owned()),
        false => Err(Failure::failed(answer_text::failed(&verdict)).with_details(verdict)),
    }
}

fn setup(args: &PlayArgs) -> Result<SandboxSetup, Failure> {
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
    if let Some(url) = &args.upstream {
        setup = setup.upstream(UpstreamSettings::new(url.clone()));
    }
    let latency = args.latency.unwrap_or_default();
    Ok(setup.latency(latency).seed(args.seed.unwrap_or_default()))
}

fn check_listeners(args: &PlayArgs) -> Result<(), Failure> {
    let addresses = [args.listen, args.control_listen];
    let is_open = |address: &SocketAddr| !address.ip().is_loopback();
    match addresses.into_iter().flatten().find(is_open) {
        Some(address) if !args.danger_listen => Err(Failure::usage(format!(
            "others can reach {address}, and a sandbox's secrets are public"
        ))
        .with_help("listen on 127.0.0.1, or say --danger-listen")),
        _ => Ok(()),
    }
}

/// Whose fault it is that there is no vendor.
pub(super) fn failure(error: SetupError) -> Failure {
    match error {
        SetupError::NoDialect(_) | SetupError::Lifetimes(_) | SetupError::Account(_) => {
            Failure::usage(error)
        }
        SetupError::Listen { .. } => Failure::unavailable(error),
        _ => Failure::failed(error),
    }
}
