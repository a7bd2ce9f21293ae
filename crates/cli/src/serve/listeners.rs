//! The sockets of a node: bound before anything else, served until the signal to
//! stop, and drained, the API first so that the probes answer to the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use countersign_transport::{
    ExemptAddresses, Listener, ListenerLimits, Request, serve, serve_told,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower::ServiceExt;

use super::serving::LiveConfiguration;
use super::{host, notify};
use crate::config::{ServerSection, TlsSection};
use crate::exit::Failure;

/// The listeners, bound.
pub(super) struct Listeners {
    pub(super) api: TcpListener,
    pub(super) admin: TcpListener,
    pub(super) probes: Option<TcpListener>,
}

/// What they answer with.
pub(super) struct Answers {
    pub(super) serving: Arc<ArcSwap<LiveConfiguration>>,
    pub(super) probes: axum::Router,
    pub(super) draining: Arc<AtomicBool>,
}

impl Listeners {
    /// Binds what the configuration names.
    pub(crate) async fn bind(server: &ServerSection) -> Result<Self, Failure> {
        let api = bind(server.listen, "the API").await?;
        let admin = bind(server.admin_listen, "the admin API").await?;
        let probes = match server.probe_listen {
            Some(address) => Some(bind(address, "the probes").await?),
            None => None,
        };
        Ok(Self { api, admin, probes })
    }

    /// Serves until `stop`, and drains.
    pub(super) async fn serve(
        self,
        server: ServerSection,
        answers: Answers,
        stop: watch::Receiver<bool>,
    ) {
        let (drained, api_drained) = watch::channel(false);
        let limits = server.limits.clone();
        let bound = self.admin.local_addr().ok();
        let admin = secured(self.admin, server.admin_tls.as_ref());
        let admin = admin.with_exempt(trusted_proxies(&answers.serving));
        let mut others = vec![serve_admin(
            (admin, bound),
            limits.clone(),
            answers.serving.clone(),
            until(api_drained.clone()),
        )];
        if let Some(listener) = self.probes {
            let stopped = until(api_drained);
            others.push(serve_probes(listener, limits, answers.probes, stopped));
        }
        let (serving, draining) = (answers.serving, answers.draining);
        let stopped = async move {
            until(stop).await;
            draining.store(true, Ordering::SeqCst);
            notify::stopping();
            tracing::info!("draining");
        };
        let cut = serve_api(self.api, server, serving, stopped).await;
        // The other listeners may be gone already; then nobody has to be told.
        let _ = drained.send(true);
        for other in others {
            let _ = other.await;
        }
        tracing::info!(cut, "drained");
    }
}

/// Serves the API; how many connections were cut in the end.
async fn serve_api(
    listener: TcpListener,
    server: ServerSection,
    serving: Arc<ArcSwap<LiveConfiguration>>,
    stopped: impl Future<Output = ()> + Send,
) -> usize {
    let mut listener = secured(listener, server.tls.as_ref());
    listener = listener.with_exempt(trusted_proxies(&serving));
    if !server.http2 {
        listener = listener.without_http2();
    }
    if server.proxy_protocol {
        let trusted = server.addresses.trusted.networks().to_vec();
        listener = listener.with_proxy_protocol(trusted);
    }
    let at_the_door = serving.clone();
    let told = Arc::new(move |refused: &_, asked: Option<&_>| {
        let serving = at_the_door.load();
        serving.front.refused_at_the_door(refused, asked)
    });
    let answer = move |request, peer| {
        let serving = serving.load_full();
        async move { serving.front.answer(request, peer).await }
    };
    let served = serve_told(listener, server.limits, answer, told, stopped);
    served.await.cut
}

/// The proxies that are believed now: a reload may change them.
fn trusted_proxies(serving: &Arc<ArcSwap<LiveConfiguration>>) -> Arc<ExemptAddresses> {
    let serving = serving.clone();
    Arc::new(move |address| serving.load().front.addresses.trusted.has(address))
}

fn serve_admin(
    (listener, bound): (Listener, Option<SocketAddr>),
    limits: ListenerLimits,
    serving: Arc<ArcSwap<LiveConfiguration>>,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    let answer = move |request: Request, _| {
        let admin = serving.load().admin.clone();
        async move {
            match host::is_for(bound, request.headers()) {
                true => infallible(admin.oneshot(request).await),
                false => host::misdirected(),
            }
        }
    };
    tokio::spawn(async move {
        serve(listener, limits, answer, stopped).await;
    })
}

/// Answers probes until `stopped`.
pub(crate) fn serve_probes(
    listener: TcpListener,
    limits: ListenerLimits,
    probes: axum::Router,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    let bound = listener.local_addr().ok();
    let answer = move |request: Request, _| {
        let probes = probes.clone();
        async move {
            match host::is_for(bound, request.headers()) {
                true => infallible(probes.oneshot(request).await),
                false => host::misdirected(),
            }
        }
    };
    tokio::spawn(async move {
        serve(listener, limits, answer, stopped).await;
    })
}

fn secured(listener: TcpListener, tls: Option<&TlsSection>) -> Listener {
    match tls {
        Some(section) => Listener::new(listener).with_tls(section.tls.clone()),
        None => Listener::new(listener),
    }
}

/// The URL at which a listener is reached.
pub(crate) fn url(listener: &TcpListener, tls: bool) -> Result<String, Failure> {
    let address = listener.local_addr().map_err(Failure::bug)?;
    let scheme = if tls { "https" } else { "http" };
    Ok(format!("{scheme}://{address}"))
}

/// Binds an address for `what`.
pub(crate) async fn bind(address: SocketAddr, what: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::unavailable(format!("{what} cannot listen on {address}: {error}"))
            .with_help("name another address with --listen, --admin-listen or --probe-listen")
    })
}

/// Waits for `true`, or for the sender to go.
pub(crate) async fn until(mut flag: watch::Receiver<bool>) {
    let _ = flag.wait_for(|set| *set).await;
}

fn infallible<T>(result: Result<T, std::convert::Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}
