//! What is counted of guarded requests.
//!
//! | metric | labels | |
//! | --- | --- | --- |
//! | `countersign_guarded_requests_total` | `api`, `outcome` | `allowed`, or the code of the reason |
//! | `countersign_upstream_duration_seconds` | `api` | from sending to the head of the answer, or to its failure |
//! | `countersign_upstream_retries_total` | `api` | requests that went once more, over a new connection |
//! | `countersign_upstream_broken_total` | `api` | answers that broke off after their head |
//! | `countersign_tunnels` | `api` | WebSocket tunnels that are open |
//! | `countersign_upstream_up` | `api` | 1 while requests are sent to the upstream, else 0 |

use std::sync::Arc;
use std::time::Duration;

use countersign_domain::{ApiName, Reason};
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

use crate::answer::Watch;

const REQUESTS: &str = "countersign_guarded_requests_total";
const RETRIES: &str = "countersign_upstream_retries_total";
const BROKEN: &str = "countersign_upstream_broken_total";
const TUNNELS: &str = "countersign_tunnels";
const UP: &str = "countersign_upstream_up";
const DURATION: &str = "countersign_upstream_duration_seconds";

/// What is counted of the requests of one api. The recorder must be installed before
/// it is made.
#[derive(Clone)]
pub(crate) struct GuardMeter {
    allowed: Counter,
    upstream: Meter,
}

/// What is counted of the requests to one upstream, whoever judged them. The recorder
/// must be installed before it is made.
#[derive(Clone)]
pub(crate) struct Meter {
    api: Arc<str>,
    retries: Counter,
    broken: Counter,
    duration: Histogram,
    tunnels: Gauge,
}

/// One tunnel, counted as open.
pub(crate) struct OpenTunnel(Gauge);

impl Drop for OpenTunnel {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Whether requests are sent to the upstream of an api.
pub(crate) fn upstream_up(api: &ApiName) -> Gauge {
    describe_gauge!(UP, "Whether requests are sent to the upstream");
    gauge!(UP, "api" => api.as_str().to_owned())
}

impl GuardMeter {
    pub(crate) fn new(api: &ApiName) -> Self {
        describe_counter!(REQUESTS, "Guarded requests by api and outcome");
        let upstream = Meter::new(api);
        Self {
            allowed: counter!(REQUESTS, "api" => upstream.api.clone(), "outcome" => "allowed"),
            upstream,
        }
    }

    /// What is counted of the requests that go on.
    pub(crate) fn upstream(&self) -> &Meter {
        &self.upstream
    }

    pub(crate) fn allowed(&self) {
        self.allowed.increment(1);
    }

    pub(crate) fn refused(&self, reason: Reason) {
        let api = self.upstream.api.clone();
        counter!(REQUESTS, "api" => api, "outcome" => reason.code()).increment(1);
    }
}

impl Meter {
    pub(crate) fn new(api: &ApiName) -> Self {
        describe_histogram!(
            DURATION,
            Unit::Seconds,
            "Time to the head of the upstream's answer"
        );
        describe_gauge!(TUNNELS, "WebSocket tunnels that are open");
        describe_counter!(
            RETRIES,
            "Requests that went once more, over a new connection"
        );
        describe_counter!(BROKEN, "Upstream answers that broke off after their head");
        let api: Arc<str> = api.as_str().into();
        Self {
            retries: counter!(RETRIES, "api" => api.clone()),
            broken: counter!(BROKEN, "api" => api.clone()),
            duration: histogram!(DURATION, "api" => api.clone()),
            tunnels: gauge!(TUNNELS, "api" => api.clone()),
            api,
        }
    }

    /// What it is called in logs.
    pub(crate) fn api(&self) -> &str {
        &self.api
    }

    pub(crate) fn retried(&self) {
        self.retries.increment(1);
    }

    /// Watches the answer to a request, in case it breaks off.
    pub(crate) fn watch(&self, request_id: &str) -> Watch {
        Watch {
            api: Arc::clone(&self.api),
            request_id: request_id.into(),
            counter: self.broken.clone(),
        }
    }

    /// Counts a tunnel for as long as the answer is kept.
    pub(crate) fn tunnel(&self) -> OpenTunnel {
        self.tunnels.increment(1.0);
        OpenTunnel(self.tunnels.clone())
    }

    pub(crate) fn upstream_took(&self, took: Duration) {
        self.duration.record(took);
    }
}
