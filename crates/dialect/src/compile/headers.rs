//! Tables of headers, and which headers a dialect may not name: those that
//! frame a message or belong to the connection (RFC 9110 sections 7.2, 7.6.1 and
//! 8.6), which whoever sends the message sets, and those with a key of their own.

use http::HeaderName;

use super::pattern;
use crate::document::{TomlTable, TomlValue};
use crate::hole_word::WordVocabulary;
use crate::pattern::{PatternPart, TextPattern};

/// Headers that are not a dialect's to set.
const RESERVED: [&str; 11] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The names and values of a table of headers.
pub(super) fn headers(
    value: &TomlValue<'_>,
    vocabulary: &WordVocabulary<'_>,
) -> Vec<(HeaderName, TextPattern)> {
    table_of_headers(value, &|value| {
        header_value(value, vocabulary).into_iter().collect()
    })
}

/// The same of a reply, which may have several headers of a name, such as
/// `Set-Cookie` (RFC 6265 section 3): their values are a list.
pub(super) fn reply_headers(
    value: &TomlValue<'_>,
    vocabulary: &WordVocabulary<'_>,
) -> Vec<(HeaderName, TextPattern)> {
    table_of_headers(value, &|value| {
        let values = match value.is_array() {
            true => value.array().unwrap_or_default(),
            false => vec![value.clone()],
        };
        let values = values.iter();
        values
            .filter_map(|it| header_value(it, vocabulary))
            .collect()
    })
}

fn table_of_headers(
    value: &TomlValue<'_>,
    read: &dyn Fn(&TomlValue<'_>) -> Vec<TextPattern>,
) -> Vec<(HeaderName, TextPattern)> {
    let Some(table) = value.table() else {
        return Vec::new();
    };
    let mut headers: Vec<(HeaderName, TextPattern)> = Vec::new();
    for (key, value) in table.entries() {
        let twice = |name: &HeaderName| headers.iter().any(|(known, _)| known == name);
        match name(key.name) {
            Ok(name) if twice(&name) => table.blame_key(&key, TWICE, None),
            Ok(name) => headers.extend(read(&value).into_iter().map(|v| (name.clone(), v))),
            Err(flaw) => table.blame_key(&key, flaw, None),
        }
    }
    headers
}

/// A header of `present`, each a table of `header` and `value`.
pub(super) fn presentation(
    table: &TomlTable<'_>,
    vocabulary: &WordVocabulary<'_>,
    earlier: &[(HeaderName, TextPattern)],
) -> Option<(HeaderName, TextPattern)> {
    let name = table.require("header").and_then(|value| {
        let found = name(value.text()?).and_then(|name| {
            let twice = earlier.iter().any(|(known, _)| *known == name);
            if twice { Err(TWICE) } else { Ok(name) }
        });
        found.map_err(|flaw| value.blame(flaw, None)).ok()
    });
    let value = table
        .require("value")
        .and_then(|value| header_value(&value, vocabulary));
    Some((name?, value?))
}

const TWICE: &str = "is a header twice: names have no case";

fn name(text: &str) -> Result<HeaderName, &'static str> {
    let name: HeaderName = text.parse().map_err(|_| "is not the name of a header")?;
    match name.as_str() {
        "content-type" => Err("is not set here: write `media`"),
        name if RESERVED.contains(&name) => Err("cannot be set by a dialect"),
        _ => Ok(name),
    }
}

/// A value whose fixed parts arrive as they are (RFC 9110 section 5.5).
fn header_value(value: &TomlValue<'_>, vocabulary: &WordVocabulary<'_>) -> Option<TextPattern> {
    let pattern = pattern(value, vocabulary)?;
    let printable = |text: &str| text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    let fits = pattern.0.iter().all(|part| match part {
        PatternPart::Text(text) => printable(text),
        PatternPart::Hole(_) => true,
    });
    let starts =
        matches!(pattern.0.first(), Some(PatternPart::Text(text)) if text.starts_with(' '));
    let ends = matches!(pattern.0.last(), Some(PatternPart::Text(text)) if text.ends_with(' '));
    if fits && !starts && !ends {
        return Some(pattern);
    }
    let message = "is not printable ASCII without blanks at its ends, as a header has it";
    value.blame(message, None);
    None
}
