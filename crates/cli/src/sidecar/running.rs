//! A running process of sidecars: binds, serves until it is stopped, drains, and logs out
//! if it was configured to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use countersign_sidecar::Sidecar;
use countersign_transport::{DrainOutcome, ListenerLimits};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::SidecarArgs;
use super::probes::{OutdatedProfiles, ProbeState, probes};
use super::profile_sidecar::{self, PlannedSidecar, RunningSidecar};
use super::reload::{ProfileReload, ProfilesOrigin};
use crate::exit::Failure;
use crate::output::Output;
use crate::serve::listeners::{bind, serve_probes, until, url};
use crate::serve::node::stop_signal;
use crate::serve::{notify, telemetry};

/// How long a vendor may take to end a session.
const LOGOUT_WITHIN: Duration = Duration::from_secs(10);

/// Every sidecar, by the name of its profile.
type Sidecars = Vec<(String, Arc<ArcSwap<Sidecar>>)>;

/// What serves them.
type SidecarTasks = JoinSet<DrainOutcome>;

/// Serves until SIGTERM or SIGINT, then drains.
pub(super) async fn run(args: &SidecarArgs, output: &mut Output) -> Result<(), Failure> {
    let stop = stop_signal()?;
    let hangups = signal(SignalKind::hangup()).map_err(Failure::bug)?;
    let metrics = telemetry::metrics()?;
    let origin = ProfilesOrigin {
        file: args.file.clone(),
        carrying: args.carrying,
    };
    let listener = match args.probe_listen {
        Some(address) => Some(bind(address, "the probes").await?),
        None => None,
    };
    let probes_url = listener.as_ref().map(|it| url(it, false)).transpose()?;
    let opened = open(args, &origin, &stop).await?;
    let (posts, serving) = (opened.posts, opened.serving);
    let (text, document) = ready_text(&posts, probes_url.as_deref());
    let current = |post: &RunningSidecar| (post.name().to_owned(), post.current.clone());
    let sidecars: Sidecars = posts.iter().map(current).collect();
    let outdated = OutdatedProfiles::default();
    let draining = Arc::new(AtomicBool::new(false));
    let (drained, until_drained) = watch::channel(false);
    if let Some(listener) = listener {
        let probed = ProbeState {
            sidecars: sidecars.clone(),
            absent: opened.absent,
            outdated: outdated.clone(),
            draining: draining.clone(),
            metrics,
        };
        let stopped = until(until_drained);
        serve_probes(listener, ListenerLimits::default(), probes(probed), stopped);
    }
    let reload = ProfileReload {
        origin,
        posts,
        outdated,
    };
    let aside = [
        tokio::spawn(reload.run(hangups)),
        tokio::spawn(warm_up(sidecars.clone())),
    ];
    notify::ready();
    output.document(&document, &text)?;
    drain(serving, stop, &draining).await?;
    aside.iter().for_each(JoinHandle::abort);
    let ended = match args.logout_at_stop {
        true => log_out(sidecars).await,
        false => Ok(()),
    };
    // The probes' listener may be gone already; then nobody has to be told.
    let _ = drained.send(true);
    ended
}

/// Waits until all is served that came before `stop`.
async fn drain(
    mut serving: SidecarTasks,
    stop: watch::Receiver<bool>,
    draining: &AtomicBool,
) -> Result<(), Failure> {
    until(stop).await;
    draining.store(true, Ordering::SeqCst);
    notify::stopping();
    tracing::info!("draining");
    let mut cut = 0;
    while let Some(served) = serving.join_next().await {
        cut += served.map_err(Failure::bug)?.cut;
    }
    tracing::info!(cut, "drained");
    Ok(())
}

/// Makes every sidecar, then binds all, then serves.
async fn open(
    args: &SidecarArgs,
    origin: &ProfilesOrigin,
    stop: &watch::Receiver<bool>,
) -> Result<OpenedSidecars, Failure> {
    check_each_once(args)?;
    let profiles = origin.file.all()?;
    let (mut planned, mut absent) = (Vec::new(), Vec::new());
    for target in &args.targets {
        match PlannedSidecar::new(target, &profiles, args.carrying) {
            Ok(plan) => planned.push(plan),
            Err(failure) => absent.push((target.profile.clone(), failure)),
        }
    }
    if planned.is_empty()
        && let Some((_, failure)) = absent.pop()
    {
        return Err(failure);
    }
    // One that is wrong does not stop the others.
    for (profile, failure) in &absent {
        tracing::error!(
            profile,
            "this profile is not served; correct it and start the sidecar again: {failure}"
        );
    }
    let absent = absent.into_iter().map(|(profile, _)| profile).collect();
    let mut bound = Vec::new();
    for plan in planned {
        bound.push(plan.bind().await?);
    }
    let (mut posts, mut serving) = (Vec::new(), SidecarTasks::new());
    for (post, listening) in bound {
        let (current, drain) = (post.current.clone(), args.drain_timeout);
        serving.spawn(profile_sidecar::serve(
            listening,
            current,
            drain,
            stop.clone(),
        ));
        posts.push(post);
    }
    Ok(OpenedSidecars {
        posts,
        serving,
        absent,
    })
}

/// What was opened.
struct OpenedSidecars {
    posts: Vec<RunningSidecar>,
    serving: SidecarTasks,
    /// The profiles that are wrong, and not served.
    absent: Vec<String>,
}

/// Two sidecars of one profile would each keep a session.
fn check_each_once(args: &SidecarArgs) -> Result<(), Failure> {
    let names: Vec<_> = args.targets.iter().map(|target| &target.profile).collect();
    let mut twice = names.iter().enumerate();
    match twice.find(|(at, name)| names[..*at].contains(name)) {
        Some((_, name)) => Err(Failure::usage(format!("profile {name} is named twice"))),
        None => Ok(()),
    }
}

/// What is said once all listen.
fn ready_text(posts: &[RunningSidecar], probes: Option<&str>) -> (String, Value) {
    let mut text: String = posts.iter().map(RunningSidecar::line).collect();
    if let Some(probes) = probes {
        text.push_str(&format!("probes  {probes}\n"));
    }
    let listed: Vec<_> = posts.iter().map(RunningSidecar::document).collect();
    (text, json!({ "sidecars": listed, "probes": probes }))
}

/// Has tokens at hand before the first request.
async fn warm_up(sidecars: Sidecars) {
    let mut asked = JoinSet::new();
    for (_, current) in sidecars {
        let sidecar = current.load_full();
        // What goes wrong is logged where it does.
        asked.spawn(async move { sidecar.ready().await.is_ok() });
    }
    asked.join_all().await;
}

/// Ends every session with its vendor.
async fn log_out(sidecars: Sidecars) -> Result<(), Failure> {
    let mut ending = JoinSet::new();
    for (name, current) in sidecars {
        let source = current.load().source().clone();
        ending.spawn(async move {
            let ended = tokio::time::timeout(LOGOUT_WITHIN, source.logout()).await;
            match ended {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(error.message.to_string()),
                Err(_) => Err(format!(
                    "{name}: the vendor did not end the session in time"
                )),
            }
        });
    }
    let failed: Vec<_> = ending
        .join_all()
        .await
        .into_iter()
        .filter_map(Result::err)
        .collect();
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Failure::unavailable(failed.join("; "))),
    }
}
