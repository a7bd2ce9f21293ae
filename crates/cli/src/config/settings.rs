//! What the server needs to know, with its defaults.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use countersign_dialect::Dialect;
use countersign_domain::ApiName;
use countersign_domain::session::Lifetimes;
use countersign_gateway::{Family, Routes, Timeouts, TrustedProxies};
use countersign_transport::Limits;

/// The whole configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    /// `[server]`.
    pub(crate) server: ServerSection,
    /// `store.data`: the data directory.
    pub(crate) data: PathBuf,
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
    /// How log lines are written.
    pub(crate) log: LogFormat,
    /// Limits of both listeners.
    pub(crate) limits: Limits,
    /// How many passwords are hashed at once.
    pub(crate) hashing: usize,
    /// How many more may wait for it.
    pub(crate) hashing_waiting: usize,
    /// The proxies whose word on addresses and requests is taken.
    pub(crate) trusted_proxies: TrustedProxies,
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
    /// Lifetimes of what it issues; the dialect's preset unless given.
    pub(crate) lifetimes: Lifetimes,
    /// Whether operators may set passwords beside generated keys.
    pub(crate) passwords: bool,
    /// What it guards; `None` for an issuer without a guard.
    pub(crate) guard: Option<GuardSection>,
}

/// The guarded part of `[apis.NAME]`.
#[derive(Debug)]
pub(crate) struct GuardSection {
    /// The guarded API's address, where the built-in proxy forwards to it.
    pub(crate) upstream: Option<String>,
    /// The paths that are guarded, and which of them are public.
    pub(crate) routes: Routes,
    /// How long the upstream may take.
    pub(crate) timeouts: Timeouts,
    /// Whether the upstream gets the caller's bearer too.
    pub(crate) forward_authorization: bool,
    /// The kind of proxy that asks for verdicts and forwards itself.
    pub(crate) forward_auth: Option<Family>,
}

impl Default for ServerSection {
    fn default() -> Self {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Self {
            listen: loopback(8080),
            admin_listen: loopback(8081),
            log: LogFormat::Text,
            limits: Limits::default(),
            hashing: std::thread::available_parallelism().map_or(1, usize::from),
            hashing_waiting: 64,
            trusted_proxies: TrustedProxies::default(),
        }
    }
}

/// The data directory unless another is named.
pub(crate) const DEFAULT_DATA: &str = "./countersign-data";

/// The longest replay window that may be configured: beyond it a thief gains
/// more than an honest client that retries.
pub(crate) const MAX_WINDOW: Duration = Duration::from_secs(300);
