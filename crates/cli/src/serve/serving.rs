//! What a node serves, in two parts: what lives as long as the process, and what
//! a reload of the configuration replaces.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign_admin::refusal_ring::RefusalRing;
use countersign_admin::{AdminKey, AdminState, HealthProbes, probes, router};
use countersign_dialect::Secret;
use countersign_domain::ApiName;
use countersign_gateway::{
    AddressPolicy, FirstUses, ForwardAuth, Gateway, RequestAllowances, RevocationView,
    TokenBudgets, TrustedProxies,
};
use countersign_sandbox::StoreBudgetLender;
use countersign_server::api::IssuingApi;
use countersign_server::issuer::Issuer;
use countersign_server::password::PasswordPool;
use countersign_store::Store;
use countersign_store::clock::ClockWatch;
use countersign_store::seal::MasterKey;
use metrics_exporter_prometheus::PrometheusHandle;

use super::dry_run::DryRuns;
use super::front::Front;
use super::journal::Journal;
use super::opening::OpenedNode;
use super::routing::MountedApi;

/// How many sessions are remembered as used; see [`FirstUses`].
const USES: usize = 1_000_000;

/// How many access tokens with a budget may be in use at once; see [`TokenBudgets`].
const BUDGETS: usize = 1_000_000;

/// The apis of a configuration, with their keys.
#[derive(Default)]
pub(super) struct LoadedApis {
    pub(super) apis: BTreeMap<ApiName, Arc<IssuingApi>>,
    pub(super) served: Vec<MountedApi>,
}

/// What a reload replaces.
pub(super) struct LiveConfiguration {
    /// The API listener's.
    pub(super) front: Front,
    /// The admin listener's.
    pub(super) admin: axum::Router,
    /// The apis, by name.
    pub(super) apis: Arc<BTreeMap<ApiName, Arc<IssuingApi>>>,
}

/// What lives as long as the process. Cheap to clone.
#[derive(Clone)]
pub(super) struct ProcessParts {
    pub(super) store: Store,
    pub(super) master: Arc<MasterKey>,
    pub(super) view: Arc<RevocationView>,
    pub(super) uses: Arc<FirstUses>,
    pub(super) draining: Arc<AtomicBool>,
    pub(super) refusals: RefusalRing,
    pub(super) allowances: Arc<RequestAllowances>,
    pub(super) clock_watch: Arc<ClockWatch>,
    passwords: PasswordPool,
    /// It counts logins, so a reload keeps it.
    issuer: Issuer,
    gateway: Arc<Gateway>,
    /// It has refusals to tell once more, so a reload keeps them.
    forward_auth: Arc<ForwardAuth>,
    admin_key: AdminKey,
    metrics: PrometheusHandle,
    /// The probes have a listener of their own.
    probes_alone: bool,
}

impl ProcessParts {
    /// What was opened, apart from the apis.
    pub(super) fn new(
        opened: OpenedNode,
        admin_key: &Secret,
        metrics: PrometheusHandle,
        probes_alone: bool,
    ) -> (Self, LoadedApis) {
        let marks = opened.store.clone();
        let uses = Arc::new(FirstUses::new(USES, move |session, generation| {
            marks.mark_used(session, generation);
        }));
        let budgets = TokenBudgets::new(BUDGETS, Box::new(StoreBudgetLender(opened.store.clone())));
        let allowances = RequestAllowances::new(opened.view.clone()).with_budgets(budgets);
        let allowances = Arc::new(allowances);
        let gateway = Gateway::new(opened.view.clone(), uses.clone());
        let nobody = TrustedProxies::default();
        let forward_auth = ForwardAuth::new(opened.view.clone(), uses.clone(), nobody);
        let shared = Self {
            gateway: Arc::new(gateway.with_allowances(allowances.clone())),
            forward_auth: Arc::new(forward_auth.with_allowances(allowances.clone())),
            issuer: Issuer::new(opened.store.clone(), opened.passwords.clone()),
            allowances,
            store: opened.store,
            master: opened.master,
            view: opened.view,
            uses,
            draining: Arc::default(),
            refusals: opened.refusals,
            clock_watch: opened.clock_watch,
            passwords: opened.passwords,
            admin_key: AdminKey::new("admin", admin_key),
            metrics,
            probes_alone,
        };
        (shared, opened.loaded)
    }

    /// Serves these apis.
    pub(super) fn serving(
        &self,
        loaded: LoadedApis,
        addresses: &AddressPolicy,
    ) -> LiveConfiguration {
        let apis = Arc::new(loaded.apis);
        let journal = Journal::new(self.refusals.clone(), apis.clone(), self.store.clone());
        let served = Arc::new(loaded.served);
        let dry_runs = DryRuns {
            served: served.clone(),
            apis: apis.clone(),
            view: self.view.clone(),
            allowances: self.allowances.clone(),
            trusted: addresses.trusted.clone(),
        };
        let state = AdminState {
            store: self.store.clone(),
            apis: apis.clone(),
            passwords: self.passwords.clone(),
            key: self.admin_key.clone(),
            refusals: self.refusals.clone(),
            guard: Arc::new(move |dry_run, now| dry_runs.judge(dry_run, now)),
            master: self.master.clone(),
        };
        let admin = router(state);
        let front = Front {
            apis: served,
            addresses: addresses.clone(),
            issuer: self.issuer.clone(),
            gateway: self.gateway.clone(),
            forward_auth: self.forward_auth.trusting(addresses.trusted.clone()),
            store: self.store.clone(),
            journal: Arc::new(journal),
        };
        LiveConfiguration {
            apis,
            front,
            admin: match self.probes_alone {
                true => admin,
                false => admin.merge(self.probes()),
            },
        }
    }

    /// Gives back what is lent, and closes the store.
    pub(super) async fn close(self) {
        if let Err(unlent) = self.allowances.give_back().await {
            tracing::warn!(%unlent, "a part of some budgets is lost");
        }
        self.store.close().await;
        tracing::info!("stopped");
    }

    /// `/healthz`, `/readyz` and `/metrics`.
    pub(super) fn probes(&self) -> axum::Router {
        let (draining, metrics) = (self.draining.clone(), self.metrics.clone());
        let (watch, watched) = (self.clock_watch.clone(), self.clock_watch.clone());
        probes(HealthProbes {
            store: self.store.clone(),
            standing: Arc::new(move || match draining.load(Ordering::SeqCst) {
                true => Err("draining"),
                false => Ok(()),
            }),
            degraded: Arc::new(move || watch.look().map(|doubt| doubt.to_string())),
            metrics: Arc::new(move || {
                watched.look();
                metrics.render()
            }),
        })
    }
}
