//! Instants and spans of time as people and HTTP write them.

use std::time::Duration;

use countersign_dialect::document::duration;
use countersign_domain::Timestamp;
use http::HeaderValue;
use jiff::fmt::rfc2822::DateTimePrinter;

/// An instant as `Date` says it (RFC 9110 section 5.6.7); `None` beyond the years
/// that it can.
pub(crate) fn http_date(at: Timestamp) -> Option<HeaderValue> {
    let at = jiff::Timestamp::from_second(at.as_seconds()).ok()?;
    let text = DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&at)
        .ok()?;
    HeaderValue::from_str(&text).ok()
}

/// An instant in RFC 3339, to the microsecond.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_microsecond(at.as_micros());
    at.map(|at| format!("{at:.6}")).unwrap_or_default()
}

/// A span of time: whole numbers with units, such as `90s`, `6h` or `1d2h`; blanks
/// may stand around each unit, as in `1d 2h` or `6 h`.
pub fn span(text: &str) -> Option<Duration> {
    let mut all = Duration::ZERO;
    let mut rest = text.trim();
    while let Some(unit) = rest.find(|letter: char| !letter.is_ascii_digit()) {
        let end = rest[unit..].find(|letter: char| letter.is_ascii_digit());
        let (part, more) = rest.split_at(end.map_or(rest.len(), |end| unit + end));
        let (number, unit) = part.split_at(unit);
        all = all.checked_add(duration(&format!("{number}{}", unit.trim()))?)?;
        rest = more;
    }
    (rest.is_empty() && !text.trim().is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_one_part_or_several() {
        let cases = [
            ("90s", 90),
            ("6h", 21_600),
            ("1d2h", 93_600),
            ("1h30m5s", 5_405),
            ("6 h", 21_600),
            (" 1d 2h ", 93_600),
            ("1 d  2 h", 93_600),
        ];
        for (text, seconds) in cases {
            assert_eq!(span(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "", "6", "h", "6h3", "-6h", "6 5s", "6 h 3", " ", "1.5h", "6hh", "6h h", "é",
        ] {
            assert_eq!(span(text), None, "{text}");
        }
    }

    #[test]
    fn an_instant_is_written_as_http_and_as_rfc_3339_want_it() {
        let at = Timestamp::from_micros(784_111_777_250_000);
        assert_eq!(http_date(at).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(rfc3339(at), "1994-11-06T08:49:37.250000Z");
    }
}
