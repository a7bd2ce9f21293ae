//! Points in time in a query: RFC 3339, or how long ago, such as `2h`, `30m`, `1d`.

use std::time::Duration;

use countersign_dialect::document::duration;
use countersign_domain::Timestamp;
use countersign_domain::account::InvalidText;

/// A point in time, or how long ago it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InstantOrAge {
    /// The time itself.
    Instant(Timestamp),
    /// How long ago it was.
    Age(Duration),
}

impl InstantOrAge {
    /// Parses `text`.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidText> {
        if let Some(age) = duration(text) {
            return Ok(Self::Age(age));
        }
        let parsed = text.parse().map_err(|_| {
            InvalidText::new("must be an RFC 3339 instant, or how long ago: 90s, 30m, 2h, 1d")
        });
        parsed.map(Self::Instant)
    }

    /// The time, if it is `now`. Nothing is older than 1970, and RFC 3339 has no years
    /// before year one.
    pub(super) fn at(self, now: Timestamp) -> Timestamp {
        const EARLIEST: Timestamp = Timestamp::from_seconds(0);
        let instant = match self {
            Self::Instant(instant) => instant,
            Self::Age(age) => now - age,
        };
        instant.max(EARLIEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn instant(text: &str, now: Timestamp) -> Result<Timestamp, InvalidText> {
        InstantOrAge::parse(text).map(|meant| meant.at(now))
    }

    #[test]
    fn an_instant_is_rfc_3339_or_an_age() {
        let hours = |hours: u64| NOW - Duration::from_secs(3_600 * hours);
        let cases = [
            ("2h", hours(2)),
            ("120m", hours(2)),
            ("7200s", hours(2)),
            ("1d", hours(24)),
            ("2027-01-15T07:00:00Z", hours(1)),
            ("2027-01-15T09:00:00+02:00", hours(1)),
        ];
        for (text, expected) in cases {
            assert_eq!(instant(text, NOW), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        let odd = [
            "",
            "h",
            "2",
            "-2h",
            "+2h",
            "2 h",
            "2y",
            "2é",
            "yesterday",
            "36501d",
            "99999999999999999999d",
            "18446744073709551615d",
            "2027-01-15",
            "2027-01-15T07:00:00",
        ];
        for text in odd {
            assert!(instant(text, NOW).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_older_than_1970_begins_there() {
        for text in ["36500d", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00Z"] {
            assert_eq!(instant(text, NOW), Ok(Timestamp::from_seconds(0)), "{text}");
        }
    }
}
