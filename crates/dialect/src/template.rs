//! The two-way template: a JSON text whose strings are patterns. Written by
//! concatenating pieces that were cut at load; read by walking the same shape
//! through a value.
//!
//! Reading ignores the order of members and members that the template does not
//! have. A required hole that finds nothing is told by its JSON pointer.

use countersign_domain::Timestamp;

use crate::document::below;
use crate::json::{self, Json, Node, Rules};
use crate::pattern::{Flaw, Hole, Part, Pattern};
use crate::word::{Bindings, Datum, Values, Vocabulary, Word};

/// The largest template, in bytes, and the most holes in one.
const MAX_TEXT: usize = 16 * 1024;
const MAX_HOLES: usize = 64;

/// The shape of a JSON value with holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Null,
    Bool(bool),
    Number(Box<str>),
    Text(Pattern),
    Array(Vec<Shape>),
    Object(Vec<(Pattern, Shape)>),
}

/// A compiled template.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) shape: Shape,
    pieces: Vec<Piece>,
}

/// What a rendering is concatenated from.
#[derive(Clone, Debug)]
enum Piece {
    Raw(Box<str>),
    /// A comma, unless it would be the first thing in its object.
    Comma,
    /// A hole that is a whole value: in quotes, or bare.
    Whole(Hole),
    /// A hole inside a string.
    Inside(Hole),
    /// A member that is left out when one of its optional holes has no value.
    Member {
        needs: Vec<Word>,
        pieces: Vec<Piece>,
    },
}

impl Template {
    /// Compiles a JSON text.
    pub(crate) fn parse(text: &str, vocabulary: &Vocabulary<'_>) -> Result<Self, Flaw> {
        if text.len() > MAX_TEXT {
            return Err(Flaw::new(0, "is larger than 16 KiB"));
        }
        let node = json::parse(text.as_bytes(), Rules::STRICT)
            .map_err(|fault| Flaw::new(fault.offset, format!("is not JSON: {}", fault.what)))?;
        let template = Self::of(shape(&node, text, vocabulary)?);
        if template.holes().len() > MAX_HOLES {
            return Err(Flaw::new(0, "has more than 64 holes"));
        }
        Ok(template)
    }

    /// Compiles a shape.
    pub(crate) fn of(shape: Shape) -> Self {
        let mut pieces = Vec::new();
        cut(&shape, &mut pieces);
        Self {
            shape,
            pieces: join(pieces),
        }
    }

    /// Every hole, in the order of the text.
    pub(crate) fn holes(&self) -> Vec<&Hole> {
        let mut holes = Vec::new();
        self.shape
            .visit(&mut |pattern| holes.extend(pattern.holes()));
        holes
    }

    /// The first hole for a word.
    pub(crate) fn hole(&self, word: &Word) -> Option<&Hole> {
        self.holes().into_iter().find(|hole| hole.word == *word)
    }

    /// Fills the holes. A required hole without a value is `null`, or nothing
    /// inside a string.
    pub(crate) fn write(&self, values: &dyn Values) -> String {
        let mut out = String::with_capacity(512);
        write(&self.pieces, values, &mut out);
        out
    }

    /// Reads a value; see [`Reading`].
    pub(crate) fn read(
        &self,
        node: &Node<'_>,
        reading: Reading,
        bindings: &mut Bindings,
    ) -> Result<(), Misfit> {
        let mut walk = Walk {
            reading,
            bindings,
            worst: None,
        };
        walk.shape(&self.shape, Some(node), &mut Place::default());
        walk.worst.map_or(Ok(()), Err)
    }
}

impl Shape {
    /// Calls `see` for every pattern.
    pub(crate) fn visit<'s>(&'s self, see: &mut dyn FnMut(&'s Pattern)) {
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
    pub(crate) fn filled(&self, fill: &dyn Fn(&Hole) -> Option<Shape>) -> Shape {
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

    fn has_hole(&self) -> bool {
        let mut found = false;
        self.visit(&mut |pattern| found |= pattern.holes().next().is_some());
        found
    }
}

fn filled(pattern: &Pattern, fill: &dyn Fn(&Hole) -> Option<Shape>) -> Pattern {
    let part = |part: &Part| match part {
        Part::Hole(hole) => match fill(hole) {
            Some(Shape::Text(text)) => text.0,
            Some(Shape::Number(text)) => vec![Part::Text(text)],
            Some(Shape::Bool(value)) => vec![Part::Text(value.to_string().into())],
            _ => vec![Part::Hole(hole.clone())],
        },
        Part::Text(text) => vec![Part::Text(text.clone())],
    };
    Pattern(pattern.0.iter().flat_map(part).collect())
}

fn shape(node: &Node<'_>, text: &str, vocabulary: &Vocabulary<'_>) -> Result<Shape, Flaw> {
    Ok(match &node.value {
        Json::Null => Shape::Null,
        Json::Bool(value) => Shape::Bool(*value),
        Json::Number(number) => Shape::Number(number.as_ref().into()),
        Json::Text(string) => Shape::Text(pattern(string, node.span.start, text, vocabulary)?),
        Json::Array(items) => Shape::Array(
            items
                .iter()
                .map(|item| shape(item, text, vocabulary))
                .collect::<Result<_, _>>()?,
        ),
        Json::Object(members) => {
            let member = |member: &json::Member<'_>| {
                let key = pattern(&member.key, member.start, text, vocabulary)?;
                Ok((key, shape(&member.node, text, vocabulary)?))
            };
            let members = members
                .iter()
                .map(member)
                .collect::<Result<Vec<_>, Flaw>>()?;
            if members
                .iter()
                .filter(|(key, _)| key.as_fixed().is_none())
                .count()
                > 1
            {
                return Err(Flaw::new(
                    node.span.start,
                    "two members of one object have holes in their names",
                ));
            }
            Shape::Object(members)
        }
    })
}

/// A pattern in a JSON string that begins at `start`. Its flaws are placed
/// exactly unless the string holds escapes.
fn pattern(
    string: &str,
    start: usize,
    text: &str,
    words: &Vocabulary<'_>,
) -> Result<Pattern, Flaw> {
    Pattern::parse(string, words).map_err(|flaw| {
        let plain = text
            .get(start + 1..)
            .is_some_and(|rest| rest.starts_with(string));
        Flaw {
            at: if plain { start + 1 + flaw.at } else { start },
            ..flaw
        }
    })
}

fn cut(shape: &Shape, pieces: &mut Vec<Piece>) {
    match shape {
        Shape::Null => raw("null", pieces),
        Shape::Bool(value) => raw(if *value { "true" } else { "false" }, pieces),
        Shape::Number(text) => raw(text, pieces),
        Shape::Text(pattern) => match pattern.as_hole() {
            Some(hole) => pieces.push(Piece::Whole(hole.clone())),
            None => cut_string(pattern, pieces),
        },
        Shape::Array(items) => {
            raw("[", pieces);
            for (index, item) in items.iter().enumerate() {
                raw(if index > 0 { "," } else { "" }, pieces);
                cut(item, pieces);
            }
            raw("]", pieces);
        }
        Shape::Object(members) => {
            raw("{", pieces);
            members
                .iter()
                .for_each(|(key, value)| cut_member(key, value, pieces));
            raw("}", pieces);
        }
    }
}

fn cut_member(key: &Pattern, value: &Shape, pieces: &mut Vec<Piece>) {
    let mut member = vec![Piece::Comma];
    cut_string(key, &mut member);
    raw(":", &mut member);
    cut(value, &mut member);
    let needs = match value {
        Shape::Text(pattern) => pattern.holes().filter(|hole| hole.optional).collect(),
        _ => Vec::new(),
    };
    if needs.is_empty() {
        pieces.append(&mut member);
    } else {
        let needs = needs.into_iter().map(|hole| hole.word.clone()).collect();
        pieces.push(Piece::Member {
            needs,
            pieces: join(member),
        });
    }
}

fn cut_string(pattern: &Pattern, pieces: &mut Vec<Piece>) {
    raw("\"", pieces);
    for part in &pattern.0 {
        match part {
            Part::Text(text) => {
                let mut escaped = String::new();
                json::escape(text, &mut escaped);
                raw(&escaped, pieces);
            }
            Part::Hole(hole) => pieces.push(Piece::Inside(hole.clone())),
        }
    }
    raw("\"", pieces);
}

fn raw(text: &str, pieces: &mut Vec<Piece>) {
    pieces.push(Piece::Raw(text.into()));
}

/// Joins fixed texts that touch. A comma after something fixed is fixed too.
fn join(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::Raw(last)), Piece::Raw(text)) => *last = format!("{last}{text}").into(),
            (Some(Piece::Raw(last)), Piece::Comma) if last.ends_with('{') => (),
            (Some(Piece::Raw(last)), Piece::Comma) => *last = format!("{last},").into(),
            (Some(Piece::Whole(_) | Piece::Inside(_)), Piece::Comma) => {
                joined.push(Piece::Raw(",".into()));
            }
            (_, piece) => joined.push(piece),
        }
    }
    joined
}

fn write(pieces: &[Piece], values: &dyn Values, out: &mut String) {
    for piece in pieces {
        match piece {
            Piece::Raw(text) => out.push_str(text),
            Piece::Comma if out.ends_with('{') => (),
            Piece::Comma => out.push(','),
            Piece::Whole(hole) => whole(hole, values, out),
            Piece::Inside(hole) => {
                if let Some(datum) = values.datum(&hole.word) {
                    hole.codec
                        .write(&datum, values.now(), &mut |part| json::escape(part, out));
                }
            }
            Piece::Member { needs, pieces } => {
                if needs.iter().all(|word| values.datum(word).is_some()) {
                    write(pieces, values, out);
                }
            }
        }
    }
}

fn whole(hole: &Hole, values: &dyn Values, out: &mut String) {
    let Some(datum) = values.datum(&hole.word) else {
        return out.push_str("null");
    };
    let bare = hole.codec.is_number(&hole.word) && !matches!(datum, Datum::Text(_));
    let quote = if bare { "" } else { "\"" };
    out.push_str(quote);
    hole.codec
        .write(&datum, values.now(), &mut |part| json::escape(part, out));
    out.push_str(quote);
}

/// How a value is compared with a template.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Fixed values must be there and equal.
    pub(crate) assert: bool,
    /// A number is read where a string is expected, and the reverse.
    pub(crate) loose: bool,
}

impl Reading {
    /// What a peer sends to us.
    pub(crate) const REQUEST: Self = Self {
        assert: true,
        loose: false,
    };
    /// What a vendor answers.
    pub(crate) const REPLY: Self = Self {
        assert: false,
        loose: true,
    };
}

/// Why a value does not fit a template. In the order of what is told first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Because {
    /// It is of another type, or not of the codec.
    WrongType,
    /// A hole finds nothing, `null` or an empty string.
    Missing,
    /// A fixed value is not there.
    ConstantMissing,
    /// A fixed value is another.
    ConstantDiffers,
}

/// Where a value does not fit, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) because: Because,
    pub(crate) pointer: String,
}

struct Walk<'b> {
    reading: Reading,
    bindings: &'b mut Bindings,
    worst: Option<Misfit>,
}

/// The path to where the walk is.
#[derive(Default)]
struct Place(Vec<String>);

impl Place {
    fn pointer(&self) -> String {
        self.0
            .iter()
            .fold(String::new(), |pointer, key| below(&pointer, key))
    }
}

impl Walk<'_> {
    fn note(&mut self, because: Because, place: &Place) {
        if self
            .worst
            .as_ref()
            .is_none_or(|worst| because < worst.because)
        {
            self.worst = Some(Misfit {
                because,
                pointer: place.pointer(),
            });
        }
    }

    fn shape(&mut self, shape: &Shape, node: Option<&Node<'_>>, place: &mut Place) {
        let node = node.filter(|node| node.value != Json::Null || !shape.has_hole());
        match (shape, node.map(|node| &node.value)) {
            (Shape::Object(members), Some(Json::Object(_)) | None) => {
                self.object(members, node, place);
            }
            (Shape::Array(items), Some(Json::Array(_)) | None) => self.array(items, node, place),
            (Shape::Text(pattern), value) if pattern.as_fixed().is_none() => {
                self.text(pattern, value, place);
            }
            (shape, Some(_)) if shape.has_hole() => self.note(Because::WrongType, place),
            (shape, value) => self.fixed(shape, value, place),
        }
    }

    fn object(&mut self, members: &[(Pattern, Shape)], node: Option<&Node<'_>>, place: &mut Place) {
        let fixed = |key: &str| {
            members
                .iter()
                .any(|(known, _)| known.as_fixed() == Some(key))
        };
        for (key, shape) in members {
            match key.as_fixed() {
                Some(name) => {
                    place.0.push(name.to_owned());
                    self.shape(shape, node.and_then(|node| node.member(name)), place);
                    place.0.pop();
                }
                None => self.named_by_hole(key, shape, node, &fixed, place),
            }
        }
    }

    /// A member whose name is a hole: the first that no fixed name takes.
    fn named_by_hole(
        &mut self,
        key: &Pattern,
        shape: &Shape,
        node: Option<&Node<'_>>,
        taken: &dyn Fn(&str) -> bool,
        place: &mut Place,
    ) {
        let members = match node.map(|node| &node.value) {
            Some(Json::Object(members)) => members.as_slice(),
            _ => &[],
        };
        let mut others = members.iter().filter(|member| !taken(&member.key));
        match others.find(|member| key.read(&member.key, self.bindings)) {
            Some(member) => {
                place.0.push(member.key.clone().into_owned());
                self.shape(shape, Some(&member.node), place);
                place.0.pop();
            }
            None => self.note(Because::Missing, place),
        }
    }

    fn array(&mut self, items: &[Shape], node: Option<&Node<'_>>, place: &mut Place) {
        let found = match node.map(|node| &node.value) {
            Some(Json::Array(found)) => found.as_slice(),
            _ => &[],
        };
        for (index, shape) in items.iter().enumerate() {
            place.0.push(index.to_string());
            self.shape(shape, found.get(index), place);
            place.0.pop();
        }
    }

    fn text(&mut self, pattern: &Pattern, value: Option<&Json<'_>>, place: &Place) {
        let number = pattern
            .as_hole()
            .map(|hole| hole.codec.is_number(&hole.word));
        let loose = self.reading.loose;
        let required = pattern.holes().any(|hole| !hole.optional);
        match value {
            None => {
                if required {
                    self.note(Because::Missing, place);
                }
            }
            Some(Json::Text(text)) if text.is_empty() && number != Some(true) => {
                if required {
                    self.note(Because::Missing, place);
                }
            }
            Some(Json::Text(text)) if number != Some(true) || loose => {
                self.bind(pattern, text, place);
            }
            Some(Json::Number(text)) if number == Some(true) || (loose && number.is_some()) => {
                self.bind(pattern, text, place);
            }
            Some(_) => self.note(Because::WrongType, place),
        }
    }

    fn bind(&mut self, pattern: &Pattern, text: &str, place: &Place) {
        if !pattern.read(text, self.bindings) {
            self.note(Because::WrongType, place);
        }
    }

    fn fixed(&mut self, shape: &Shape, value: Option<&Json<'_>>, place: &Place) {
        if !self.reading.assert {
            return;
        }
        match (shape, value) {
            (Shape::Null, Some(Json::Null) | None) => (),
            (_, None) => self.note(Because::ConstantMissing, place),
            (Shape::Bool(wanted), Some(Json::Bool(found))) if wanted == found => (),
            (Shape::Number(wanted), Some(Json::Number(found))) if **wanted == **found => (),
            (Shape::Text(wanted), Some(Json::Text(found))) if wanted.as_fixed() == Some(found) => {
                ()
            }
            _ => self.note(Because::ConstantDiffers, place),
        }
    }
}

/// Reads a body as JSON and then by a template, with fixed values unasserted
/// and times counted from `now`: for replies.
pub(crate) fn reply_bindings(
    template: &Template,
    node: &Node<'_>,
    now: Timestamp,
) -> Result<Bindings, Misfit> {
    let mut bindings = Bindings::new(now);
    template.read(node, Reading::REPLY, &mut bindings)?;
    Ok(bindings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Only;

    const REQUEST: Vocabulary<'static> = Vocabulary::request(&[]);
    const BODY: &str =
        r#"{"data": {"type": "auth", "n": [{"login": "{login}", "password": "{secret}"}]}}"#;

    fn misfit(body: &str) -> (Because, String) {
        let template = Template::parse(BODY, &REQUEST).unwrap();
        let node = json::parse(body.as_bytes(), Rules::STRICT).unwrap();
        let mut bindings = Bindings::new(Timestamp::default());
        let misfit = template
            .read(&node, Reading::REQUEST, &mut bindings)
            .unwrap_err();
        (misfit.because, misfit.pointer)
    }

    #[test]
    fn order_and_unknown_members_do_not_matter() {
        let template = Template::parse(BODY, &REQUEST).unwrap();
        let body =
            br#"{"x": 1, "data": {"n": [{"password": "p", "login": "l"}, 2], "type": "auth"}}"#;
        let node = json::parse(body, Rules::STRICT).unwrap();
        let mut bindings = Bindings::new(Timestamp::default());
        assert_eq!(
            template.read(&node, Reading::REQUEST, &mut bindings),
            Ok(())
        );
        assert_eq!(bindings.text(&Word::Login), Some("l"));
        assert_eq!(bindings.text(&Word::Secret), Some("p"));
    }

    #[test]
    fn what_does_not_fit_is_told_by_its_pointer() {
        use Because::{ConstantDiffers, ConstantMissing, Missing, WrongType};
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
        let words = Vocabulary::REFUSAL;
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
            let template = Template::parse(text, &words).unwrap();
            assert_eq!(
                template.write(&Only(Word::Pointer, Datum::Text("/x"))),
                with
            );
            assert_eq!(
                template.write(&Only(Word::Allow, Datum::Text("-"))),
                without
            );
        }
    }

    #[test]
    fn what_fills_a_hole_cannot_leave_its_string() {
        let template = Template::parse(r#"{"a": "<{login}>"}"#, &REQUEST).unwrap();
        let text = template.write(&Only(Word::Login, Datum::Text("\",\"b\":\n\\{x}")));
        assert_eq!(text, r#"{"a":"<\",\"b\":\n\\{x}>"}"#);
    }

    #[test]
    fn a_member_name_can_be_a_hole() {
        let template = Template::parse(
            r#"{"errors": {"{code}": {"m": "{detail}"}}}"#,
            &Vocabulary::REFUSAL,
        )
        .unwrap();
        let node =
            json::parse(br#"{"errors": {"ER801": {"m": "expired"}}}"#, Rules::STRICT).unwrap();
        let bindings = reply_bindings(&template, &node, Timestamp::default()).unwrap();
        assert_eq!(bindings.text(&Word::Field("code".into())), Some("ER801"));
        assert_eq!(
            bindings.text(&Word::Field("detail".into())),
            Some("expired")
        );
    }
}
