//! One running node: opens the data directory, serves until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use countersign_sandbox::echo;
use countersign_transport::{ListenerLimits, serve};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::data::DataDirectory;
use super::listeners::{Answers, Listeners, bind, until};
use super::opening::{NodeSetup, OpenedNode};
use super::ready::Ready;
use super::reload::ConfigurationReload;
use super::serving::ProcessParts;
use super::{ServeArgs, certificates, notify, telemetry};
use crate::config::Settings;
use crate::exit::Failure;
use crate::output::Output;

/// How often verifiers forget what can no longer matter.
const PRUNE_EVERY: Duration = Duration::from_secs(30);

/// Serves until SIGTERM or SIGINT, then drains.
pub(crate) async fn run(
    mut settings: Settings,
    args: &ServeArgs,
    output: &mut Output,
) -> Result<(), Failure> {
    let stop = stop_signal()?;
    let hangups = signal(SignalKind::hangup()).map_err(Failure::bug)?;
    let metrics = telemetry::metrics()?;
    let directory = DataDirectory::open(&settings.store.data)?;
    directory.check_owner(args.demo)?;
    let kept_admin_key = directory.kept_admin_key()?;
    let listeners = Listeners::bind(&settings.server).await?;
    let echo = match args.demo {
        true => Some(start_echo(&mut settings).await?),
        false => None,
    };
    let reload = ConfigurationReload::new(args, &settings);
    let server = settings.server;
    let to_open = NodeSetup {
        server: &server,
        store: &settings.store,
        apis: settings.apis,
        demo: args.demo,
    };
    let opened = OpenedNode::open(&directory, to_open).await?;
    let key_is_new = kept_admin_key.is_none();
    let admin_key = kept_admin_key.map_or_else(|| directory.make_admin_key(), Ok)?;
    let ready = Ready {
        key_is_new,
        ..Ready::at(&listeners, &server, admin_key.clone())?
    };
    let (text, manifest) = ready.words(&directory, &opened)?;
    let probes_alone = listeners.probes.is_some();
    let (shared, loaded) = ProcessParts::new(opened, &admin_key, metrics, probes_alone);
    let serving = shared.serving(loaded, &server.addresses);
    let serving = Arc::new(ArcSwap::from_pointee(serving));
    let certificates = server.certificates();
    let answers = Answers {
        serving: serving.clone(),
        probes: shared.probes(),
        draining: shared.draining.clone(),
    };
    let aside = [
        tokio::spawn(prune(shared.clone())),
        tokio::spawn(certificates::watch(
            certificates.clone(),
            shared.store.clone(),
        )),
        tokio::spawn(reload.run(hangups, shared.clone(), serving, certificates)),
    ];
    let running = tokio::spawn(listeners.serve(server, answers, stop));
    directory.publish(&ready.admin, manifest.as_deref())?;
    notify::ready();
    output.document(&ready.document(&directory), &text)?;
    let ended = running.await.map_err(Failure::bug);
    aside.iter().for_each(|task| task.abort());
    shared.close().await;
    drop(echo);
    ended
}

/// Starts the demo's upstream on a free port and points every guard at it. It
/// ends when the sender is dropped.
async fn start_echo(settings: &mut Settings) -> Result<watch::Sender<bool>, Failure> {
    let listener = bind(([127, 0, 0, 1], 0).into(), "the demo's echo").await?;
    let address = listener.local_addr().map_err(Failure::bug)?;
    let guards = settings
        .apis
        .iter_mut()
        .filter_map(|api| api.guard.as_mut());
    for guard in guards {
        if let Some(upstream) = &mut guard.upstream {
            let url = format!("http://{address}");
            upstream.settings.url = url.parse().map_err(Failure::bug)?;
        }
    }
    let (stop, stopped) = watch::channel(false);
    let answer = |request, _| echo(request);
    tokio::spawn(serve(
        listener,
        ListenerLimits::default(),
        answer,
        until(stopped),
    ));
    Ok(stop)
}

async fn prune(shared: ProcessParts) {
    let mut ticks = tokio::time::interval(PRUNE_EVERY);
    loop {
        ticks.tick().await;
        let now = shared.store.now();
        shared.view.prune(now);
        shared.uses.prune(now);
        shared.allowances.prune(now);
        shared.refusals.sweep(now);
        shared.clock_watch.look();
    }
}

/// Turns to `true` at the first SIGTERM or SIGINT; the second ends the process
/// at once.
pub(crate) fn stop_signal() -> Result<watch::Receiver<bool>, Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::bug)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::bug)?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.send_replace(true) {
                std::process::exit(crate::exit::FAILED.into());
            }
        }
    });
    Ok(stopped)
}
