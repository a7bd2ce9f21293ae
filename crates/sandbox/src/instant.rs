//! Instants as people and HTTP write them.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_as_http_and_as_rfc_3339_want_it() {
        let at = Timestamp::from_micros(784_111_777_250_000);
        assert_eq!(http_date(at).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(rfc3339(at), "1994-11-06T08:49:37.250000Z");
    }
}
