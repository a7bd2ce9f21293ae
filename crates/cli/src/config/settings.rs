//! What the server needs to know, with its defaults.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use countersign_dialect::Dialect;
use countersign_domain::session::SessionLifetimes;
use countersign_domain::{ApiLimits, ApiName, Routes};
use countersign_gateway::{AddressPolicy, ApiSite, CorsPolicy, ProxyFamily};
use countersign_relay::UpstreamSettings;
use countersign_server::api::VariantSettings;
use countersign_server::throttle::ThrottleSettings;
use countersign_transport::{self as transport, ListenerTls};

/// The whole configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    /// `[server]`.
    pub(crate) server: ServerSection,
    /// `store.data`: the data directory.
    pub(crate) data: PathBuf,
    /// `store.clock_gap`: by how much the system's clock may be ahead of the store's
    /// at a start before it is told.
    pub(crate) clock_gap: Duration,
    /// `[apis.NAME]`, sorted by name.
    pub(crate) apis: Vec<ApiSection>,
}

/// `[server]`: listeners and their limits.
#[derive(Debug)]
pub(crate) struct ServerSection {
    /// Where the API listens.
    pub(crate) listen: SocketAddr,
    /// Where the admin API and the probes listen.
    pub(crate) admin_listen: SocketAddr,
    /// Where the probes listen alone, for who may not reach the admin API.
    pub(crate) probe_listen: Option<SocketAddr>,
    /// The certificate of the API; plain HTTP without one.
    pub(crate) tls: Option<TlsSection>,
    /// The certificate of the admin API; plain HTTP without one.
    pub(crate) admin_tls: Option<TlsSection>,
    /// Whether the API speaks HTTP/2 beside HTTP/1.1.
    pub(crate) http2: bool,
    /// Who may tell another client's address than its own, and how.
    pub(crate) addresses: AddressPolicy,
    /// Whether connections to the API begin with a PROXY protocol header.
    pub(crate) proxy_protocol: bool,
    /// How log lines are written.
    pub(crate) log: LogFormat,
    /// Limits of both listeners.
    pub(crate) limits: transport::ListenerLimits,
    /// How many passwords are hashed at once.
    pub(crate) hashing: usize,
    /// How many more may wait for it, of logins from networks that are strange to
    /// them.
    pub(crate) hashing_waiting: usize,
    /// How many more may wait for it beside those: operators, and logins from
    /// networks that are known to them.
    pub(crate) hashing_waiting_known: usize,
}

/// The certificate of a listener, read.
#[derive(Clone, Debug)]
pub(crate) struct TlsSection {
    /// The file of the certificate chain.
    pub(crate) certificate: PathBuf,
    /// The file of its key.
    pub(crate) key: PathBuf,
    /// What they hold.
    pub(crate) tls: ListenerTls,
}

/// What a command line says over a configuration file.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Overrides {
    /// The data directory [default: ./countersign-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Where the API listens [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where the admin API listens [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin_listen: Option<SocketAddr>,
    /// Where /healthz, /readyz and /metrics listen alone [default: where the admin API does]
    #[arg(long, value_name = "ADDR")]
    pub(crate) probe_listen: Option<SocketAddr>,
}

impl Overrides {
    /// The option that says the value of a key, if one does.
    pub(crate) fn flag(&self, pointer: &str) -> Option<&'static str> {
        let (given, flag) = match pointer {
            "/store/data" => (self.data.is_some(), "--data"),
            "/server/listen" => (self.listen.is_some(), "--listen"),
            "/server/admin_listen" => (self.admin_listen.is_some(), "--admin-listen"),
            "/server/probe_listen" => (self.probe_listen.is_some(), "--probe-listen"),
            _ => (false, ""),
        };
        given.then_some(flag)
    }
}

impl Settings {
    /// Gives both ends of a tunnel one limit.
    pub(crate) fn agree_on_tunnels(&mut self) {
        let idle = self.server.limits.tunnel_idle_timeout;
        let guards = self.apis.iter_mut().filter_map(|api| api.guard.as_mut());
        for upstream in guards.filter_map(|guard| guard.upstream.as_mut()) {
            upstream.settings.timeouts.tunnel_idle = idle;
        }
    }

    /// Puts what the command line says over what the file does.
    pub(crate) fn override_with(&mut self, over: &Overrides) {
        let server = &mut self.server;
        server.listen = over.listen.unwrap_or(server.listen);
        server.admin_listen = over.admin_listen.unwrap_or(server.admin_listen);
        server.probe_listen = over.probe_listen.or(server.probe_listen);
        if let Some(data) = &over.data {
            self.data.clone_from(data);
        }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[apis.NAME]`.
#[derive(Debug)]
pub(crate) struct ApiSection {
    /// The name.
    pub(crate) name: ApiName,
    /// The wire format.
    pub(crate) dialect: Arc<Dialect>,
    /// Where on the listener it is.
    pub(crate) site: ApiSite,
    /// Lifetimes of what it issues; the dialect's preset unless given.
    pub(crate) lifetimes: SessionLifetimes,
    /// The variants that the dialect's preset treats otherwise.
    pub(crate) variants: Vec<VariantSettings>,
    /// What each of its accounts may do; the dialect's budget unless given.
    pub(crate) limits: ApiLimits,
    /// How often its logins may be tried; the dialect's preset unless given.
    pub(crate) throttle: ThrottleSettings,
    /// Whether operators may set passwords beside generated keys.
    pub(crate) passwords: bool,
    /// Whose pages may call it; `None` for no other origin's.
    pub(crate) cors: Option<CorsPolicy>,
    /// What it guards; `None` for an issuer without a guard.
    pub(crate) guard: Option<GuardSection>,
}

/// The guarded part of `[apis.NAME]`.
#[derive(Debug)]
pub(crate) struct GuardSection {
    /// The guarded API, where the built-in proxy forwards to it.
    pub(crate) upstream: Option<UpstreamSection>,
    /// The kind of proxy that asks for verdicts, where another forwards.
    pub(crate) forward_auth: Option<ProxyFamily>,
    /// The paths that are guarded, and which of them are public.
    pub(crate) routes: Routes,
    /// Whether the upstream gets the caller's bearer too.
    pub(crate) forward_authorization: bool,
}

/// The guarded API of the built-in proxy.
#[derive(Debug)]
pub(crate) struct UpstreamSection {
    /// What it is.
    pub(crate) settings: UpstreamSettings,
    /// The file of the authorities that may certify it; else the system's.
    pub(crate) ca: Option<PathBuf>,
}

impl ServerSection {
    /// The certificates of all listeners.
    pub(crate) fn certificates(&self) -> Vec<TlsSection> {
        let all = [&self.tls, &self.admin_tls];
        all.into_iter().flatten().cloned().collect()
    }
}

impl Default for ServerSection {
    fn default() -> Self {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Self {
            listen: loopback(8080),
            admin_listen: loopback(8081),
            probe_listen: None,
            tls: None,
            admin_tls: None,
            http2: true,
            addresses: AddressPolicy::default(),
            proxy_protocol: false,
            log: LogFormat::Text,
            limits: transport::ListenerLimits {
                max_connections_per_address: Some(share_of(
                    transport::ListenerLimits::default().max_connections,
                )),
                ..transport::ListenerLimits::default()
            },
            hashing: std::thread::available_parallelism().map_or(1, usize::from),
            hashing_waiting: 64,
            hashing_waiting_known: 512,
        }
    }
}

/// How many of so many connections an address may hold unless it is said: enough
/// for a browser or two even where there are few.
pub(crate) fn share_of(max_connections: usize) -> usize {
    (max_connections / 4).max(16)
}

/// The data directory unless another is named.
pub(crate) const DEFAULT_DATA: &str = "./countersign-data";

/// How far ahead of the store's the system's clock may be at a start unless another
/// span is named.
pub(crate) const DEFAULT_CLOCK_GAP: Duration = Duration::from_secs(30 * 86_400);

/// The longest replay window that may be configured: beyond it a thief gains
/// more than an honest client that retries.
pub(crate) const MAX_WINDOW: Duration = Duration::from_secs(300);
