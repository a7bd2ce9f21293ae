//! `/healthz`, `/readyz` and `/metrics`, on a listener of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use countersign_sidecar::Sidecar;
use http::{StatusCode, header};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};

/// The profiles that the last reload found wrong, and that are served as they were.
pub(super) type OutdatedProfiles = Arc<ArcSwap<Vec<String>>>;

/// What the probes look at.
#[derive(Clone)]
pub(super) struct ProbeState {
    pub(super) sidecars: Vec<(String, Arc<ArcSwap<Sidecar>>)>,
    /// Profiles that are wrong, and not served.
    pub(super) absent: Vec<String>,
    /// Profiles that were found wrong while they were served, and stay as they were.
    pub(super) outdated: OutdatedProfiles,
    pub(super) draining: Arc<AtomicBool>,
    pub(super) metrics: PrometheusHandle,
}

/// What answers them.
pub(super) fn probes(probed: ProbeState) -> axum::Router {
    axum::Router::new()
        .route("/healthz", get(async || Json(json!({ "status": "ok" }))))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(probed)
}

/// Ready is who has a token for every profile that is served, or can get one. A profile
/// that is wrong takes no traffic from the others.
async fn ready(State(probed): State<ProbeState>) -> Response {
    let reasons = match probed.draining.load(Ordering::SeqCst) {
        true => vec!["draining".to_owned()],
        false => probed.reasons().await,
    };
    let absent = probed.wrong();
    let (status, document): (StatusCode, Value) = match (reasons.is_empty(), absent.is_empty()) {
        (true, true) => (StatusCode::OK, json!({ "status": "ready" })),
        (true, false) => (
            StatusCode::OK,
            json!({ "status": "degraded", "reasons": absent }),
        ),
        (false, _) => (
            StatusCode::SERVICE_UNAVAILABLE,
            json!({ "status": "not ready", "reasons": ([reasons, absent].concat()) }),
        ),
    };
    (status, Json(document)).into_response()
}

async fn metrics(State(probed): State<ProbeState>) -> Response {
    let media = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, media)], probed.metrics.render()).into_response()
}

impl ProbeState {
    /// Why profiles have no token; they are asked at the same time.
    async fn reasons(&self) -> Vec<String> {
        let mut asked = tokio::task::JoinSet::new();
        for (name, current) in self.sidecars.clone() {
            let sidecar = current.load_full();
            asked.spawn(async move {
                let told = sidecar.ready().await;
                told.map_err(|error| format!("{name}: {}", error.message))
            });
        }
        let mut reasons: Vec<_> = asked
            .join_all()
            .await
            .into_iter()
            .filter_map(Result::err)
            .collect();
        reasons.sort();
        reasons
    }

    /// What is said of the profiles that are wrong.
    fn wrong(&self) -> Vec<String> {
        let absent = self.absent.iter();
        let absent = absent.map(|name| format!("{name}: the profile is wrong, and not served"));
        let outdated = self.outdated.load();
        let outdated = outdated.iter();
        let outdated = outdated
            .map(|name| format!("{name}: the profile is wrong now, and served as it was before"));
        absent.chain(outdated).collect()
    }
}
