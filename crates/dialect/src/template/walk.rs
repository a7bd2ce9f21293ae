//! The reading half of a template: a walk of its shape through a value.

use countersign_domain::Timestamp;

use super::{Shape, Template};
use crate::document::below;
use crate::json::{Json, Node};
use crate::pattern::Pattern;
use crate::word::Bindings;

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

/// Walks a shape through a value and binds what stands in its holes.
pub(super) fn read(
    shape: &Shape,
    node: &Node<'_>,
    reading: Reading,
    bindings: &mut Bindings,
) -> Result<(), Misfit> {
    let mut walk = Walk {
        reading,
        bindings,
        worst: None,
    };
    walk.shape(shape, Some(node), &mut Place::default());
    walk.worst.map_or(Ok(()), Err)
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
            Some(Json::Number(text)) if number == Some(true) && loose => {
                self.bind(pattern, whole(text), place);
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
            (Shape::Text(wanted), Some(Json::Text(found))) if wanted.as_fixed() == Some(found) => {}
            _ => self.note(Because::ConstantDiffers, place),
        }
    }
}

/// A whole number without the fraction that some write: `3599.0`.
fn whole(number: &str) -> &str {
    match number.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte == b'0') => whole,
        _ => number,
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
