//! Instants as text: RFC 3339 and what vendors take for it.

use countersign_domain::Timestamp;
use jiff::SignedDuration;
use jiff::civil::{DateTime, datetime};

/// The last instant with a year of four digits, which RFC 3339 demands.
pub(crate) const LAST_MICROS: i64 = 253_402_300_799_999_999;

/// Instants are counted from here by hand: jiff's own end a day before the last
/// year does, and vendors write its last second for "never".
const EPOCH: DateTime = datetime(1970, 1, 1, 0, 0, 0, 0);

/// How the zone is written, which is always UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ZoneSpelling {
    /// `Z`
    Z,
    /// `+00:00`
    Offset,
    /// `+0000`
    Compact,
    /// Not at all.
    Bare,
}

/// RFC 3339 section 5.6, in UTC.
pub(crate) fn rfc3339(time: Timestamp, digits: usize, zone: ZoneSpelling, spaced: bool) -> String {
    let micros = time.as_micros().clamp(0, LAST_MICROS);
    let civil = EPOCH.saturating_add(SignedDuration::from_micros(micros));
    let mut text = format!(
        "{:04}-{:02}-{:02}{}{:02}:{:02}:{:02}",
        civil.year(),
        civil.month(),
        civil.day(),
        if spaced { ' ' } else { 'T' },
        civil.hour(),
        civil.minute(),
        civil.second(),
    );
    if digits > 0 {
        let fraction = format!("{:06}", micros.rem_euclid(1_000_000));
        text.push('.');
        text.push_str(fraction.get(..digits).unwrap_or(&fraction));
    }
    text.push_str(match zone {
        ZoneSpelling::Z => "Z",
        ZoneSpelling::Offset => "+00:00",
        ZoneSpelling::Compact => "+0000",
        ZoneSpelling::Bare => "",
    });
    text
}

/// Reads what vendors call RFC 3339. A text without a zone is UTC where the
/// dialect says `bare`, and else refused.
pub(crate) fn instant(text: &str, bare: bool) -> Option<Timestamp> {
    let (clock, rest) = text.split_at_checked(19)?;
    let civil = civil(clock)?;
    let digits = rest
        .strip_prefix('.')
        .map_or(0, |digits| digits.len() - after_digits(digits));
    let (fraction, zone) = rest.split_at_checked(if digits > 0 { digits + 1 } else { 0 })?;
    let nanos = format!("{:0<9.9}", fraction.trim_start_matches('.'))
        .parse::<i64>()
        .ok()?;
    let east = match zone {
        "" if bare => 0,
        "Z" | "z" => 0,
        _ => seconds_east(zone)?,
    };
    let at = civil.duration_since(EPOCH).as_secs();
    let seconds = at.checked_sub(east)?;
    Some(Timestamp::from_micros(
        seconds.checked_mul(1_000_000)?.checked_add(nanos / 1000)?,
    ))
}

fn after_digits(text: &str) -> usize {
    text.trim_start_matches(|c: char| c.is_ascii_digit()).len()
}

/// `YYYY-MM-DD`, `T`, `t` or a blank, `HH:MM:SS`.
fn civil(clock: &str) -> Option<DateTime> {
    let shape = clock
        .bytes()
        .zip(b"0000-00-00T00:00:00")
        .all(|(byte, like)| match like {
            b'0' => byte.is_ascii_digit(),
            b'T' => matches!(byte, b'T' | b't' | b' '),
            like => byte == *like,
        });
    let part = |from: usize, to: usize| clock.get(from..to)?.parse::<i16>().ok();
    let two_digits = |from: usize| i8::try_from(part(from, from + 2)?).ok();
    if !shape {
        return None;
    }
    let date = (part(0, 4)?, two_digits(5)?, two_digits(8)?);
    DateTime::new(
        date.0,
        date.1,
        date.2,
        two_digits(11)?,
        two_digits(14)?,
        two_digits(17)?,
        0,
    )
    .ok()
}

/// `+hh:mm` or `+hhmm`, in seconds east of UTC.
fn seconds_east(zone: &str) -> Option<i64> {
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits = zone.strip_prefix(['+', '-'])?.replacen(':', "", 1);
    let plain = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = if plain {
        digits.parse::<i64>().ok()?
    } else {
        return None;
    };
    let (hours, minutes) = (number / 100, number % 100);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}
