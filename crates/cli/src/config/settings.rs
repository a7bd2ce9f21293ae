//! The server's settings, with their defaults.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use countersign_dialect::Dialect;
use countersign_domain::session::SessionLifetimes;
use countersign_domain::{ApiLimits, ApiName, Routes};
use countersign_gateway::{ApiSite, CorsPolicy, ProxyFamily};
use countersign_relay::UpstreamSettings;
use countersign_server::api::VariantSettings;
use countersign_server::throttle::ThrottleSettings;

use super::overrides::Overrides;
use super::server::{ServerSection, server_settings};
use super::setting::KeptValues;
use super::store::{StoreSection, store_settings};

/// The whole configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    /// `[server]`.
    pub(crate) server: ServerSection,
    /// `[store]`.
    pub(crate) store: StoreSection,
    /// `[apis.NAME]`, sorted by name.
    pub(crate) apis: Vec<ApiSection>,
}

impl Settings {
    /// What a reload cannot change, by key. All of the apis it can.
    pub(crate) fn kept_by_a_reload(&self) -> KeptValues {
        let mut kept = server_settings().kept("server", &self.server);
        kept.extend(store_settings().kept("store", &self.store));
        kept
    }

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
            self.store.data.clone_from(data);
        }
    }
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

/// The longest replay window that may be configured: beyond it a thief gains
/// more than an honest client that retries.
pub(crate) const MAX_WINDOW: Duration = Duration::from_secs(300);
