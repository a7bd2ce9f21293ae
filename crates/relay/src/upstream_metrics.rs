//! What is counted of requests to an upstream, whoever judged them.
//!
//! | metric | labels | |
//! | --- | --- | --- |
//! | `countersign_upstream_duration_seconds` | `api` | from sending to the head of the answer, or to its failure |
//! | `countersign_upstream_retries_total` | `api` | requests that went once more, over a new connection |
//! | `countersign_upstream_broken_total` | `api` | answers that broke off after their head |
//! | `countersign_tunnels` | `api` | WebSocket tunnels that are open |
//! | `countersign_upstream_up` | `api` | 1 while requests are sent to the upstream, else 0 |

use std::sync::Arc;
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

use crate::answer_body::AnswerWatch;

const RETRIES: &str = "countersign_upstream_retries_total";
const BROKEN: &str = "countersign_upstream_broken_total";
const TUNNELS: &str = "countersign_tunnels";
const UP: &str = "countersign_upstream_up";
const DURATION: &str = "countersign_upstream_duration_seconds";

/// The metrics of requests to one upstream, whoever judged them. The recorder must be
/// installed before this is created.
#[derive(Clone)]
pub struct UpstreamMetrics {
    name: Arc<str>,
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
pub(crate) fn upstream_up(name: &str) -> Gauge {
    describe_gauge!(UP, "Whether requests are sent to the upstream");
    gauge!(UP, "api" => name.to_owned())
}

impl UpstreamMetrics {
    /// The metrics of the upstream with this name.
    pub fn new(name: &str) -> Self {
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
        let name: Arc<str> = name.into();
        Self {
            retries: counter!(RETRIES, "api" => name.clone()),
            broken: counter!(BROKEN, "api" => name.clone()),
            duration: histogram!(DURATION, "api" => name.clone()),
            tunnels: gauge!(TUNNELS, "api" => name.clone()),
            name,
        }
    }

    /// The name of the upstream in logs.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn retried(&self) {
        self.retries.increment(1);
    }

    /// Watches the answer to a request, in case it breaks off.
    pub(crate) fn watch(&self, request_id: &str) -> AnswerWatch {
        AnswerWatch {
            upstream: Arc::clone(&self.name),
            request_id: request_id.into(),
            counter: self.broken.clone(),
        }
    }

    /// Counts a tunnel for as long as the returned value is kept.
    pub(crate) fn tunnel(&self) -> OpenTunnel {
        self.tunnels.increment(1.0);
        OpenTunnel(self.tunnels.clone())
    }

    pub(crate) fn upstream_took(&self, took: Duration) {
        self.duration.record(took);
    }
}
