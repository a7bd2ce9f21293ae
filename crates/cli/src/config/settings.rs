//! The server's settings, with their defaults.

use super::api::ApiSection;
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
    /// What a reload cannot change, by key. It can change everything in `[apis]`.
    pub(crate) fn kept_by_a_reload(&self) -> KeptValues {
        let mut kept = server_settings().kept_values("server", &self.server);
        kept.extend(store_settings().kept_values("store", &self.store));
        kept
    }

    /// Gives both ends of a tunnel the same limit.
    pub(crate) fn agree_on_tunnels(&mut self) {
        let idle = self.server.limits.tunnel_idle_timeout;
        let guards = self.apis.iter_mut().filter_map(|api| api.guard.as_mut());
        for upstream in guards.filter_map(|guard| guard.upstream.as_mut()) {
            upstream.settings.timeouts.tunnel_idle = idle;
        }
    }

    /// Replaces values of the file by those of the command line.
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
