//! One running node: opens the data directory, serves both listeners, drains.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign_dialect::Secret;
use countersign_domain::ApiName;
use countersign_gateway::{ForwardAuth, Gateway, TrustedProxies, Uses, View};
use countersign_server::admin::{AdminKey, AdminState, Probes, probes, router};
use countersign_server::api::Api;
use countersign_server::issuer::Issuer;
use countersign_server::password::Passwords;
use countersign_server::refusals::Refusals;
use countersign_server::seal::MasterKey;
use countersign_server::store::Store;
use countersign_transport::{Limits, serve, serve_told};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tower::ServiceExt;

use super::data::DataDirectory;
use super::front::{Front, refused_at_the_door};
use super::journal::Journal;
use super::opening::Opened;
use super::ready::Ready;
use super::{echo, telemetry};
use crate::config::{ServerSection, Settings};
use crate::exit::Failure;
use crate::output::Output;

/// How many sessions are remembered as used; see [`Uses`].
const USES: usize = 1_000_000;

/// How often verifiers forget what can no longer matter.
const PRUNE_EVERY: Duration = Duration::from_secs(30);

/// Serves until SIGTERM or SIGINT, then drains.
pub(crate) async fn run(
    mut settings: Settings,
    demo: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    let stop = stop_signal()?;
    let metrics = telemetry::metrics()?;
    let directory = DataDirectory::open(&settings.data)?;
    directory.check_owner(demo)?;
    let listeners = Listeners::bind(&settings.server).await?;
    let echo = if demo {
        Some(start_echo(&mut settings).await?)
    } else {
        None
    };
    let server = settings.server;
    let opened = Opened::open(&directory, &server, settings.apis, demo).await?;
    let (admin_key, key_is_new) = directory.admin_key()?;
    let ready = Ready {
        listen: url(&listeners.api)?,
        admin: url(&listeners.admin)?,
        admin_key: admin_key.clone(),
        key_is_new,
    };
    let (text, manifest) = ready.words(&directory, &opened)?;
    let node = Node::of(opened, server.limits, server.trusted_proxies);
    let admin = node.admin_service(&admin_key, metrics);
    let serving = tokio::spawn(node.serve(listeners, admin, stop));
    directory.publish(&ready.admin, manifest.as_deref())?;
    output.document(&ready.document(&directory), &text)?;
    let ended = serving.await.map_err(Failure::bug);
    drop(echo);
    ended
}

/// The two listeners, bound.
struct Listeners {
    api: TcpListener,
    admin: TcpListener,
}

impl Listeners {
    async fn bind(server: &ServerSection) -> Result<Self, Failure> {
        let api = bind(server.listen, "the API").await?;
        let admin = bind(server.admin_listen, "the admin API").await?;
        Ok(Self { api, admin })
    }
}

/// What serving and draining need.
struct Node {
    limits: Limits,
    front: Arc<Front>,
    apis: Arc<BTreeMap<ApiName, Arc<Api>>>,
    passwords: Passwords,
    refusals: Refusals,
    master: Arc<MasterKey>,
    store: Store,
    view: Arc<View>,
    uses: Arc<Uses>,
    draining: Arc<AtomicBool>,
}

impl Node {
    fn of(opened: Opened, limits: Limits, trusted: TrustedProxies) -> Self {
        let Opened {
            store,
            view,
            apis,
            served,
            passwords,
            refusals,
            master,
            ..
        } = opened;
        let (marks, apis) = (store.clone(), Arc::new(apis));
        let uses = Arc::new(Uses::new(USES, move |session, generation| {
            marks.mark_used(session, generation);
        }));
        let front = Front {
            apis: served,
            issuer: Issuer::new(store.clone(), passwords.clone()),
            gateway: Gateway::new(view.clone(), uses.clone()),
            forward: ForwardAuth::new(view.clone(), uses.clone(), trusted),
            store: store.clone(),
            journal: Arc::new(Journal::new(refusals.clone(), apis.clone(), store.clone())),
        };
        Self {
            limits,
            front: Arc::new(front),
            apis,
            passwords,
            refusals,
            master: Arc::new(master),
            store,
            view,
            uses,
            draining: Arc::default(),
        }
    }

    /// The admin API and the probes.
    fn admin_service(&self, key: &Secret, metrics: PrometheusHandle) -> axum::Router {
        let draining = self.draining.clone();
        let probes = probes(Probes {
            store: self.store.clone(),
            standing: Arc::new(move || match draining.load(Ordering::SeqCst) {
                true => Err("draining"),
                false => Ok(()),
            }),
            metrics: Arc::new(move || metrics.render()),
        });
        let state = AdminState {
            store: self.store.clone(),
            apis: self.apis.clone(),
            passwords: self.passwords.clone(),
            refusals: self.refusals.clone(),
            key: AdminKey::new("admin", key),
            master: self.master.clone(),
        };
        router(state).merge(probes)
    }

    /// Serves both listeners until `stop`; then the API drains first, so that
    /// the probes answer to the end.
    async fn serve(self, listeners: Listeners, admin: axum::Router, stop: watch::Receiver<bool>) {
        let (drained, api_drained) = watch::channel(false);
        let admin = tokio::spawn(serve(
            listeners.admin,
            self.limits.clone(),
            move |request, _| {
                let admin = admin.clone();
                async move { infallible(admin.oneshot(request).await) }
            },
            until(api_drained),
        ));
        let pruning = tokio::spawn(prune(
            self.view,
            self.uses,
            self.refusals,
            self.store.clone(),
        ));
        let (draining, front) = (self.draining, self.front);
        let stopped = async move {
            until(stop).await;
            draining.store(true, Ordering::SeqCst);
            tracing::info!("draining");
        };
        let journal = front.journal.clone();
        let answer = move |request, peer| {
            let front = front.clone();
            async move { front.answer(request, peer).await }
        };
        let told = Arc::new(move |refused: &_| refused_at_the_door(&journal, refused));
        let served = serve_told(listeners.api, self.limits, answer, told, stopped).await;
        pruning.abort();
        // The admin listener may be gone already; then nobody has to be told.
        let _ = drained.send(true);
        let _ = admin.await;
        self.store.close().await;
        tracing::info!(cut = served.cut, "stopped");
    }
}

fn url(listener: &TcpListener) -> Result<String, Failure> {
    let address = listener.local_addr().map_err(Failure::bug)?;
    Ok(format!("http://{address}"))
}

async fn bind(address: SocketAddr, what: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::unavailable(format!(
            "{what} cannot listen on {address}: {error} (name another address with --listen or \
             --admin-listen)"
        ))
    })
}

/// Starts the demo's upstream on a free port and points every guard at it. It
/// ends when the sender is dropped.
async fn start_echo(settings: &mut Settings) -> Result<watch::Sender<bool>, Failure> {
    let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0)), "the demo's echo").await?;
    let address = listener.local_addr().map_err(Failure::bug)?;
    for guard in settings
        .apis
        .iter_mut()
        .filter_map(|api| api.guard.as_mut())
    {
        guard.upstream = Some(format!("http://{address}"));
    }
    let (stop, stopped) = watch::channel(false);
    let answer = |request, _| echo::answer(request);
    tokio::spawn(serve(listener, Limits::default(), answer, until(stopped)));
    Ok(stop)
}

async fn prune(view: Arc<View>, uses: Arc<Uses>, refusals: Refusals, store: Store) {
    let mut ticks = tokio::time::interval(PRUNE_EVERY);
    loop {
        ticks.tick().await;
        let now = store.now();
        view.prune(now);
        uses.prune(now);
        refusals.sweep(now);
    }
}

/// Turns to `true` at the first SIGTERM or SIGINT; the second ends the process
/// at once.
fn stop_signal() -> Result<watch::Receiver<bool>, Failure> {
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

/// Waits for `true`, or for the sender to go.
async fn until(mut flag: watch::Receiver<bool>) {
    let _ = flag.wait_for(|set| *set).await;
}

fn infallible<T>(result: Result<T, std::convert::Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}
