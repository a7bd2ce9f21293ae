//! SIGHUP: the configuration is read again, checked, and put in place whole; if
//! anything is wrong with it, all stays as it is.
//!
//! Requests that run are finished as they began. What a listener is made of (its
//! address, limits and certificate files) stays until a restart, and a change of
//! it is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use countersign_admin::refusal_ring::{EventKind, ServerEvent};
use countersign_gateway::AddressPolicy;
use tokio::signal::unix::Signal;

use super::arguments::{ServeArgs, serves_something};
use super::serving::{LiveConfiguration, ProcessParts};
use super::{certificates, notify, opening};
use crate::config::{self, KeptValues, Overrides, ServerSection, Settings, TlsSection};
use crate::exit::Failure;

/// Reads the configuration again when it is told to.
pub(super) struct ConfigurationReload {
    /// `None` for a demo, which has no file.
    file: Option<PathBuf>,
    over: Overrides,
    /// What stays until a restart.
    kept: KeptValues,
    proxy_protocol: bool,
    addresses: AddressPolicy,
}

impl ConfigurationReload {
    /// For what `serve` was started with.
    pub(super) fn new(args: &ServeArgs, settings: &Settings) -> Self {
        Self {
            file: args.config.clone(),
            over: args.over.clone(),
            kept: settings.kept_by_a_reload(),
            proxy_protocol: settings.server.proxy_protocol,
            addresses: settings.server.addresses.clone(),
        }
    }

    /// Reloads at each signal, for as long as it runs.
    pub(super) async fn run(
        self,
        mut hangups: Signal,
        shared: ProcessParts,
        serving: Arc<ArcSwap<LiveConfiguration>>,
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
        shared: &ProcessParts,
        serving: &ArcSwap<LiveConfiguration>,
    ) -> Result<(), Failure> {
        let Some(file) = &self.file else {
            tracing::info!("a demo has no configuration to read again");
            return Ok(());
        };
        let settings = self.settings(file)?;
        for key in differing(&self.kept, &settings.kept_by_a_reload()) {
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
        let next = shared.serving(loaded, self.addresses(&settings.server));
        serving.store(Arc::new(next));
        tracing::info!(apis = names.join(" "), "the configuration was read again");
        shared.refusals.note(ServerEvent {
            at: shared.store.now(),
            kind: EventKind::ConfigurationReloaded,
            detail: format!("apis: {}", names.join(" ")),
        });
        Ok(())
    }

    /// Whom to believe about addresses. Where the listener speaks the PROXY
    /// protocol, or would after a restart, all of that stays as it was: half of
    /// the change would take the proxy for the client, or a client for a proxy.
    fn addresses<'s>(&'s self, next: &'s ServerSection) -> &'s AddressPolicy {
        if self.proxy_protocol || next.proxy_protocol {
            &self.addresses
        } else {
            &next.addresses
        }
    }

    /// What the file says now.
    ///
    /// A pipe, as a shell makes for `--config <(…)`, has nothing to say a second
    /// time: reading it would wait for ever.
    fn settings(&self, file: &Path) -> Result<Settings, Failure> {
        if std::fs::metadata(file).is_ok_and(|it| !it.is_file()) {
            return Err(Failure::usage(format!(
                "the configuration {} is not a file, so it cannot be read again",
                file.display()
            )));
        }
        let settings = config::load(file, &self.over)?;
        serves_something(settings)
    }
}

/// The keys of what stays until a restart, and would be another then.
fn differing(now: &KeptValues, then: &KeptValues) -> Vec<String> {
    let pairs = now.iter().zip(then);
    let differing = pairs.filter(|(now, then)| now != then);
    differing.map(|((key, _), _)| key.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn settings(client_address: &str, proxies: &str) -> Settings {
        let text = format!(
            "[server]\nclient_address = '{client_address}'\ntrusted_proxies = ['{proxies}']\n"
        );
        config::read(&text, "test.toml", Path::new(".")).unwrap()
    }

    /// What stays of `before` when `after` is read, and which proxies are trusted then.
    fn reloaded(before: &Settings, after: &Settings) -> (Vec<String>, AddressPolicy) {
        let reload = ConfigurationReload {
            file: None,
            over: Overrides::default(),
            kept: before.kept_by_a_reload(),
            proxy_protocol: before.server.proxy_protocol,
            addresses: before.server.addresses.clone(),
        };
        let kept = differing(&reload.kept, &after.kept_by_a_reload());
        (kept, reload.addresses(&after.server).clone())
    }

    #[test]
    fn each_key_that_differs_is_named_by_itself() {
        let read = |text: &str| config::read(text, "test.toml", Path::new(".")).unwrap();
        let before = read("");
        let after = read(
            "[server]\nidle_timeout = '1s'\nmax_connections = 8\nhttp2 = true\n\
             [store]\nclock_gap = '1d'",
        );
        let (kept, _) = reloaded(&before, &after);
        assert_eq!(
            kept,
            [
                "server.idle_timeout",
                "server.max_connections",
                "server.max_connections_per_address",
                "store.clock_gap"
            ]
        );
    }

    #[test]
    fn whom_headers_are_believed_from_changes_at_once() {
        let before = settings("forwarded", "10.0.0.0/8");
        let after = settings("x-forwarded-for", "10.1.0.0/16");
        let expected = (vec![], after.server.addresses.clone());
        assert_eq!(reloaded(&before, &after), expected);
    }

    #[test]
    fn what_the_proxy_protocol_is_a_part_of_stays_whole() {
        let spoken = settings("proxy-protocol", "10.0.0.0/8");
        let of_others = settings("proxy-protocol", "10.1.0.0/16");
        let told = settings("x-forwarded-for", "10.0.0.0/8");
        let (by, from) = ("server.client_address", "server.trusted_proxies");
        for (before, after, fixed) in [
            (&spoken, &of_others, vec![from]),
            (&spoken, &told, vec![from, by]),
            (&told, &spoken, vec![from, by]),
        ] {
            let fixed = fixed.into_iter().map(str::to_owned).collect();
            let expected = (fixed, before.server.addresses.clone());
            assert_eq!(reloaded(before, after), expected);
        }
    }
}
