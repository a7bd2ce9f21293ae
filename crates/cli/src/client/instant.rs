//! Instants and spans for people and for `--json`.

use std::time::Duration;

use countersign_domain::Timestamp;

/// An instant as RFC 3339 in UTC, to the second.
pub(super) fn rfc3339(instant: Timestamp) -> String {
    let seconds = instant.as_seconds();
    let end = if seconds < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    };
    let instant = jiff::Timestamp::from_second(seconds).unwrap_or(end);
    format!("{instant:.0}")
}

/// An instant as RFC 3339, and how far it is from now.
pub(super) fn told(instant: Timestamp, now: Timestamp) -> String {
    let at = rfc3339(instant);
    if instant > now {
        format!("in {} ({at})", span(instant.since(now)))
    } else {
        format!("{} ago ({at})", span(now.since(instant)))
    }
}

/// A span in its two largest units: `2h 59m`, `4m 10s`, `850ms`.
pub(super) fn span(span: Duration) -> String {
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
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn an_instant_is_told_from_now() {
        let now = Timestamp::from_seconds(1_718_214_464);
        let later = now + Duration::from_secs(60);
        assert_eq!(told(later, now), "in 1m (2024-06-12T17:48:44Z)");
        assert_eq!(told(now, later), "1m ago (2024-06-12T17:47:44Z)");
    }
}
