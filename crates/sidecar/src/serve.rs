//! Serves a sidecar at its address.

use std::future::Future;
use std::sync::Arc;

use arc_swap::ArcSwap;
use countersign_transport::{DrainOutcome, ListenerLimits, RefusedPageRequest, RefusedRequest};
use http::HeaderMap;

use crate::{BoundSidecar, Sidecar};

/// Serves until `shutdown`, then lets running requests finish. Each request is answered
/// by the sidecar that is current when it arrives: it can be replaced.
pub async fn serve(
    bound: BoundSidecar,
    sidecar: Arc<ArcSwap<Sidecar>>,
    limits: ListenerLimits,
    shutdown: impl Future<Output = ()> + Send,
) -> DrainOutcome {
    let entrance = bound.entrance;
    let current = sidecar.clone();
    let answer = move |request, _| {
        let sidecar = current.load_full();
        async move { sidecar.answer(request, entrance).await }
    };
    let on_refusal = move |refused: &RefusedRequest, _: Option<&RefusedPageRequest>| {
        sidecar.load().tell_refused(refused);
        HeaderMap::new()
    };
    // Programs on this machine speak HTTP/1.1.
    let listener = bound.listener.without_http2();
    countersign_transport::serve_told(listener, limits, answer, Arc::new(on_refusal), shutdown)
        .await
}
