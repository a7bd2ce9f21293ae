//! Durations as people write them: `90s`, `10m`, `6h`, `30d`.

use std::time::Duration;

const UNITS: [(&str, u64); 6] = [
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The longest duration, a hundred years: enough for any lifetime, and far from the
/// limits of a timestamp.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Reads a duration: a whole number and one of `ms`, `s`, `m`, `h`, `d`, `w`; at most a
/// hundred years.
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let span = Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(*millis)?);
    (span <= LONGEST).then_some(span)
}

/// Writes a duration in the largest unit that divides it, so that [`duration`] can read
/// it. Below a millisecond it is rounded down.
pub fn duration_text(span: Duration) -> String {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let unit = UNITS
        .iter()
        .filter(|(name, _)| *name != "w")
        .find(|(_, unit)| millis % unit == 0);
    match unit {
        Some((name, size)) if millis > 0 => format!("{}{name}", millis / size),
        _ => "0s".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        for (text, seconds) in [
            ("90s", 90),
            ("10m", 600),
            ("6h", 21_600),
            ("30d", 2_592_000),
            ("1w", 604_800),
        ] {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "5",
            "m",
            "-1s",
            "+1s",
            "1.5h",
            "1 h",
            "1H",
            "1hh",
            "99999999999999999999s",
            "40000d",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["0s", "250ms", "90s", "10m", "6h", "30d", "14d"] {
            assert_eq!(duration(text).map(duration_text).as_deref(), Some(text));
        }
    }
}
