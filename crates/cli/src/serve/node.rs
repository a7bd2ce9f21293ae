//! One running node: opens the data directory, serves both listeners, drains.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign_dialect::Secret;
use countersign_domain::{ApiName, Timestamp};
use countersign_gateway::{Gateway, GuardedApi, Upstream, Uses, View};
use countersign_server::admin::{AdminKey, AdminState, Probes, probes, router};
use countersign_server::api::{Api, ApiSettings};
use countersign_server::clock::Clock;
use countersign_server::issuer::Issuer;
use countersign_server::password::Passwords;
use countersign_server::seal::MasterKey;
use countersign_server::store::Store;
use countersign_transport::{Limits, serve};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tower::ServiceExt;

use super::data::{DataDirectory, write_private};
use super::demo::Demo;
use super::front::{Front, Served};
use super::{echo, telemetry};
use crate::config::{ApiSection, Settings};
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
    let api_listener = bind(settings.server.listen, "the API").await?;
    let admin_listener = bind(settings.server.admin_listen, "the admin API").await?;
    let view = Arc::new(View::new());
    let (store, master) = open_store(&directory, &view).await?;
    let echo = if demo {
        Some(start_echo(&mut settings).await?)
    } else {
        None
    };
    let (apis, served) = load_apis(settings.apis, &store, &master).await?;
    let demo = if demo {
        directory.withdraw_demo()?;
        Some(Demo::prepare(&directory, &apis, &store).await?)
    } else {
        None
    };
    feed(&view, &store).await?;
    let passwords = Passwords::new(settings.server.hashing, settings.server.hashing_waiting)
        .map_err(Failure::bug)?;
    let (admin_key, key_is_new) = directory.admin_key()?;
    let draining = Arc::new(AtomicBool::new(false));
    let admin = admin_service(
        AdminState {
            store: store.clone(),
            apis: Arc::new(apis.clone()),
            passwords: passwords.clone(),
            key: AdminKey::new("admin", &admin_key),
        },
        metrics,
        draining.clone(),
    );
    let uses = Arc::new(uses(&store));
    let front = Arc::new(Front {
        apis: served,
        issuer: Issuer::new(store.clone(), passwords),
        gateway: Gateway::new(view.clone(), uses.clone()),
        store: store.clone(),
    });
    let urls = Urls::of(&api_listener, &admin_listener)?;
    let node = Node {
        limits: settings.server.limits,
        store,
        view,
        uses,
        draining,
    };
    let serving = node.serve(front, api_listener, admin, admin_listener, stop);
    let serving = tokio::spawn(serving);
    directory.publish_admin_url(&urls.admin)?;
    announce(
        &directory,
        &urls,
        &admin_key,
        key_is_new,
        demo.as_ref(),
        &apis,
        output,
    )?;
    let ended = serving.await.map_err(Failure::bug);
    drop(echo);
    ended
}

/// What serving and draining need.
struct Node {
    limits: Limits,
    store: Store,
    view: Arc<View>,
    uses: Arc<Uses>,
    draining: Arc<AtomicBool>,
}

impl Node {
    /// Serves both listeners until `stop`; then the API drains first, so that
    /// the probes answer to the end.
    async fn serve(
        self,
        front: Arc<Front>,
        api: TcpListener,
        admin: axum::Router,
        admin_listener: TcpListener,
        stop: watch::Receiver<bool>,
    ) {
        let (drained, api_drained) = watch::channel(false);
        let admin_limits = self.limits.clone();
        let admin = tokio::spawn(serve(
            admin_listener,
            admin_limits,
            move |request, _| {
                let admin = admin.clone();
                async move { infallible(admin.oneshot(request).await) }
            },
            until(api_drained),
        ));
        let pruning = tokio::spawn(prune(self.view, self.uses, self.store.clone()));
        let draining = self.draining;
        let stopped = async move {
            until(stop).await;
            draining.store(true, Ordering::SeqCst);
            tracing::info!("draining");
        };
        let answer = move |request, peer| {
            let front = front.clone();
            async move { front.answer(request, peer).await }
        };
        let served = serve(api, self.limits, answer, stopped).await;
        pruning.abort();
        // The admin listener may be gone already; then nobody has to be told.
        let _ = drained.send(true);
        let _ = admin.await;
        self.store.close().await;
        tracing::info!(cut = served.cut, "stopped");
    }
}

/// Where the two listeners are reached.
struct Urls {
    api: String,
    admin: String,
}

impl Urls {
    fn of(api: &TcpListener, admin: &TcpListener) -> Result<Self, Failure> {
        let url = |listener: &TcpListener| {
            let address = listener.local_addr().map_err(Failure::bug)?;
            Ok::<_, Failure>(format!("http://{address}"))
        };
        Ok(Self {
            api: url(api)?,
            admin: url(admin)?,
        })
    }
}

async fn bind(address: SocketAddr, what: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::unavailable(format!(
            "{what} cannot listen on {address}: {error} (name another address with --listen or \
             --admin-listen)"
        ))
    })
}

/// Opens the store, whose every commit tells `view` before it is acknowledged.
async fn open_store(
    directory: &DataDirectory,
    view: &Arc<View>,
) -> Result<(Store, MasterKey), Failure> {
    let path = directory.store();
    let clock = Clock::system(Timestamp::default());
    let (told, now) = (view.clone(), clock.clone());
    let store = Store::open(&path, clock, move |notices| {
        for notice in notices {
            told.apply(notice, now.now());
        }
    })
    .map_err(|error| Failure::usage(error.to_string()))?;
    let is_new = !store.has_master().await.map_err(Failure::unavailable)?;
    let master = directory.master_key(is_new)?;
    let checked = store.check_master(&master).await;
    checked.map_err(|error| Failure::usage(error.to_string()))?;
    Ok((store, master))
}

/// Tells `view` all that was so before this start.
async fn feed(view: &View, store: &Store) -> Result<(), Failure> {
    for notice in store.snapshot().await.map_err(Failure::unavailable)? {
        view.apply(&notice, store.now());
    }
    Ok(())
}

fn uses(store: &Store) -> Uses {
    let store = store.clone();
    Uses::new(USES, move |session, generation| {
        store.mark_used(session, generation);
    })
}

async fn load_apis(
    sections: Vec<ApiSection>,
    store: &Store,
    master: &MasterKey,
) -> Result<(BTreeMap<ApiName, Arc<Api>>, Vec<Served>), Failure> {
    let mut apis = BTreeMap::new();
    let mut served = Vec::new();
    for section in sections {
        let settings = ApiSettings {
            name: section.name.clone(),
            dialect: section.dialect.clone(),
            lifetimes: section.lifetimes,
            passwords: section.passwords,
        };
        let api = Api::load(settings, store, master).await;
        let api = Arc::new(api.map_err(|fault| Failure::usage(fault.to_string()))?);
        let guarded = section.guard.map(|guard| {
            let upstream = Upstream::new(&guard.upstream, guard.timeouts).map_err(Failure::bug)?;
            let dialect = section.dialect.clone();
            let guarded =
                GuardedApi::new(section.name, dialect, api.tokens(), guard.routes, upstream)
                    .with_static_keys(api.pepper.clone());
            Ok::<_, Failure>(match guard.forward_authorization {
                true => guarded.forwarding_authorization(),
                false => guarded,
            })
        });
        apis.insert(api.name().clone(), api.clone());
        served.push(Served {
            api,
            guarded: guarded.transpose()?,
        });
    }
    Ok((apis, served))
}

fn admin_service(
    state: AdminState,
    metrics: PrometheusHandle,
    draining: Arc<AtomicBool>,
) -> axum::Router {
    let probes = probes(Probes {
        store: state.store.clone(),
        standing: Arc::new(move || match draining.load(Ordering::SeqCst) {
            true => Err("draining"),
            false => Ok(()),
        }),
        metrics: Arc::new(move || metrics.render()),
    });
    router(state).merge(probes)
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
        guard.upstream = format!("http://{address}");
    }
    let (stop, stopped) = watch::channel(false);
    let answer = |request, _| echo::answer(request);
    tokio::spawn(serve(listener, Limits::default(), answer, until(stopped)));
    Ok(stop)
}

async fn prune(view: Arc<View>, uses: Arc<Uses>, store: Store) {
    let mut ticks = tokio::time::interval(PRUNE_EVERY);
    loop {
        ticks.tick().await;
        let now = store.now();
        view.prune(now);
        uses.prune(now);
    }
}

fn announce(
    directory: &DataDirectory,
    urls: &Urls,
    admin_key: &Secret,
    key_is_new: bool,
    demo: Option<&Demo>,
    apis: &BTreeMap<ApiName, Arc<Api>>,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut text = format!("API    {}\nadmin  {}\n", urls.api, urls.admin);
    if key_is_new {
        let file = directory.admin_key_file();
        text.push_str(&format!(
            "admin key, shown this once and kept in {}:\n  {}\n",
            file.display(),
            admin_key.expose()
        ));
    }
    if let Some(demo) = demo {
        let manifest = demo.manifest(&urls.api, &urls.admin, admin_key);
        let manifest = serde_json::to_string_pretty(&manifest).map_err(Failure::bug)?;
        text.push_str(&demo.curl_lines(&urls.api, apis));
        write_private(&directory.demo(), &manifest)?;
    }
    output.text(&text)
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
