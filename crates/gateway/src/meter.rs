//! What is counted of guarded requests.
//!
//! | metric | labels | |
//! | --- | --- | --- |
//! | `countersign_guarded_requests_total` | `api`, `outcome` | `allowed`, or the code of the reason |
//! | `countersign_upstream_duration_seconds` | `api` | from sending to the head of the answer, or to its failure |
//! | `countersign_upstream_broken_total` | `api` | answers that broke off after their head |

use std::sync::Arc;
use std::time::Duration;

use countersign_domain::{ApiName, Reason};
use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};

use crate::answer::Watch;

const REQUESTS: &str = "countersign_guarded_requests_total";
const BROKEN: &str = "countersign_upstream_broken_total";
const DURATION: &str = "countersign_upstream_duration_seconds";

/// The metrics of one api. The recorder must be installed before it is made.
pub(crate) struct Meter {
    api: Arc<str>,
    allowed: Counter,
    broken: Counter,
    duration: Histogram,
}

impl Meter {
    pub(crate) fn new(api: &ApiName) -> Self {
        describe_counter!(REQUESTS, "Guarded requests by api and outcome");
        describe_histogram!(
            DURATION,
            Unit::Seconds,
            "Time to the head of the upstream's answer"
        );
        describe_counter!(BROKEN, "Upstream answers that broke off after their head");
        let api: Arc<str> = api.as_str().into();
        Self {
            allowed: counter!(REQUESTS, "api" => api.clone(), "outcome" => "allowed"),
            broken: counter!(BROKEN, "api" => api.clone()),
            duration: histogram!(DURATION, "api" => api.clone()),
            api,
        }
    }

    pub(crate) fn allowed(&self) {
        self.allowed.increment(1);
    }

    pub(crate) fn refused(&self, reason: Reason) {
        counter!(REQUESTS, "api" => self.api.clone(), "outcome" => reason.code()).increment(1);
    }

    /// Watches the answer to a request, in case it breaks off.
    pub(crate) fn watch(&self, request_id: &str) -> Watch {
        Watch {
            api: Arc::clone(&self.api),
            request_id: request_id.into(),
            counter: self.broken.clone(),
        }
    }

    pub(crate) fn upstream_took(&self, took: Duration) {
        self.duration.record(took);
    }
}
