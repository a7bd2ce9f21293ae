//! The writing half of a template: pieces that are cut once, at load.

use super::Shape;
use crate::json;
use crate::pattern::{Hole, Part, Pattern};
use crate::word::{Datum, Values, Word};

/// What a rendering is concatenated from.
#[derive(Clone, Debug)]
pub(super) enum Piece {
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
/// The pieces of a shape.
pub(super) fn cut(shape: &Shape) -> Vec<Piece> {
    let mut pieces = Vec::new();
    cut_value(shape, &mut pieces);
    join(pieces)
}

fn cut_value(shape: &Shape, pieces: &mut Vec<Piece>) {
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
                cut_value(item, pieces);
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
    cut_value(value, &mut member);
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

/// Fills the pieces with values.
pub(super) fn write(pieces: &[Piece], values: &dyn Values, out: &mut String) {
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
