//! How a value is written: the part of a hole after the colon.
//!
//! | codec | writes | reads besides |
//! | --- | --- | --- |
//! | none | text, or a number for `client_id`, `status`, `retry_after` | |
//! | `rfc3339`, `rfc3339.3`, `rfc3339.6` | RFC 3339 with so many digits, `Z` | any number of digits, any offset |
//! | `…:offset`, `…:compact`, `…:bare`, `…:spaced` | `+00:00`; `+0000`; no zone; a blank for the `T` | the same |
//! | `epoch`, `epoch_ms` | seconds, milliseconds since 1970 | |
//! | `in` | whole seconds from now, rounded down | |
//! | `…:string` | a number in quotes | |
//! | `hex16` | 16 bytes as 32 lower-case hex digits | |

use countersign_domain::Timestamp;

use crate::document::did_you_mean;
use crate::hole_word::{HoleValue, HoleWord};
use crate::instant::{LAST_MICROS, ZoneSpelling, instant, rfc3339};

/// How a value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ValueCodec {
    form: CodecForm,
    /// Written in quotes, although it is a number.
    quoted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum CodecForm {
    Plain,
    Rfc3339 {
        digits: usize,
        zone: ZoneSpelling,
        spaced: bool,
    },
    Epoch,
    EpochMs,
    In,
    Hex16,
}

/// The codecs that suit a hole, listed for an author who wrote a wrong one.
fn fitting(word: &HoleWord) -> &'static str {
    match word {
        HoleWord::Jti => "the codec here is `hex16`",
        word if word.is_time() => {
            "the codecs of a time are `rfc3339`, `rfc3339.3`, `rfc3339.6`, each with `:offset`, \
             `:compact`, `:bare` or `:spaced`; `epoch`, `epoch_ms`, `in`, each with `:string`"
        }
        _ => "the codec here is `string`",
    }
}

pub(crate) const NAMES: [&str; 12] = [
    "rfc3339",
    "rfc3339.3",
    "rfc3339.6",
    "epoch",
    "epoch_ms",
    "in",
    "hex16",
    "string",
    "offset",
    "compact",
    "bare",
    "spaced",
];

impl ValueCodec {
    pub(crate) const PLAIN: Self = Self {
        form: CodecForm::Plain,
        quoted: false,
    };

    /// Reads the codecs of a hole, the part after its first colon.
    pub(crate) fn parse(names: &str, word: &HoleWord) -> Result<Self, (String, Option<String>)> {
        let mut codec = Self::PLAIN;
        let fitting = |(what, help): (String, Option<String>)| {
            (what, help.or_else(|| Some(fitting(word).to_owned())))
        };
        for name in names.split(':').filter(|name| !name.is_empty()) {
            codec.apply(name).map_err(fitting)?;
        }
        codec.judged(word).map_err(fitting)
    }

    /// Whether this is a codec for the value of this hole.
    fn judged(self, word: &HoleWord) -> Result<Self, (String, Option<String>)> {
        let codec = self;
        match codec.form {
            CodecForm::Plain if word.is_time() => Err(("a time needs a codec".into(), None)),
            CodecForm::Rfc3339 { .. } | CodecForm::Epoch | CodecForm::EpochMs | CodecForm::In
                if !word.is_time() =>
            {
                Err(("a codec for times on what is not a time".into(), None))
            }
            CodecForm::Hex16 if *word != HoleWord::Jti => {
                Err(("`hex16` is for `jti`".into(), None))
            }
            CodecForm::Plain if *word == HoleWord::Jti => {
                Err(("`jti` needs the codec `hex16`".into(), None))
            }
            _ => Ok(codec),
        }
    }

    fn apply(&mut self, name: &str) -> Result<(), (String, Option<String>)> {
        let rfc3339 = |digits| CodecForm::Rfc3339 {
            digits,
            zone: ZoneSpelling::Z,
            spaced: false,
        };
        match (name, &mut self.form) {
            ("rfc3339", CodecForm::Plain) => self.form = rfc3339(0),
            ("rfc3339.3", CodecForm::Plain) => self.form = rfc3339(3),
            ("rfc3339.6", CodecForm::Plain) => self.form = rfc3339(6),
            ("epoch", CodecForm::Plain) => self.form = CodecForm::Epoch,
            ("epoch_ms", CodecForm::Plain) => self.form = CodecForm::EpochMs,
            ("in", CodecForm::Plain) => self.form = CodecForm::In,
            ("hex16", CodecForm::Plain) => self.form = CodecForm::Hex16,
            ("string", _) => self.quoted = true,
            ("offset", CodecForm::Rfc3339 { zone, .. }) => *zone = ZoneSpelling::Offset,
            ("compact", CodecForm::Rfc3339 { zone, .. }) => *zone = ZoneSpelling::Compact,
            ("bare", CodecForm::Rfc3339 { zone, .. }) => *zone = ZoneSpelling::Bare,
            ("spaced", CodecForm::Rfc3339 { spaced, .. }) => *spaced = true,
            _ if NAMES.contains(&name) => {
                return Err((format!("`{name}` does not fit here"), None));
            }
            _ => return Err((format!("no codec `{name}`"), did_you_mean(name, NAMES))),
        }
        Ok(())
    }

    /// Whether a hole that is a whole JSON value is written without quotes.
    pub(crate) fn is_number(&self, word: &HoleWord) -> bool {
        let number = match self.form {
            CodecForm::Plain => word.is_number(),
            CodecForm::Epoch | CodecForm::EpochMs | CodecForm::In => true,
            CodecForm::Rfc3339 { .. } | CodecForm::Hex16 => false,
        };
        number && !self.quoted
    }

    /// A description of its values, for people.
    pub(crate) fn in_words(&self, word: &HoleWord) -> &'static str {
        match self.form {
            CodecForm::Plain if word.is_number() => "a whole number",
            CodecForm::Plain => "a text",
            CodecForm::Rfc3339 {
                zone: ZoneSpelling::Bare,
                ..
            } => "a date and time",
            CodecForm::Rfc3339 { .. } => "a date and time with its zone (RFC 3339)",
            CodecForm::Epoch => "whole seconds since 1970",
            CodecForm::EpochMs => "whole milliseconds since 1970",
            CodecForm::In => "whole seconds from now",
            CodecForm::Hex16 => "32 hex digits",
        }
    }

    /// Whether times are counted from the time of the reply.
    pub(crate) fn is_relative(&self) -> bool {
        self.form == CodecForm::In
    }

    /// Appends the text of a value; `put` takes the text and escapes it as its place
    /// requires.
    pub(crate) fn write(&self, datum: &HoleValue<'_>, now: Timestamp, put: &mut dyn FnMut(&str)) {
        match (&self.form, datum) {
            (_, HoleValue::Text(text)) => put(text),
            (_, HoleValue::Number(number)) => put(&number.to_string()),
            (_, HoleValue::Bytes(bytes)) => put(&hex::encode(bytes)),
            (
                CodecForm::Rfc3339 {
                    digits,
                    zone,
                    spaced,
                },
                HoleValue::Time(time),
            ) => {
                put(&rfc3339(*time, *digits, *zone, *spaced));
            }
            (CodecForm::EpochMs, HoleValue::Time(time)) => {
                put(&time.as_micros().div_euclid(1000).to_string());
            }
            (CodecForm::In, HoleValue::Time(time)) => put(&time.since(now).as_secs().to_string()),
            (_, HoleValue::Time(time)) => put(&time.as_seconds().to_string()),
        }
    }

    /// The meaning of a text: a time, a number, or only the text itself. `None` if the
    /// codec does not match.
    pub(crate) fn decode(
        &self,
        word: &HoleWord,
        wire: &str,
        now: Timestamp,
    ) -> Option<(Option<Timestamp>, Option<u64>)> {
        match &self.form {
            CodecForm::Plain if word.is_number() => Some((None, Some(unsigned(wire)?))),
            CodecForm::Plain => Some((None, None)),
            CodecForm::Hex16 => {
                let hex = wire.len() == 32 && wire.bytes().all(|b| b.is_ascii_hexdigit());
                hex.then_some((None, None))
            }
            CodecForm::Rfc3339 { zone, .. } => {
                Some((Some(instant(wire, *zone == ZoneSpelling::Bare)?), None))
            }
            CodecForm::Epoch => {
                let seconds = i64::try_from(unsigned(wire)?).ok()?;
                (seconds <= LAST_MICROS / 1_000_000)
                    .then(|| (Some(Timestamp::from_seconds(seconds)), None))
            }
            CodecForm::EpochMs => {
                let millis = i64::try_from(unsigned(wire)?).ok()?;
                (millis <= LAST_MICROS / 1000)
                    .then(|| (Some(Timestamp::from_micros(millis * 1000)), None))
            }
            CodecForm::In => {
                let seconds = unsigned(wire)?;
                let span = std::time::Duration::from_secs(seconds);
                // Milliseconds since 1970 pass, so that they can be told as that.
                (seconds <= 1 << 41).then(|| (Some(now + span), None))
            }
        }
    }
}

/// A number as JSON writes one: digits without a minus or leading zeros.
fn unsigned(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let leading = text.len() > 1 && text.starts_with('0');
    if plain && !leading {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn codec(names: &str) -> ValueCodec {
        ValueCodec::parse(names, &HoleWord::Now).unwrap()
    }

    fn written(names: &str, time: Timestamp, now: Timestamp) -> String {
        let mut text = String::new();
        codec(names).write(&HoleValue::Time(time), now, &mut |part| text.push_str(part));
        text
    }

    /// The time that the vendor's sample shows.
    const SAMPLE: Timestamp = Timestamp::from_micros(1_718_214_464_405_243);

    #[test]
    fn one_instant_in_every_spelling() {
        for (names, text) in [
            ("rfc3339.6", "2024-06-12T17:47:44.405243Z"),
            ("rfc3339.3", "2024-06-12T17:47:44.405Z"),
            ("rfc3339", "2024-06-12T17:47:44Z"),
            ("rfc3339:offset", "2024-06-12T17:47:44+00:00"),
            ("rfc3339:compact", "2024-06-12T17:47:44+0000"),
            ("rfc3339.3:bare", "2024-06-12T17:47:44.405"),
            ("rfc3339:bare:spaced", "2024-06-12 17:47:44"),
            ("epoch", "1718214464"),
            ("epoch_ms", "1718214464405"),
            ("in", "899"),
        ] {
            let now = SAMPLE - Duration::from_millis(899_999);
            assert_eq!(written(names, SAMPLE, now), text, "{names}");
        }
    }

    #[test]
    fn six_digits_are_printed_even_when_all_are_zero() {
        let time = Timestamp::from_seconds(1_718_214_464);
        assert_eq!(
            written("rfc3339.6", time, time),
            "2024-06-12T17:47:44.000000Z"
        );
    }

    #[test]
    fn times_of_other_spellings_are_read_too() {
        for (text, micros) in [
            ("2024-06-12T17:47:44Z", 0),
            ("2024-06-12T19:47:44+02:00", 0),
            ("2024-06-12T19:47:44+0200", 0),
            ("2024-06-12T12:17:44-0530", 0),
            ("2024-06-12t17:47:44.4z", 400_000),
            ("2024-06-12 17:47:44.4052431239Z", 405_243),
        ] {
            let read = codec("rfc3339")
                .decode(&HoleWord::Now, text, SAMPLE)
                .unwrap()
                .0;
            assert_eq!(
                read,
                Some(Timestamp::from_micros(1_718_214_464_000_000 + micros)),
                "{text}"
            );
        }
    }

    #[test]
    fn the_last_second_of_all_which_vendors_write_for_never_is_read_and_written() {
        let last = "9999-12-31T23:59:59.999999Z";
        let read = codec("rfc3339")
            .decode(&HoleWord::Now, last, SAMPLE)
            .unwrap()
            .0;
        assert_eq!(read, Some(Timestamp::from_micros(LAST_MICROS)));
        let end = Timestamp::from_micros(i64::MAX);
        assert_eq!(written("rfc3339.6", end, SAMPLE), last);
    }

    #[test]
    fn what_is_no_time_is_not_read() {
        for text in [
            "",
            "2024-06-12",
            "2024-06-12T17:47:44",
            "2024-13-12T17:47:44Z",
            "2024-02-30T17:47:44Z",
            "2024-06-12T24:47:44Z",
            "2024-06-12T17:47:44.Z",
            "2024-06-12T17:47:44+2",
            "+2024-06-12T17:47:44Z",
            "2024-06-12T17:47:44+25:00",
            "2024-06-12T17:47:44Z ",
            "2024-06-12T17:47:4éZ",
        ] {
            assert_eq!(
                codec("rfc3339").decode(&HoleWord::Now, text, SAMPLE),
                None,
                "{text}"
            );
        }
        for text in [
            "-1",
            "1.0",
            "1e3",
            "",
            "01",
            " 1",
            "9223372036854775808",
            "99999999999999999999",
        ] {
            assert_eq!(
                codec("epoch").decode(&HoleWord::Now, text, SAMPLE),
                None,
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_time_survives_up_to_the_digits_that_are_written(micros in 0..LAST_MICROS, names in 0..8usize) {
            let (names, unit) = [
                ("rfc3339.6", 1), ("rfc3339.3", 1000), ("rfc3339", 1_000_000), ("rfc3339.6:offset", 1),
                ("rfc3339.3:compact", 1000), ("rfc3339.6:bare:spaced", 1), ("epoch", 1_000_000), ("epoch_ms", 1000),
            ][names];
            let time = Timestamp::from_micros(micros);
            let text = written(names, time, SAMPLE);
            let read = codec(names).decode(&HoleWord::Now, &text, SAMPLE).unwrap().0;
            prop_assert_eq!(read, Some(Timestamp::from_micros(micros / unit * unit)));
        }
    }
}
