//! The faults that apply to one request, at most one of each kind.

use std::time::Duration;

use countersign_domain::Timestamp;

use crate::fault::{ClockSkew, FaultKind, RevocationTarget};

pub(crate) struct ActiveFaults(pub(crate) Vec<FaultKind>);

impl ActiveFaults {
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|kind| kind.name()).collect()
    }

    pub(crate) fn loses_the_reply(&self) -> bool {
        self.0.contains(&FaultKind::LostReply)
    }

    pub(crate) fn cuts(&self) -> bool {
        self.0.contains(&FaultKind::Cut)
    }

    pub(crate) fn forbids(&self) -> bool {
        self.0.contains(&FaultKind::Forbid)
    }

    pub(crate) fn delay(&self) -> Duration {
        let delay = |kind: &FaultKind| match kind {
            FaultKind::Delay(by) => Some(*by),
            _ => None,
        };
        self.0.iter().find_map(delay).unwrap_or_default()
    }

    pub(crate) fn status(&self) -> Option<(u16, Option<Duration>)> {
        self.0.iter().find_map(|kind| match kind {
            FaultKind::Status {
                status,
                retry_after,
            } => Some((*status, *retry_after)),
            _ => None,
        })
    }

    pub(crate) fn revokes(&self) -> Option<RevocationTarget> {
        self.0.iter().find_map(|kind| match kind {
            FaultKind::Revoke(what) => Some(*what),
            _ => None,
        })
    }

    pub(crate) fn skew(&self) -> Option<ClockSkew> {
        self.0.iter().find_map(|kind| match kind {
            FaultKind::Skew(by) => Some(*by),
            _ => None,
        })
    }

    /// The time that the vendor tells.
    pub(crate) fn skewed(&self, now: Timestamp) -> Timestamp {
        self.skew().map_or(now, |skew| skew.shift(now))
    }
}
