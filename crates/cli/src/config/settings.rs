//! What the server needs to know, with its defaults.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use countersign_dialect::Dialect;
use countersign_domain::ApiName;
use countersign_domain::session::Lifetimes;
use countersign_gateway::{Routes, Timeouts};
use countersign_transport::Limits;

/// The whole configuration.
#[derive(Debug)]
pub struct Settings {
    /// `[server]`.
    pub server: ServerSection,
    /// `store.data`: the data directory.
    pub data: PathBuf,
    /// `[apis.NAME]`, sorted by name.
    pub apis: Vec<ApiSection>,
}

/// `[server]`: listeners and their limits.
#[derive(Debug)]
pub struct ServerSection {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where the admin API and the probes listen.
    pub admin_listen: SocketAddr,
    /// How log lines are written.
    pub log: LogFormat,
    /// Limits of both listeners.
    pub limits: Limits,
    /// How many passwords are hashed at once.
    pub hashing: usize,
    /// How many more may wait for it.
    pub hashing_waiting: usize,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[apis.NAME]`.
#[derive(Debug)]
pub struct ApiSection {
    /// The name.
    pub name: ApiName,
    /// The wire format.
    pub dialect: Arc<Dialect>,
    /// Lifetimes of what it issues; the dialect's preset unless given.
    pub lifetimes: Lifetimes,
    /// Whether operators may set passwords beside generated keys.
    pub passwords: bool,
    /// What it guards; `None` for an issuer without a guard.
    pub guard: Option<GuardSection>,
}

/// The guarded part of `[apis.NAME]`.
#[derive(Debug)]
pub struct GuardSection {
    /// The guarded API's address.
    pub upstream: String,
    /// The paths that are guarded, and which of them are public.
    pub routes: Routes,
    /// How long the upstream may take.
    pub timeouts: Timeouts,
    /// Whether the upstream gets the caller's bearer too.
    pub forward_authorization: bool,
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
        }
    }
}

/// The data directory unless another is named.
pub const DEFAULT_DATA: &str = "./countersign-data";

/// The longest replay window that may be configured: beyond it a thief gains
/// more than an honest client that retries.
pub const MAX_WINDOW: Duration = Duration::from_secs(300);
