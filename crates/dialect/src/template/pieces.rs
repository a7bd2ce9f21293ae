//! The writing half of a template: pieces that are cut once, at load.

use super::TemplateShape;
use crate::hole_word::{HoleValue, HoleValues, HoleWord};
use crate::json;
use crate::pattern::{PatternHole, PatternPart, TextPattern};

/// What a rendering is concatenated from.
#[derive(Clone, Debug)]
pub(super) enum TemplatePiece {
    Raw(Box<str>),
    /// A comma, unless it would be the first thing in its object.
    Comma,
    /// A hole that is a whole value: in quotes, or bare.
    Whole(PatternHole),
    /// A hole inside a string.
    Inside(PatternHole),
    /// A member that is left out when one of its optional holes has no value.
    Member {
        needs: Vec<HoleWord>,
        pieces: Vec<TemplatePiece>,
    },
}
/// The pieces of a shape.
pub(super) fn cut(shape: &TemplateShape) -> Vec<TemplatePiece> {
    let mut pieces = Vec::new();
    cut_value(shape, &mut pieces);
    join(pieces)
}

fn cut_value(shape: &TemplateShape, pieces: &mut Vec<TemplatePiece>) {
    match shape {
        TemplateShape::Null => raw("null", pieces),
        TemplateShape::Bool(value) => raw(if *value { "true" } else { "false" }, pieces),
        TemplateShape::Number(text) => raw(text, pieces),
        TemplateShape::Text(pattern) => match pattern.as_hole() {
            Some(hole) => pieces.push(TemplatePiece::Whole(hole.clone())),
            None => cut_string(pattern, pieces),
        },
        TemplateShape::Array(items) => {
            raw("[", pieces);
            for (index, item) in items.iter().enumerate() {
                raw(if index > 0 { "," } else { "" }, pieces);
                cut_value(item, pieces);
            }
            raw("]", pieces);
        }
        TemplateShape::Object(members) => {
            raw("{", pieces);
            members
                .iter()
                .for_each(|(key, value)| cut_member(key, value, pieces));
            raw("}", pieces);
        }
    }
}

fn cut_member(key: &TextPattern, value: &TemplateShape, pieces: &mut Vec<TemplatePiece>) {
    let mut member = vec![TemplatePiece::Comma];
    cut_string(key, &mut member);
    raw(":", &mut member);
    cut_value(value, &mut member);
    let needs = match value {
        TemplateShape::Text(pattern) => pattern.holes().filter(|hole| hole.optional).collect(),
        _ => Vec::new(),
    };
    if needs.is_empty() {
        pieces.append(&mut member);
    } else {
        let needs = needs.into_iter().map(|hole| hole.word.clone()).collect();
        pieces.push(TemplatePiece::Member {
            needs,
            pieces: join(member),
        });
    }
}

fn cut_string(pattern: &TextPattern, pieces: &mut Vec<TemplatePiece>) {
    raw("\"", pieces);
    for part in &pattern.0 {
        match part {
            PatternPart::Text(text) => {
                let mut escaped = String::new();
                json::escape(text, &mut escaped);
                raw(&escaped, pieces);
            }
            PatternPart::Hole(hole) => pieces.push(TemplatePiece::Inside(hole.clone())),
        }
    }
    raw("\"", pieces);
}

fn raw(text: &str, pieces: &mut Vec<TemplatePiece>) {
    pieces.push(TemplatePiece::Raw(text.into()));
}

/// Joins fixed texts that touch. A comma after something fixed is fixed too.
fn join(pieces: Vec<TemplatePiece>) -> Vec<TemplatePiece> {
    let mut joined: Vec<TemplatePiece> = Vec::new();
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(TemplatePiece::Raw(last)), TemplatePiece::Raw(text)) => {
                *last = format!("{last}{text}").into();
            }
            (Some(TemplatePiece::Raw(last)), TemplatePiece::Comma) if last.ends_with('{') => (),
            (Some(TemplatePiece::Raw(last)), TemplatePiece::Comma) => {
                *last = format!("{last},").into();
            }
            (Some(TemplatePiece::Whole(_) | TemplatePiece::Inside(_)), TemplatePiece::Comma) => {
                joined.push(TemplatePiece::Raw(",".into()));
            }
            (_, piece) => joined.push(piece),
        }
    }
    joined
}

/// Fills the pieces with values.
pub(super) fn write(pieces: &[TemplatePiece], values: &dyn HoleValues, out: &mut String) {
    for piece in pieces {
        match piece {
            TemplatePiece::Raw(text) => out.push_str(text),
            TemplatePiece::Comma if out.ends_with('{') => (),
            TemplatePiece::Comma => out.push(','),
            TemplatePiece::Whole(hole) => write_alone(hole, values, out),
            TemplatePiece::Inside(hole) => {
                if let Some(datum) = values.datum(&hole.word) {
                    hole.codec
                        .write(&datum, values.now(), &mut |part| json::escape(part, out));
                }
            }
            TemplatePiece::Member { needs, pieces } => {
                if needs.iter().all(|word| values.datum(word).is_some()) {
                    write(pieces, values, out);
                }
            }
        }
    }
}

fn write_alone(hole: &PatternHole, values: &dyn HoleValues, out: &mut String) {
    let Some(datum) = values.datum(&hole.word) else {
        return out.push_str("null");
    };
    let bare = hole.codec.is_number(&hole.word) && !matches!(datum, HoleValue::Text(_));
    let quote = if bare { "" } else { "\"" };
    out.push_str(quote);
    hole.codec
        .write(&datum, values.now(), &mut |part| json::escape(part, out));
    out.push_str(quote);
}
