//! A text with holes: `Bearer {access_token}`. To write it, the holes are filled; to read
//! it, the fixed parts are found again.

use zeroize::Zeroizing;

use crate::codec::ValueCodec;
#[cfg(test)]
use crate::hole_word::HoleValue;
use crate::hole_word::{HoleBindings, HoleValues, HoleWord, WordVocabulary};

/// A hole: what it stands for, how that is written, and whether it may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PatternHole {
    pub(crate) word: HoleWord,
    pub(crate) codec: ValueCodec,
    pub(crate) optional: bool,
}

impl PatternHole {
    /// Binds the text in the hole. If the hole is optional, the text may be empty.
    fn take(&self, value: &str, bindings: &mut HoleBindings) -> bool {
        match value {
            "" => self.optional,
            value => bindings.bind(&self.word, &self.codec, value),
        }
    }
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PatternPart {
    Text(Box<str>),
    Hole(PatternHole),
}

/// A text with holes. Two holes are never adjacent, unless the pattern is only written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextPattern(pub(crate) Vec<PatternPart>);

/// What is wrong with a pattern, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PatternFlaw {
    pub(crate) at: usize,
    pub(crate) what: String,
    pub(crate) help: Option<String>,
}

impl PatternFlaw {
    pub(crate) fn new(at: usize, what: impl Into<String>) -> Self {
        Self {
            at,
            what: what.into(),
            help: None,
        }
    }
}

impl TextPattern {
    /// Parses a pattern that is both written and read. `{{` and `}}` stand for braces.
    pub(crate) fn parse(text: &str, vocabulary: &WordVocabulary<'_>) -> Result<Self, PatternFlaw> {
        let pattern = Self::written_only(text, vocabulary)?;
        let mut at = 0;
        for pair in pattern.0.windows(2) {
            if let [PatternPart::Hole(_), PatternPart::Hole(_)] = pair {
                at = text.find("}{").map_or(at, |at| at + 1);
                return Err(PatternFlaw::new(
                    at,
                    "two holes with nothing between them cannot be read back",
                ));
            }
        }
        Ok(pattern)
    }

    /// Parses a pattern that is only written, so that holes may be adjacent.
    pub(crate) fn written_only(
        text: &str,
        vocabulary: &WordVocabulary<'_>,
    ) -> Result<Self, PatternFlaw> {
        let mut parts = Vec::new();
        let mut fixed = String::new();
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            if rest.starts_with("{{") || rest.starts_with("}}") {
                fixed.extend(rest.chars().next());
                at += 2;
            } else if rest.starts_with('{') {
                let Some(end) = rest.find('}') else {
                    return Err(PatternFlaw {
                        help: Some(BRACES.to_owned()),
                        ..PatternFlaw::new(at, "an unterminated hole")
                    });
                };
                flush(&mut fixed, &mut parts);
                let inside = rest.get(1..end).unwrap_or_default();
                parts.push(PatternPart::Hole(hole(inside, at + 1, vocabulary)?));
                at += end + 1;
            } else if rest.starts_with('}') {
                return Err(PatternFlaw::new(
                    at,
                    "`}` without its `{` (write `}}` for a brace)",
                ));
            } else {
                let next = rest.chars().next().unwrap_or_default();
                fixed.push(next);
                at += next.len_utf8();
            }
        }
        flush(&mut fixed, &mut parts);
        Ok(Self(parts))
    }

    /// A pattern without holes.
    pub(crate) fn fixed(text: &str) -> Self {
        Self(if text.is_empty() {
            Vec::new()
        } else {
            vec![PatternPart::Text(text.into())]
        })
    }

    pub(crate) fn holes(&self) -> impl Iterator<Item = &PatternHole> {
        self.0.iter().filter_map(|part| match part {
            PatternPart::Hole(hole) => Some(hole),
            PatternPart::Text(_) => None,
        })
    }

    /// The text, if it has no holes.
    pub(crate) fn as_fixed(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [PatternPart::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The name of the cookie that it sets, before the first `=`.
    pub(crate) fn cookie_name(&self) -> Option<&str> {
        let Some(PatternPart::Text(text)) = self.0.first() else {
            return None;
        };
        text.split_once('=').map(|(name, _)| name.trim())
    }

    /// The hole, if it is the whole text.
    pub(crate) fn as_hole(&self) -> Option<&PatternHole> {
        match self.0.as_slice() {
            [PatternPart::Hole(hole)] => Some(hole),
            _ => None,
        }
    }

    /// Whether the whole text may be left out.
    pub(crate) fn is_optional(&self) -> bool {
        self.as_fixed().is_none() && self.holes().all(|hole| hole.optional)
    }

    /// Whether an optional hole has no value, so that the text is left out.
    pub(crate) fn is_left_out(&self, values: &dyn HoleValues) -> bool {
        let empty = |hole: &PatternHole| values.datum(&hole.word).is_none();
        self.holes().any(|hole| hole.optional && empty(hole))
    }

    /// Whether two holes share the text, so that the first value could contain the text
    /// that ends its hole.
    pub(crate) fn is_shared(&self) -> bool {
        self.holes().nth(1).is_some()
    }

    /// Fills the holes; `None` if a value is missing, or contains the text that ends its
    /// hole, so that it could not be read back.
    pub(crate) fn write(&self, values: &dyn HoleValues) -> Option<String> {
        let text = self.join(values)?;
        self.is_told_apart(values).then_some(text)
    }

    /// Whether each hole but the last ends where its value ends.
    fn is_told_apart(&self, values: &dyn HoleValues) -> bool {
        let inner = self.0.len().saturating_sub(2);
        self.0.windows(2).take(inner).all(|pair| match pair {
            [PatternPart::Hole(hole), PatternPart::Text(fixed)] => {
                let mut text = Zeroizing::new(String::new());
                if let Some(datum) = values.datum(&hole.word) {
                    hole.codec
                        .write(&datum, values.now(), &mut |part| text.push_str(part));
                }
                let end = text.len();
                text.push_str(fixed);
                text.find(&**fixed) == Some(end)
            }
            _ => true,
        })
    }

    /// Fills the holes of a text that is only written.
    pub(crate) fn join(&self, values: &dyn HoleValues) -> Option<String> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                PatternPart::Text(fixed) => text.push_str(fixed),
                PatternPart::Hole(hole) => {
                    let datum = values.datum(&hole.word)?;
                    hole.codec
                        .write(&datum, values.now(), &mut |part| text.push_str(part));
                }
            }
        }
        Some(text)
    }

    /// Whether a text matches this pattern; binds the texts in the holes.
    pub(crate) fn bind(&self, text: &str, bindings: &mut HoleBindings) -> bool {
        let mut rest = text;
        let mut parts = self.0.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                PatternPart::Text(fixed) => match rest.strip_prefix(&**fixed) {
                    Some(after) => rest = after,
                    None => return false,
                },
                PatternPart::Hole(hole) => {
                    let fixed = parts.next_if(|part| matches!(part, PatternPart::Text(_)));
                    let Some((value, after)) = hole_end(rest, fixed, parts.peek().is_none()) else {
                        return false;
                    };
                    if !hole.take(value, bindings) {
                        return false;
                    }
                    rest = after;
                }
            }
        }
        rest.is_empty()
    }
}

/// The text in a hole, and the text after the fixed part that ends it.
fn hole_end<'t>(
    rest: &'t str,
    fixed: Option<&PatternPart>,
    last: bool,
) -> Option<(&'t str, &'t str)> {
    match fixed {
        Some(PatternPart::Text(fixed)) if last => Some((rest.strip_suffix(&**fixed)?, "")),
        Some(PatternPart::Text(fixed)) => rest.split_once(&**fixed),
        _ => Some((rest, "")),
    }
}

fn flush(fixed: &mut String, parts: &mut Vec<PatternPart>) {
    if !fixed.is_empty() {
        parts.push(PatternPart::Text(std::mem::take(fixed).into()));
    }
}

/// What to say about a brace that belongs to another template language.
const BRACES: &str = "write `{{` and `}}` for plain braces";

/// The beginning of a text, for a message.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(20) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn hole(
    inside: &str,
    at: usize,
    vocabulary: &WordVocabulary<'_>,
) -> Result<PatternHole, PatternFlaw> {
    let (optional, inside) = match inside.strip_suffix('?') {
        Some(inside) => (true, inside),
        None => (false, inside),
    };
    let (name, codecs) = inside.split_once(':').unwrap_or((inside, ""));
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if name.is_empty() || !name.chars().all(fits) {
        return Err(PatternFlaw {
            help: Some(BRACES.to_owned()),
            ..PatternFlaw::new(at - 1, format!("`{{{}}}` is not a hole", shortened(inside)))
        });
    }
    let word = vocabulary.word(name).map_err(|help| PatternFlaw {
        at,
        what: format!("no hole `{name}` here"),
        help,
    })?;
    let codec = if vocabulary.codecs {
        ValueCodec::parse(codecs, &word)
    } else {
        Ok(ValueCodec::PLAIN)
    };
    let codec = codec.map_err(|(what, help)| PatternFlaw {
        at: at + name.len(),
        what,
        help,
    })?;
    Ok(PatternHole {
        word,
        codec,
        optional,
    })
}

/// One value for one word.
#[cfg(test)]
pub(crate) struct OnlyValue<'a>(pub(crate) HoleWord, pub(crate) HoleValue<'a>);

#[cfg(test)]
impl HoleValues for OnlyValue<'_> {
    fn datum(&self, word: &HoleWord) -> Option<HoleValue<'_>> {
        (self.0 == *word).then_some(self.1)
    }
}

#[cfg(test)]
mod tests {
    use countersign_domain::Timestamp;

    use super::*;

    const REQUEST: WordVocabulary<'static> = WordVocabulary::request(&["team"]);

    fn flaw(text: &str) -> (usize, String) {
        let flaw = TextPattern::parse(text, &REQUEST).unwrap_err();
        (
            flaw.at,
            flaw.help
                .map_or(flaw.what.clone(), |help| format!("{} ({help})", flaw.what)),
        )
    }

    #[test]
    fn a_flaw_is_told_with_its_byte() {
        for (text, at, told) in [
            ("a {logn}", 3, "no hole `logn` here (did you mean `login`?)"),
            (
                "{extra.tem}",
                1,
                "no hole `extra.tem` here (did you mean `extra.team`?)",
            ),
            (
                "{login}{secret}",
                7,
                "two holes with nothing between them cannot be read back",
            ),
            (
                "{login",
                0,
                "an unterminated hole (write `{{` and `}}` for plain braces)",
            ),
            (
                "{ login(key: 1) }",
                0,
                "`{ login(key: 1) }` is not a hole (write `{{` and `}}` for plain braces)",
            ),
            (
                "{password}",
                1,
                "no hole `password` here (the holes here are `login`, `secret`, `access_token`, \
                 `refresh_token`, `extra.team`)",
            ),
            (
                "{extra.organisation}",
                1,
                "no hole `extra.organisation` here (name it in `[credential] extra`)",
            ),
            (
                "{login:hms}",
                6,
                "no codec `hms` (the codec here is `string`)",
            ),
            ("}", 0, "`}` without its `{` (write `}}` for a brace)"),
            (
                "{login:sting}",
                6,
                "no codec `sting` (did you mean `string`?)",
            ),
            (
                "{login:epoch}",
                6,
                "a codec for times on what is not a time (the codec here is `string`)",
            ),
        ] {
            assert_eq!(flaw(text), (at, told.to_owned()), "{text}");
        }
    }

    #[test]
    fn fixed_parts_are_found_again() {
        let pattern = TextPattern::parse("<{login}|{secret}>", &REQUEST).unwrap();
        let read = |text: &str| {
            let mut bindings = HoleBindings::new(Timestamp::default());
            pattern.bind(text, &mut bindings).then(|| {
                let text = |word| bindings.text(&word).unwrap().to_owned();
                (text(HoleWord::Login), text(HoleWord::Secret))
            })
        };
        assert_eq!(read("<a|b>>"), Some(("a".into(), "b>".into())));
        assert_eq!(read("<a|b"), None);
        assert_eq!(read("<a>"), None);
        assert_eq!(read("<|b>"), None);
        assert_eq!(read("x<a|b>"), None);
    }

    #[test]
    fn a_hole_that_repeats_must_agree() {
        let pattern = TextPattern::parse("{login}={login}", &REQUEST).unwrap();
        assert!(pattern.bind("a=a", &mut HoleBindings::new(Timestamp::default())));
        assert!(!pattern.bind("a=b", &mut HoleBindings::new(Timestamp::default())));
    }

    #[test]
    fn a_value_that_holds_what_ends_it_is_not_written() {
        struct Pair<'a>(&'a str, &'a str);
        impl HoleValues for Pair<'_> {
            fn datum(&self, word: &HoleWord) -> Option<HoleValue<'_>> {
                let first = *word == HoleWord::Login;
                Some(HoleValue::Text(if first { self.0 } else { self.1 }))
            }
        }
        let written = |text: &str, login, secret| {
            let pattern = TextPattern::parse(text, &REQUEST).unwrap();
            pattern.write(&Pair(login, secret))
        };
        assert_eq!(written("{login}:{secret}", "a:b", "c"), None);
        assert_eq!(written("{login}::{secret}", "a:", "c"), None);
        let last = written("{login}:{secret}:", "a", "b:c").unwrap();
        assert_eq!(last, "a:b:c:");
        assert_eq!(written("{login}:", "a:", "").as_deref(), Some("a::"));
    }

    #[test]
    fn braces_can_be_written() {
        let pattern = TextPattern::parse("{{{login}}}", &REQUEST).unwrap();
        assert_eq!(
            pattern
                .write(&OnlyValue(HoleWord::Login, HoleValue::Text("x")))
                .as_deref(),
            Some("{x}")
        );
    }
}
