//! Points in time and durations as text: RFC 3339, HTTP dates, and words for people.
//!
//! The formats of vendors are in dialect files.

use std::str::FromStr;
use std::time::Duration;

use jiff::fmt::rfc2822;

use crate::Timestamp;

/// The text is not a time in RFC 3339 format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an instant in RFC 3339, such as 2027-01-15T12:00:00Z")]
pub struct InvalidTimestamp;

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Reads RFC 3339, with any time zone. Anything below a microsecond is dropped.
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let instant: jiff::Timestamp = text.parse().map_err(|_| InvalidTimestamp)?;
        Ok(Self::from_micros(instant.as_microsecond()))
    }
}

impl Timestamp {
    /// RFC 3339 in UTC, with microseconds. A time that no calendar has becomes the
    /// nearest one that it has.
    pub fn rfc3339(self) -> String {
        format!("{:.6}", self.on_the_calendar())
    }

    /// RFC 3339 in UTC, in whole seconds.
    pub fn rfc3339_seconds(self) -> String {
        format!("{:.0}", self.floor_to_second().on_the_calendar())
    }

    /// In the format of a `Date` header (RFC 9110 section 5.6.7); `None` for years that
    /// it cannot express.
    pub fn http_date(self) -> Option<String> {
        let instant = jiff::Timestamp::from_second(self.as_seconds()).ok()?;
        let printer = rfc2822::DateTimePrinter::new();
        printer.timestamp_to_rfc9110_string(&instant).ok()
    }

    /// Reads the value of a `Date` header, or RFC 2822.
    pub fn from_http_date(text: &str) -> Option<Self> {
        let instant = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(Self::from_seconds(instant.as_second()))
    }

    /// How far away it is, and when, in RFC 3339: `in 1m (2027-01-15T12:00:00Z)`.
    pub fn relative_to(self, now: Self) -> String {
        let at = self.rfc3339_seconds();
        if self > now {
            format!("in {} ({at})", span_text(self.since(now)))
        } else {
            format!("{} ago ({at})", span_text(now.since(self)))
        }
    }

    fn on_the_calendar(self) -> jiff::Timestamp {
        let end = if self < Self::default() {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        };
        jiff::Timestamp::from_microsecond(self.as_micros()).unwrap_or(end)
    }
}

/// A duration in its two largest units, for people: `2h 59m`, `4m 10s`, `850ms`.
pub fn span_text(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let (large, small) = match (days, hours, minutes) {
        (1.., ..) => ((days, "d"), (hours % 24, "h")),
        (0, 1.., _) => ((hours, "h"), (minutes % 60, "m")),
        (0, 0, 1..) => ((minutes, "m"), (seconds % 60, "s")),
        _ if seconds > 0 => return format!("{seconds}s"),
        _ => return format!("{}ms", span.subsec_millis()),
    };
    match small {
        (0, _) => format!("{}{}", large.0, large.1),
        _ => format!("{}{} {}{}", large.0, large.1, small.0, small.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_as_rfc_3339_and_as_http_want_it() {
        let at = Timestamp::from_micros(784_111_777_250_000);
        assert_eq!(at.rfc3339(), "1994-11-06T08:49:37.250000Z");
        assert_eq!(at.rfc3339_seconds(), "1994-11-06T08:49:37Z");
        let date = at.http_date().unwrap();
        assert_eq!(date, "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(Timestamp::from_http_date(&date), Some(at.floor_to_second()));
    }

    #[test]
    fn what_no_calendar_has_is_its_nearest_end() {
        let (first, last) = (
            Timestamp::from_micros(i64::MIN),
            Timestamp::from_micros(i64::MAX),
        );
        assert_eq!(first.rfc3339_seconds(), "-009999-01-02T01:59:59Z");
        assert_eq!(last.rfc3339(), "9999-12-30T22:00:00.999999Z");
        assert_eq!(last.http_date(), None);
    }

    #[test]
    fn rfc_3339_is_read_with_any_zone_and_never_without() {
        let at = Timestamp::from_seconds(1_800_000_000);
        for text in ["2027-01-15T08:00:00Z", "2027-01-15T10:00:00.0000009+02:00"] {
            assert_eq!(text.parse(), Ok(at), "{text}");
        }
        for text in ["", "2027-01-15", "2027-01-15T08:00:00", "yesterday"] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTimestamp), "{text}");
        }
    }

    #[test]
    fn a_span_is_told_in_its_two_largest_units() {
        for (millis, text) in [
            (0, "0ms"),
            (850, "850ms"),
            (59_999, "59s"),
            (60_000, "1m"),
            (250_000, "4m 10s"),
            (3_600_000, "1h"),
            (10_740_000, "2h 59m"),
            (604_800_000, "7d"),
            (608_399_000, "7d"),
            (608_400_000, "7d 1h"),
        ] {
            assert_eq!(span_text(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn an_instant_is_told_from_now() {
        let now = Timestamp::from_seconds(1_718_214_464);
        let later = now + Duration::from_secs(60);
        assert_eq!(later.relative_to(now), "in 1m (2024-06-12T17:48:44Z)");
        assert_eq!(now.relative_to(later), "1m ago (2024-06-12T17:47:44Z)");
    }
}
