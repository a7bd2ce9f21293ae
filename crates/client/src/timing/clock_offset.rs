//! How far the vendor's clock is ahead of ours.

use std::time::Duration;

use countersign_domain::Timestamp;

/// Bounds widen by one part in this many: clocks drift, and each may be slewed by up
/// to 500 ppm.
const DRIFT: u64 = 1000;

/// A request and its reply, by our clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundTrip {
    pub(crate) sent_at: Timestamp,
    pub(crate) arrived_at: Timestamp,
}

impl RoundTrip {
    /// The instant `life` after the vendor replied, which was within the round trip.
    pub(crate) fn and_then(self, life: Duration) -> InstantRange {
        InstantRange {
            earliest: self.sent_at + life,
            latest: self.arrived_at + life,
        }
    }
}

/// Where an instant of the vendor's clock may lie on ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InstantRange {
    pub(crate) earliest: Timestamp,
    pub(crate) latest: Timestamp,
}

/// Bounds of how far the vendor's clock is ahead of ours, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClockOffset {
    least: i64,
    most: i64,
    /// When they were observed, by our clock.
    seen_at: Timestamp,
}

impl ClockOffset {
    /// The vendor's clock shows what ours does.
    pub(crate) const NONE: Self = Self {
        least: 0,
        most: 0,
        seen_at: Timestamp::from_micros(0),
    };

    /// The bounds that follow from one instant of the vendor's clock, read within the
    /// round trip. An instant in whole seconds, or milliseconds, was truncated to
    /// them.
    pub(crate) fn observed(told: Timestamp, trip: RoundTrip) -> Self {
        let told = told.as_micros();
        let within = [1_000_000, 1000].into_iter().find(|unit| told % unit == 0);
        let latest = told.saturating_add(within.unwrap_or(0));
        Self {
            least: told.saturating_sub(trip.arrived_at.as_micros()),
            most: latest.saturating_sub(trip.sent_at.as_micros()),
            seen_at: trip.arrived_at,
        }
    }

    /// The bounds that both agree on; `None` if they contradict each other, for
    /// example because a clock was set.
    pub(crate) fn narrowed(self, newer: Self) -> Option<Self> {
        let apart = newer.seen_at.as_micros().abs_diff(self.seen_at.as_micros());
        let drift = i64::try_from(apart / DRIFT).unwrap_or(i64::MAX);
        let both = Self {
            least: newer.least.max(self.least.saturating_sub(drift)),
            most: newer.most.min(self.most.saturating_add(drift)),
            seen_at: newer.seen_at,
        };
        (both.least <= both.most).then_some(both)
    }

    /// Where an instant of the vendor's clock may lie on ours.
    pub(crate) fn ours(self, theirs: Timestamp) -> InstantRange {
        let at = |offset| Timestamp::from_micros(theirs.as_micros().saturating_sub(offset));
        InstantRange {
            earliest: at(self.most),
            latest: at(self.least),
        }
    }
}
