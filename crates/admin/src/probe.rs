//! `/healthz`, `/readyz` and `/metrics`, without a key, for whatever monitors the
//! process. They say that it runs and whether it wants traffic, and return metrics.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::problem::AdminProblem;
use countersign_store::Store;

/// What the probes check. Cheap to clone.
#[derive(Clone)]
pub struct HealthProbes {
    /// The store, which must answer for the process to be ready.
    pub store: Store,
    /// Why the process does not want traffic now (for example because it is draining), in
    /// a word or two; `Ok` if it does.
    pub standing: Arc<dyn Fn() -> Result<(), &'static str> + Send + Sync>,
    /// Why somebody should look at the process although it serves requests, if there is a
    /// reason.
    pub degraded: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    /// Writes all metrics in the Prometheus text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

#[derive(Serialize)]
struct ProbeStatus {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The routes of the probes; the router they are merged with handles other paths.
pub fn probes(probes: HealthProbes) -> Router {
    Router::new()
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(no_such_method)
        .with_state(probes)
}

async fn healthy() -> Json<ProbeStatus> {
    Json(ProbeStatus {
        status: "ok",
        reason: None,
    })
}

async fn ready(State(probes): State<HealthProbes>) -> Response {
    let standing = (probes.standing)().map_err(str::to_owned);
    let ready = match standing {
        Ok(()) => probes.store.ready().await.map_err(|why| why.to_string()),
        no => no,
    };
    let (code, status, reason) = match ready {
        Ok(()) => match (probes.degraded)() {
            None => (StatusCode::OK, "ready", None),
            // It keeps its traffic: nothing else would serve better.
            why => (StatusCode::OK, "degraded", why),
        },
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, "not ready", Some(why)),
    };
    (code, Json(ProbeStatus { status, reason })).into_response()
}

async fn metrics(State(probes): State<HealthProbes>) -> Response {
    let media = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, media)], (probes.metrics)()).into_response()
}

async fn no_such_method(method: Method, uri: Uri) -> AdminProblem {
    AdminProblem::method_not_allowed(&method, uri.path())
}
