//! The two-way template: a JSON text whose strings are patterns. Written by
//! concatenating pieces that were cut at load; read by walking the same shape
//! through a value.
//!
//! Reading ignores the order of members and members that the template does not
//! have. A required hole that finds nothing is told by its JSON pointer.

mod pieces;
mod walk;

use crate::hole_word::{HoleBindings, HoleValues, HoleWord, WordVocabulary};
use crate::json::{self, Json, JsonNode, JsonRules};
use crate::pattern::{PatternFlaw, PatternHole, PatternPart, TextPattern};

pub(crate) use walk::{MisfitReason, ReadingMode, TemplateMisfit, reply_bindings};

use pieces::TemplatePiece;

/// The largest template, in bytes, and the most holes in one.
const MAX_TEXT: usize = 16 * 1024;
const MAX_HOLES: usize = 64;

/// The shape of a JSON value with holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TemplateShape {
    Null,
    Bool(bool),
    Number(Box<str>),
    Text(TextPattern),
    Array(Vec<TemplateShape>),
    Object(Vec<(TextPattern, TemplateShape)>),
}

/// A compiled template.
#[derive(Clone, Debug)]
pub(crate) struct JsonTemplate {
    pub(crate) shape: TemplateShape,
    pieces: Vec<TemplatePiece>,
}
impl JsonTemplate {
    /// Compiles a JSON text.
    pub(crate) fn parse(text: &str, vocabulary: &WordVocabulary<'_>) -> Result<Self, PatternFlaw> {
        if text.len() > MAX_TEXT {
            return Err(PatternFlaw::new(0, "is larger than 16 KiB"));
        }
        let node = json::parse(text.as_bytes(), JsonRules::STRICT).map_err(|fault| {
            PatternFlaw::new(fault.offset, format!("is not JSON: {}", fault.what))
        })?;
        let template = Self::compile(shape(&node, text, vocabulary)?);
        if template.holes().len() > MAX_HOLES {
            return Err(PatternFlaw::new(0, "has more than 64 holes"));
        }
        Ok(template)
    }

    /// Compiles a shape.
    pub(crate) fn compile(shape: TemplateShape) -> Self {
        let pieces = pieces::cut(&shape);
        Self { shape, pieces }
    }

    /// Every hole, in the order of the text.
    pub(crate) fn holes(&self) -> Vec<&PatternHole> {
        let mut holes = Vec::new();
        self.shape
            .visit(&mut |pattern| holes.extend(pattern.holes()));
        holes
    }

    /// The first hole for a word.
    pub(crate) fn hole(&self, word: &HoleWord) -> Option<&PatternHole> {
        self.holes().into_iter().find(|hole| hole.word == *word)
    }

    /// Whether two holes stand in one string.
    pub(crate) fn shares(&self) -> bool {
        let mut shares = false;
        self.shape
            .visit(&mut |pattern| shares |= pattern.is_shared());
        shares
    }

    /// Whether these values can be told apart again where they share a string.
    pub(crate) fn can_hold(&self, values: &dyn HoleValues) -> bool {
        let mut holds = true;
        self.shape.visit(&mut |pattern| {
            holds &= !pattern.is_shared()
                || pattern.is_left_out(values)
                || pattern.write(values).is_some();
        });
        holds
    }

    /// Fills the holes. A required hole without a value is `null`, or nothing
    /// inside a string.
    pub(crate) fn write(&self, values: &dyn HoleValues) -> String {
        let mut out = String::with_capacity(512);
        pieces::write(&self.pieces, values, &mut out);
        out
    }

    /// Reads a value; see [`ReadingMode`].
    pub(crate) fn bind(
        &self,
        node: &JsonNode<'_>,
        reading: ReadingMode,
        bindings: &mut HoleBindings,
    ) -> Result<(), TemplateMisfit> {
        walk::bind(&self.shape, node, reading, bindings)
    }
}

impl TemplateShape {
    /// Calls `see` for every pattern.
    pub(crate) fn visit<'s>(&'s self, see: &mut dyn FnMut(&'s TextPattern)) {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) => (),
            Self::Text(pattern) => see(pattern),
            Self::Array(items) => items.iter().for_each(|item| item.visit(see)),
            Self::Object(members) => members.iter().for_each(|(key, value)| {
                see(key);
                value.visit(see);
            }),
        }
    }

    /// The same shape with some holes replaced; `fill` gives a shape for a hole
    /// that is a whole value, and its text for one inside a string.
    pub(crate) fn filled(
        &self,
        fill: &dyn Fn(&PatternHole) -> Option<TemplateShape>,
    ) -> TemplateShape {
        match self {
            Self::Text(pattern) => match pattern.as_hole().and_then(fill) {
                Some(shape) => shape,
                None => Self::Text(filled(pattern, fill)),
            },
            Self::Array(items) => Self::Array(items.iter().map(|item| item.filled(fill)).collect()),
            Self::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(key, value)| (filled(key, fill), value.filled(fill)))
                    .collect(),
            ),
            fixed => fixed.clone(),
        }
    }

    /// The shape at a JSON pointer (RFC 6901); members named by holes are not
    /// found.
    pub(crate) fn at(&self, pointer: &str) -> Option<&TemplateShape> {
        let mut keys = pointer.split('/').skip(1);
        keys.try_fold(self, |shape, key| {
            let key = key.replace("~1", "/").replace("~0", "~");
            match shape {
                Self::Array(items) => items.get(key.parse::<usize>().ok()?),
                Self::Object(members) => {
                    let mut members = members.iter();
                    let found = members.find(|(known, _)| known.as_fixed() == Some(&key));
                    found.map(|(_, shape)| shape)
                }
                _ => None,
            }
        })
    }

    /// Puts a value where a JSON pointer (RFC 6901) leads; objects on the way are
    /// made. False, and nothing is changed, if something else is in the way or a
    /// hole is there.
    pub(crate) fn put(&mut self, pointer: &str, value: TemplateShape) -> bool {
        let Some((key, rest)) = pointer.strip_prefix('/').map(|path| {
            let end = path.find('/').unwrap_or(path.len());
            path.split_at(end)
        }) else {
            let free = !self.has_hole();
            if free {
                *self = value;
            }
            return free;
        };
        let key = key.replace("~1", "/").replace("~0", "~");
        match self {
            Self::Array(items) => {
                let item = key.parse::<usize>().ok().and_then(|nth| items.get_mut(nth));
                item.is_some_and(|item| item.put(rest, value))
            }
            Self::Object(members) => {
                let mut known = members.iter_mut();
                if let Some((_, shape)) = known.find(|(it, _)| it.as_fixed() == Some(&key)) {
                    return shape.put(rest, value);
                }
                let mut shape = Self::Object(Vec::new());
                let put = shape.put(rest, value);
                members.push((TextPattern::fixed(&key), shape));
                put
            }
            _ => false,
        }
    }

    fn has_hole(&self) -> bool {
        let mut found = false;
        self.visit(&mut |pattern| found |= pattern.holes().next().is_some());
        found
    }
}

fn filled(
    pattern: &TextPattern,
    fill: &dyn Fn(&PatternHole) -> Option<TemplateShape>,
) -> TextPattern {
    let part = |part: &PatternPart| match part {
        PatternPart::Hole(hole) => match fill(hole) {
            Some(TemplateShape::Text(text)) => text.0,
            Some(TemplateShape::Number(text)) => vec![PatternPart::Text(text)],
            Some(TemplateShape::Bool(value)) => vec![PatternPart::Text(value.to_string().into())],
            _ => vec![PatternPart::Hole(hole.clone())],
        },
        PatternPart::Text(text) => vec![PatternPart::Text(text.clone())],
    };
    TextPattern(pattern.0.iter().flat_map(part).collect())
}

fn shape(
    node: &JsonNode<'_>,
    text: &str,
    vocabulary: &WordVocabulary<'_>,
) -> Result<TemplateShape, PatternFlaw> {
    Ok(match &node.value {
        Json::Null => TemplateShape::Null,
        Json::Bool(value) => TemplateShape::Bool(*value),
        Json::Number(number) => TemplateShape::Number(number.as_ref().into()),
        Json::Text(string) => {
            TemplateShape::Text(pattern(string, node.span.start, text, vocabulary)?)
        }
        Json::Array(items) => TemplateShape::Array(
            items
                .iter()
                .map(|item| shape(item, text, vocabulary))
                .collect::<Result<_, _>>()?,
        ),
        Json::Object(members) => {
            let member = |member: &json::JsonMember<'_>| {
                let key = pattern(&member.key, member.start, text, vocabulary)?;
                Ok((key, shape(&member.node, text, vocabulary)?))
            };
            let members = members
                .iter()
                .map(member)
                .collect::<Result<Vec<_>, PatternFlaw>>()?;
            if members
                .iter()
                .filter(|(key, _)| key.as_fixed().is_none())
                .count()
                > 1
            {
                return Err(PatternFlaw::new(
                    node.span.start,
                    "two members of one object have holes in their names",
                ));
            }
            TemplateShape::Object(members)
        }
    })
}

/// A pattern in a JSON string that begins at `start`. Its flaws are placed
/// exactly unless the string holds escapes.
fn pattern(
    string: &str,
    start: usize,
    text: &str,
    words: &WordVocabulary<'_>,
) -> Result<TextPattern, PatternFlaw> {
    TextPattern::parse(string, words).map_err(|flaw| {
        let plain = text
            .get(start + 1..)
            .is_some_and(|rest| rest.starts_with(string));
        PatternFlaw {
            at: if plain { start + 1 + flaw.at } else { start },
            ..flaw
        }
    })
}
#[cfg(test)]
mod tests {
    use countersign_domain::Timestamp;

    use super::*;
    use crate::hole_word::HoleValue;
    use crate::pattern::OnlyValue;

    const REQUEST: WordVocabulary<'static> = WordVocabulary::request(&[]);
    const BODY: &str =
        r#"{"data": {"type": "auth", "n": [{"login": "{login}", "password": "{secret}"}]}}"#;

    fn misfit(body: &str) -> (MisfitReason, String) {
        let template = JsonTemplate::parse(BODY, &REQUEST).unwrap();
        let node = json::parse(body.as_bytes(), JsonRules::STRICT).unwrap();
        let mut bindings = HoleBindings::new(Timestamp::default());
        let misfit = template
            .bind(&node, ReadingMode::REQUEST, &mut bindings)
            .unwrap_err();
        (misfit.because, misfit.pointer)
    }

    #[test]
    fn order_and_unknown_members_do_not_matter() {
        let template = JsonTemplate::parse(BODY, &REQUEST).unwrap();
        let body =
            br#"{"x": 1, "data": {"n": [{"password": "p", "login": "l"}, 2], "type": "auth"}}"#;
        let node = json::parse(body, JsonRules::STRICT).unwrap();
        let mut bindings = HoleBindings::new(Timestamp::default());
        assert_eq!(
            template.bind(&node, ReadingMode::REQUEST, &mut bindings),
            Ok(())
        );
        assert_eq!(bindings.text(&HoleWord::Login), Some("l"));
        assert_eq!(bindings.text(&HoleWord::Secret), Some("p"));
    }

    #[test]
    fn what_does_not_fit_is_told_by_its_pointer() {
        use MisfitReason::{ConstantDiffers, ConstantMissing, Missing, WrongType};
        for (body, because, pointer) in [
            ("{}", Missing, "/data/n/0/login"),
            (r#"{"data": null}"#, Missing, "/data/n/0/login"),
            (r#"{"data": 1}"#, WrongType, "/data"),
            ("[]", WrongType, ""),
            (
                r#"{"data": {"type": "auth", "n": [{"login": "l"}]}}"#,
                Missing,
                "/data/n/0/password",
            ),
            (
                r#"{"data": {"type": "auth", "n": [{"login": "l", "password": ""}]}}"#,
                Missing,
                "/data/n/0/password",
            ),
            (
                r#"{"data": {"type": "auth", "n": [{"login": 1, "password": "p"}]}}"#,
                WrongType,
                "/data/n/0/login",
            ),
            (
                r#"{"data": {"n": [{"login": "l", "password": "p"}]}}"#,
                ConstantMissing,
                "/data/type",
            ),
            (
                r#"{"data": {"type": 1, "n": [{"login": "l", "password": "p"}]}}"#,
                ConstantDiffers,
                "/data/type",
            ),
        ] {
            assert_eq!(misfit(body), (because, pointer.to_owned()), "{body}");
        }
    }

    #[test]
    fn a_member_whose_optional_hole_is_empty_is_left_out() {
        let words = WordVocabulary::REFUSAL;
        for (text, with, without) in [
            (r#"{"a": "{pointer?}"}"#, r#"{"a":"/x"}"#, "{}"),
            (
                r#"{"a": "{pointer?}", "b": 1}"#,
                r#"{"a":"/x","b":1}"#,
                r#"{"b":1}"#,
            ),
            (
                r#"{"b": 1, "a": "{pointer?}"}"#,
                r#"{"b":1,"a":"/x"}"#,
                r#"{"b":1}"#,
            ),
            (
                r#"{"b": {"a": "{pointer?}"}, "c": 1}"#,
                r#"{"b":{"a":"/x"},"c":1}"#,
                r#"{"b":{},"c":1}"#,
            ),
        ] {
            let template = JsonTemplate::parse(text, &words).unwrap();
            assert_eq!(
                template.write(&OnlyValue(HoleWord::Pointer, HoleValue::Text("/x"))),
                with
            );
            assert_eq!(
                template.write(&OnlyValue(HoleWord::Allow, HoleValue::Text("-"))),
                without
            );
        }
    }

    #[test]
    fn what_fills_a_hole_cannot_leave_its_string() {
        let template = JsonTemplate::parse(r#"{"a": "<{login}>"}"#, &REQUEST).unwrap();
        let text = template.write(&OnlyValue(
            HoleWord::Login,
            HoleValue::Text("\",\"b\":\n\\{x}"),
        ));
        assert_eq!(text, r#"{"a":"<\",\"b\":\n\\{x}>"}"#);
    }

    #[test]
    fn a_member_name_can_be_a_hole() {
        let template = JsonTemplate::parse(
            r#"{"errors": {"{code}": {"m": "{detail}"}}}"#,
            &WordVocabulary::REFUSAL,
        )
        .unwrap();
        let node = json::parse(
            br#"{"errors": {"ER801": {"m": "expired"}}}"#,
            JsonRules::STRICT,
        )
        .unwrap();
        let bindings = reply_bindings(&template, &node, Timestamp::default()).unwrap();
        assert_eq!(
            bindings.text(&HoleWord::Field("code".into())),
            Some("ER801")
        );
        assert_eq!(
            bindings.text(&HoleWord::Field("detail".into())),
            Some("expired")
        );
    }
}
