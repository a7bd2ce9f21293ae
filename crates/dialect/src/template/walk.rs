//! The reading half of a template: a walk of its shape through a value.

use countersign_domain::Timestamp;

use super::{JsonTemplate, TemplateShape};
use crate::document::below;
use crate::hole_word::HoleBindings;
use crate::json::{Json, JsonNode};
use crate::pattern::TextPattern;

/// How a value is compared with a template.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadingMode {
    /// Fixed values must be there and equal.
    pub(crate) assert: bool,
    /// A number is read where a string is expected, and the reverse.
    pub(crate) loose: bool,
}

impl ReadingMode {
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
pub(crate) enum MisfitReason {
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
pub(crate) struct TemplateMisfit {
    pub(crate) because: MisfitReason,
    pub(crate) pointer: String,
    /// What is there, and what should be; empty if nothing is there.
    pub(crate) found: String,
}

impl TemplateMisfit {
    /// What is wrong with a reply.
    pub(crate) fn in_words(&self) -> String {
        match (self.because, &*self.pointer) {
            (MisfitReason::WrongType, "") => format!("it is {}", self.found),
            (MisfitReason::WrongType, pointer) => {
                format!("{pointer} has an unexpected form: {}", self.found)
            }
            (_, pointer) if self.found.is_empty() => format!("it lacks {pointer}"),
            (_, pointer) => format!("it lacks {pointer}, which is {}", self.found),
        }
    }
}

/// Walks a shape through a value and binds what stands in its holes.
pub(super) fn bind(
    shape: &TemplateShape,
    node: &JsonNode<'_>,
    reading: ReadingMode,
    bindings: &mut HoleBindings,
) -> Result<(), TemplateMisfit> {
    let mut walk = TemplateWalk {
        reading,
        bindings,
        worst: None,
    };
    walk.shape(shape, Some(node), &mut WalkPlace::default());
    walk.worst.map_or(Ok(()), Err)
}

struct TemplateWalk<'b> {
    reading: ReadingMode,
    bindings: &'b mut HoleBindings,
    worst: Option<TemplateMisfit>,
}

/// The path to where the walk is.
#[derive(Default)]
struct WalkPlace(Vec<String>);

impl WalkPlace {
    fn pointer(&self) -> String {
        self.0
            .iter()
            .fold(String::new(), |pointer, key| below(&pointer, key))
    }
}

impl TemplateWalk<'_> {
    fn note(&mut self, because: MisfitReason, place: &WalkPlace, found: String) {
        if self
            .worst
            .as_ref()
            .is_none_or(|worst| because < worst.because)
        {
            self.worst = Some(TemplateMisfit {
                because,
                pointer: place.pointer(),
                found,
            });
        }
    }

    fn shape(&mut self, shape: &TemplateShape, node: Option<&JsonNode<'_>>, place: &mut WalkPlace) {
        let written = node.map(|node| &node.value);
        let node = node.filter(|node| node.value != Json::Null || !shape.has_hole());
        match (shape, node.map(|node| &node.value)) {
            (TemplateShape::Object(members), Some(Json::Object(_)) | None) => {
                self.object(members, node, place);
            }
            (TemplateShape::Array(items), Some(Json::Array(_)) | None) => {
                self.array(items, node, place);
            }
            (TemplateShape::Text(pattern), value) if pattern.as_fixed().is_none() => {
                self.text(pattern, value.or(written), place);
            }
            (shape, Some(value)) if shape.has_hole() => {
                let wanted = match shape {
                    TemplateShape::Array(_) => "a list",
                    _ => "an object",
                };
                self.note(MisfitReason::WrongType, place, instead(value, wanted));
            }
            (shape, value) => self.fixed(shape, value, place),
        }
    }

    fn object(
        &mut self,
        members: &[(TextPattern, TemplateShape)],
        node: Option<&JsonNode<'_>>,
        place: &mut WalkPlace,
    ) {
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
        key: &TextPattern,
        shape: &TemplateShape,
        node: Option<&JsonNode<'_>>,
        taken: &dyn Fn(&str) -> bool,
        place: &mut WalkPlace,
    ) {
        let members = match node.map(|node| &node.value) {
            Some(Json::Object(members)) => members.as_slice(),
            _ => &[],
        };
        let mut others = members.iter().filter(|member| !taken(&member.key));
        match others.find(|member| key.bind(&member.key, self.bindings)) {
            Some(member) => {
                place.0.push(member.key.clone().into_owned());
                self.shape(shape, Some(&member.node), place);
                place.0.pop();
            }
            None => self.note(MisfitReason::Missing, place, String::new()),
        }
    }

    fn array(
        &mut self,
        items: &[TemplateShape],
        node: Option<&JsonNode<'_>>,
        place: &mut WalkPlace,
    ) {
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

    fn text(&mut self, pattern: &TextPattern, value: Option<&Json<'_>>, place: &WalkPlace) {
        let number = pattern
            .as_hole()
            .map(|hole| hole.codec.is_number(&hole.word));
        let loose = self.reading.loose;
        let required = pattern.holes().any(|hole| !hole.optional);
        match value {
            None | Some(Json::Null) => {
                if required {
                    let found = value.map_or_else(String::new, |_| "null".to_owned());
                    self.note(MisfitReason::Missing, place, found);
                }
            }
            Some(Json::Text(text)) if text.is_empty() && number != Some(true) => {
                if required {
                    self.note(MisfitReason::Missing, place, "empty".to_owned());
                }
            }
            Some(Json::Text(text)) if number != Some(true) || loose => {
                self.bind(pattern, text, value, place);
            }
            Some(Json::Number(text)) if number == Some(true) && loose => {
                self.bind(pattern, without_zero_fraction(text), value, place);
            }
            Some(Json::Number(text)) if number == Some(true) || (loose && number.is_some()) => {
                self.bind(pattern, text, value, place);
            }
            Some(value) => self.mistyped(pattern, value, place),
        }
    }

    fn bind(
        &mut self,
        pattern: &TextPattern,
        text: &str,
        value: Option<&Json<'_>>,
        place: &WalkPlace,
    ) {
        if !pattern.bind(text, self.bindings)
            && let Some(value) = value
        {
            self.mistyped(pattern, value, place);
        }
    }

    fn mistyped(&mut self, pattern: &TextPattern, value: &Json<'_>, place: &WalkPlace) {
        let hole = pattern.as_hole();
        let wanted = hole.map_or("a text with the template's text around its hole", |hole| {
            hole.codec.in_words(&hole.word)
        });
        self.note(MisfitReason::WrongType, place, instead(value, wanted));
    }

    fn fixed(&mut self, shape: &TemplateShape, value: Option<&Json<'_>>, place: &WalkPlace) {
        if !self.reading.assert {
            return;
        }
        match (shape, value) {
            (TemplateShape::Null, Some(Json::Null) | None) => (),
            (_, None) => self.note(MisfitReason::ConstantMissing, place, String::new()),
            (TemplateShape::Bool(wanted), Some(Json::Bool(found))) if wanted == found => (),
            (TemplateShape::Number(wanted), Some(Json::Number(found))) if **wanted == **found => (),
            (TemplateShape::Text(wanted), Some(Json::Text(found)))
                if wanted.as_fixed() == Some(found) => {}
            _ => self.note(MisfitReason::ConstantDiffers, place, String::new()),
        }
    }
}

/// A value instead of what is wanted. Only what is plainly a number or a date is
/// repeated: any other text may be a secret.
fn instead(value: &Json<'_>, wanted: &str) -> String {
    let is_plain = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_digit() || b"+-.:TZ ".contains(&byte);
        !text.is_empty() && text.len() <= 40 && text.bytes().all(plain)
    };
    let found = match value {
        Json::Null => "null".to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Number(number) if number.len() <= 40 => number.to_string(),
        Json::Number(_) => "a number".to_owned(),
        Json::Text(text) if is_plain(text) => format!("{text:?}"),
        Json::Text(_) => "a text".to_owned(),
        Json::Array(_) => "a list".to_owned(),
        Json::Object(_) => "an object".to_owned(),
    };
    format!("{found} instead of {wanted}")
}

/// A whole number without the fraction that some write: `3599.0`.
fn without_zero_fraction(number: &str) -> &str {
    match number.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte == b'0') => whole,
        _ => number,
    }
}

/// Reads a body as JSON and then by a template, with fixed values unasserted
/// and times counted from `now`: for replies.
pub(crate) fn reply_bindings(
    template: &JsonTemplate,
    node: &JsonNode<'_>,
    now: Timestamp,
) -> Result<HoleBindings, TemplateMisfit> {
    let mut bindings = HoleBindings::new(now);
    template.bind(node, ReadingMode::REPLY, &mut bindings)?;
    Ok(bindings)
}
