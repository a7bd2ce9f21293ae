//! Points in time. The store keeps microseconds; a JWT has whole seconds.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time, in microseconds since 1970-01-01T00:00:00Z, not counting leap
/// seconds.
///
/// Ordered, cheap to copy, and saturating: arithmetic at the edges of the range stays at
/// the edge instead of wrapping.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time `micros` microseconds after the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The time `seconds` whole seconds after the epoch (RFC 7519 `NumericDate`),
    /// saturating.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down: the `NumericDate` of RFC 7519.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time without its fraction of a second.
    ///
    /// A token states `exp` in whole seconds, so this is when it really expires.
    pub const fn floor_to_second(self) -> Self {
        Self::from_seconds(self.as_seconds())
    }

    /// The time from `earlier` to this one; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        let micros = self.0.saturating_sub(earlier.0);
        Duration::from_micros(match micros {
            0.. => micros as u64,
            _ => 0,
        })
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(micros(span)))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(at: SystemTime) -> Self {
        match at.duration_since(UNIX_EPOCH) {
            Ok(since) => Self::default() + since,
            Err(before) => Self::default() - before.duration(),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, fraction) = (self.as_seconds(), self.0.rem_euclid(1_000_000));
        write!(f, "{seconds}.{fraction:06}s")
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_before_the_epoch_is_rounded_down_too() {
        assert_eq!(Timestamp::from_micros(-1).as_seconds(), -1);
        assert_eq!(
            Timestamp::from_micros(-1).floor_to_second(),
            Timestamp::from_seconds(-1)
        );
    }

    #[test]
    fn the_end_of_time_is_a_wall_and_not_a_wrap() {
        let end = Timestamp::from_micros(i64::MAX);
        assert_eq!(end + Duration::from_secs(1), end);
        assert_eq!(Timestamp::from_seconds(i64::MAX), end);
        assert_eq!(Timestamp::default() + Duration::MAX, end);
    }

    #[test]
    fn a_system_time_may_be_before_the_epoch() {
        let second = Duration::from_secs(1);
        for (at, expected) in [(UNIX_EPOCH + second, 1), (UNIX_EPOCH - second, -1)] {
            assert_eq!(Timestamp::from(at), Timestamp::from_seconds(expected));
        }
    }

    #[test]
    fn time_since_a_later_instant_is_zero() {
        let now = Timestamp::from_seconds(10);
        assert_eq!(now.since(now + Duration::from_secs(1)), Duration::ZERO);
        assert_eq!(
            (now + Duration::from_millis(5)).since(now),
            Duration::from_millis(5)
        );
    }

    #[test]
    fn an_instant_is_the_same_in_seconds_and_in_microseconds() {
        let instant = Timestamp::from_micros(1_718_214_464_405_243);
        assert_eq!(instant.as_micros(), 1_718_214_464_405_243);
        assert_eq!(instant.as_seconds(), 1_718_214_464);
        assert_eq!(
            instant.floor_to_second(),
            Timestamp::from_seconds(1_718_214_464)
        );
        assert_eq!(
            instant - Duration::from_micros(405_243),
            instant.floor_to_second()
        );
        assert_eq!(format!("{instant:?}"), "1718214464.405243s");
    }
}
