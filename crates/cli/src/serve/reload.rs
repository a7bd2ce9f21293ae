//! SIGHUP: the configuration is read again, checked, and put in place whole; if
//! anything is wrong with it, all stays as it is.
//!
//! Requests that run are finished as they began. What a listener is made of (its
//! address, limits and certificate files) stays until a restart, and a change of
//! it is told.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use countersign_server::refusals::{Event, EventKind};
use tokio::signal::unix::Signal;

use super::serving::{Serving, Shared};
use super::{ServeArgs, certificates, notify, opening};
use crate::config::{self, Overrides, ServerSection, Settings, TlsSection};

/// Reads the configuration again when it is told to.
pub(super) struct Reload {
    /// `None` for a demo, which has no file.
    file: Option<PathBuf>,
    over: Overrides,
    fixed: Fixed,
}

/// What stays until a restart, by key.
#[derive(PartialEq, Eq)]
struct Fixed(Vec<(&'static str, String)>);

impl Reload {
    /// For what `serve` was started with.
    pub(super) fn of(args: &ServeArgs, settings: &Settings) -> Self {
        Self {
            file: args.config.clone(),
            over: args.over.clone(),
            fixed: Fixed::of(settings),
        }
    }

    /// Reloads at each signal, for as long as it runs.
    pub(super) async fn run(
        self,
        mut hangups: Signal,
        shared: Shared,
        serving: Arc<ArcSwap<Serving>>,
        certificates: Vec<TlsSection>,
    ) {
        while hangups.recv().await.is_some() {
            notify::reloading();
            certificates.iter().for_each(certificates::read_again);
            let outcome = match self.reload(&shared, &serving).await {
                Ok(()) => "done",
                Err(failure) => {
                    tracing::error!("the configuration stays as it was: {failure}");
                    "refused"
                }
            };
            metrics::counter!("countersign_reloads_total", "outcome" => outcome).increment(1);
            notify::ready();
        }
    }

    async fn reload(
        &self,
        shared: &Shared,
        serving: &ArcSwap<Serving>,
    ) -> Result<(), crate::exit::Failure> {
        let Some(file) = &self.file else {
            tracing::info!("a demo has no configuration to read again");
            return Ok(());
        };
        let mut settings = config::load(file)?;
        settings.override_with(&self.over);
        for key in self.fixed.differing(&Fixed::of(&settings)) {
            tracing::warn!(key, "a change of this key needs a restart");
        }
        let loaded = opening::load_apis(
            settings.apis,
            &serving.load().apis,
            &shared.store,
            &shared.master,
        )
        .await?;
        let names: Vec<_> = loaded.apis.keys().map(ToString::to_string).collect();
        let next = shared.serving(loaded, &settings.server.addresses);
        serving.store(Arc::new(next));
        tracing::info!(apis = names.join(" "), "the configuration was read again");
        shared.refusals.note(Event {
            at: shared.store.now(),
            kind: EventKind::ConfigurationReloaded,
            detail: format!("apis: {}", names.join(" ")),
        });
        Ok(())
    }
}

impl Fixed {
    fn of(settings: &Settings) -> Self {
        let ServerSection {
            listen,
            admin_listen,
            probe_listen,
            tls,
            admin_tls,
            http2,
            proxy_protocol,
            log,
            limits,
            hashing,
            hashing_waiting,
            // Read anew with the apis.
            addresses: _,
        } = &settings.server;
        let files = |tls: &Option<TlsSection>| {
            let tls = tls.as_ref();
            format!("{:?}", tls.map(|it| (&it.certificate, &it.key)))
        };
        Self(vec![
            ("store.data", format!("{:?}", settings.data)),
            ("server.listen", listen.to_string()),
            ("server.admin_listen", admin_listen.to_string()),
            ("server.probe_listen", format!("{probe_listen:?}")),
            ("server.tls_certificate", files(tls)),
            ("server.admin_tls_certificate", files(admin_tls)),
            ("server.http2", http2.to_string()),
            ("server.client_address", proxy_protocol.to_string()),
            ("server.log", format!("{log:?}")),
            ("server, its limits", format!("{limits:?}")),
            ("server.hashing", hashing.to_string()),
            ("server.hashing_waiting", hashing_waiting.to_string()),
        ])
    }

    fn differing(&self, other: &Self) -> impl Iterator<Item = &'static str> {
        let pairs = self.0.iter().zip(&other.0);
        pairs
            .filter(|(one, other)| one != other)
            .map(|(one, _)| one.0)
    }
}
