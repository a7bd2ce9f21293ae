//! What is counted of guarded requests.
//!
//! | metric | labels | |
//! | --- | --- | --- |
//! | `countersign_guarded_requests_total` | `api`, `outcome` | `allowed`, or the code of the reason |

use countersign_domain::{ApiName, Reason};
use countersign_relay::UpstreamMetrics;
use metrics::{Counter, counter, describe_counter};

const REQUESTS: &str = "countersign_guarded_requests_total";

/// The metrics of the requests of one api. The recorder must be installed before this is
/// created.
#[derive(Clone)]
pub(crate) struct GuardMeter {
    allowed: Counter,
    upstream: UpstreamMetrics,
}

impl GuardMeter {
    pub(crate) fn new(api: &ApiName) -> Self {
        describe_counter!(REQUESTS, "Guarded requests by api and outcome");
        let upstream = UpstreamMetrics::new(api.as_str());
        Self {
            allowed: counter!(REQUESTS, "api" => upstream.name().clone(), "outcome" => "allowed"),
            upstream,
        }
    }

    /// The metrics of the requests that are forwarded.
    pub(crate) fn upstream(&self) -> &UpstreamMetrics {
        &self.upstream
    }

    pub(crate) fn allowed(&self) {
        self.allowed.increment(1);
    }

    pub(crate) fn refused(&self, reason: Reason) {
        let api = self.upstream.name().clone();
        counter!(REQUESTS, "api" => api, "outcome" => reason.code()).increment(1);
    }
}
