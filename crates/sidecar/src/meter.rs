//! What is counted of the requests of programs.
//!
//! | metric | labels | |
//! | --- | --- | --- |
//! | `countersign_sidecar_requests_total` | `profile`, `status`, `answered_by` | answers by the class of their status, `2xx` and so on; `answered_by` is `vendor` or `sidecar` |

use countersign_domain::ApiName;
use http::StatusCode;
use metrics::{Counter, counter, describe_counter};

const REQUESTS: &str = "countersign_sidecar_requests_total";

/// The classes of a status, from 1xx on.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The metrics of the requests of one profile. The recorder must be installed before this
/// is created.
pub(crate) struct SidecarMeter {
    vendor: [Counter; 5],
    sidecar: [Counter; 5],
}

/// Who answered a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnsweredBy {
    /// The vendor, to which the request was forwarded.
    Vendor,
    /// The sidecar itself, which did not forward the request or got no answer.
    Sidecar,
}

impl AnsweredBy {
    /// The name in metrics and logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Vendor => "vendor",
            Self::Sidecar => "sidecar",
        }
    }
}

impl SidecarMeter {
    pub(crate) fn new(profile: &ApiName) -> Self {
        describe_counter!(REQUESTS, "Requests by profile, status and what answered");
        let counters = |by: AnsweredBy| {
            CLASSES.map(|class| {
                let profile = profile.as_str().to_owned();
                counter!(REQUESTS, "profile" => profile, "status" => class, "answered_by" => by.name())
            })
        };
        Self {
            vendor: counters(AnsweredBy::Vendor),
            sidecar: counters(AnsweredBy::Sidecar),
        }
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, by: AnsweredBy, status: StatusCode) {
        let counters = match by {
            AnsweredBy::Vendor => &self.vendor,
            AnsweredBy::Sidecar => &self.sidecar,
        };
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = counters.get(class) {
            counter.increment(1);
        }
    }
}
