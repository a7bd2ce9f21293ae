//! Spans of time of several parts.

use std::time::Duration;

use countersign_dialect::document::duration;

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
}
