//! Rates: how often something may happen, by the generic cell rate algorithm (ITU-T
//! I.371). It keeps one timestamp for each counter and reads no clock.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::time::Timestamp;

/// How often something may happen: `burst` times at once, and once more after each
/// `period`. In any time t it admits at most `burst + t / period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    burst: NonZeroU32,
    period: Duration,
}

/// What a counter remembers: the theoretical arrival time, at which the counter is empty
/// again. A counter that was never used is [`RateTally::default`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RateTally(pub Timestamp);

impl Default for RateTally {
    fn default() -> Self {
        Self(Timestamp::from_micros(i64::MIN))
    }
}

impl RateTally {
    /// Whether the counter is empty, so that it can be dropped.
    pub fn is_settled(self, now: Timestamp) -> bool {
        self.0 <= now
    }
}

impl RateLimit {
    /// At most `burst` at once, and one more after each `period`, which is rounded up to
    /// a microsecond.
    pub fn new(burst: NonZeroU32, period: Duration) -> Self {
        let micros = period.as_nanos().div_ceil(1_000).max(1);
        Self {
            burst,
            period: Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)),
        }
    }

    /// How long it takes until one more is admitted.
    pub fn period(self) -> Duration {
        self.period
    }

    /// At most `most` in any time of this length: a fifth of them at once, and the others
    /// evenly spread.
    pub fn within(most: NonZeroU32, span: Duration) -> Self {
        let burst = NonZeroU32::new(most.get() / 5).unwrap_or(NonZeroU32::MIN);
        match NonZeroU32::new(most.get() - burst.get()) {
            Some(evenly) => Self::new(burst, share(span, evenly)),
            None => Self::new(burst, span.saturating_add(Duration::from_micros(1))),
        }
    }

    /// `count` at once, and as many again after each time of this length.
    pub fn refilled(count: NonZeroU32, span: Duration) -> Self {
        Self::new(count, share(span, count))
    }

    /// Counts one more at `now`, and returns the tally after it.
    ///
    /// # Errors
    ///
    /// How long to wait until one would be admitted, if the rate is exhausted.
    pub fn admit(self, tally: RateTally, now: Timestamp) -> Result<RateTally, Duration> {
        let slack = self.period.saturating_mul(self.burst.get() - 1);
        let ahead = tally.0.since(now);
        if ahead > slack {
            return Err(ahead - slack);
        }
        Ok(RateTally(tally.0.max(now) + self.period))
    }

    /// Takes back one that was counted at `counted_at`. What the counter has dropped
    /// since then with time is not given back, so that the rate still holds.
    #[must_use]
    pub fn take_back(self, tally: RateTally, counted_at: Timestamp, now: Timestamp) -> RateTally {
        RateTally(tally.0 - self.period.saturating_sub(now.since(counted_at)))
    }
}

/// One of `count` equal parts of `span`, rounded up so that together they are never
/// shorter than it.
fn share(span: Duration, count: NonZeroU32) -> Duration {
    let nanos = span.as_nanos().div_ceil(u128::from(count.get()));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
