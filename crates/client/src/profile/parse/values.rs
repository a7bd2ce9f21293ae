//! Values that consist of one word, or of a few.

use countersign_dialect::document::{TomlKey, TomlTable, TomlValue};
use http::Method;

use crate::profile::AllowedRequest;

/// The name of a profile, which is also that of a file: lower case, since some file
/// systems do not tell cases apart.
pub(super) fn name(key: &TomlKey<'_>, root: &TomlTable<'_>) -> Option<String> {
    let text = key.name;
    let fits = text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
    if !fits {
        let help = "use 1 to 64 of a-z, 0-9, - and _, beginning with a letter";
        let message = format!("{text:?} is not a valid profile name");
        root.blame_key(key, message, Some(help.to_owned()));
    }
    fits.then(|| text.to_owned())
}

/// A text that is not empty.
pub(super) fn word(value: &TomlValue<'_>) -> Option<String> {
    let text = value.text()?;
    if text.trim().is_empty() {
        value.blame("is empty", None);
        return None;
    }
    Some(text.to_owned())
}

/// The name of an environment variable.
pub(super) fn variable(value: &TomlValue<'_>) -> Option<String> {
    let text = value.text()?;
    let fits = text
        .bytes()
        .all(|b| matches!(b, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if !fits || text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) {
        // Often the secret itself is written here, so it is not repeated.
        value.blame("is not a valid name of an environment variable", None);
        return None;
    }
    Some(text.to_owned())
}

/// A program and its arguments.
pub(super) fn command(value: &TomlValue<'_>) -> Option<Vec<String>> {
    if value.is_text() {
        let help = "write a list such as [\"pass\", \"show\", \"x\"]";
        value.blame("is a string, but no shell is used", Some(help.to_owned()));
        return None;
    }
    let words = value.texts()?;
    if words.first().is_none_or(|program| program.is_empty()) {
        value.blame("names no program", None);
        return None;
    }
    Some(words.into_iter().map(str::to_owned).collect())
}

/// A number of requests, or `None` if it is unlimited. A wrong value is reported and
/// counts as unlimited. The last request of a token is never made, so a budget of one
/// would be none.
pub(super) fn budget(value: &TomlValue<'_>) -> Option<u32> {
    if value.is_integer() {
        let number = value.integer(2, i64::from(u32::MAX))?;
        return u32::try_from(number).ok();
    }
    if !value.is_text() || value.text() != Some("unlimited") {
        value.blame("is neither a number of requests nor \"unlimited\"", None);
    }
    None
}

/// The one of `keys` that is present. Further ones are reported.
pub(super) fn only_one<'d, 'k>(
    table: &TomlTable<'d>,
    keys: &[&'k str],
) -> Option<(&'k str, TomlValue<'d>)> {
    let given = keys.iter().filter_map(|key| Some((*key, table.get(key)?)));
    let given: Vec<_> = given.collect();
    let names: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
    for (_, value) in given.iter().skip(1) {
        let help = format!("write only one of {}", names.join(", "));
        value.blame("cannot be combined with the other", Some(help));
    }
    given.into_iter().next()
}

/// The requests that are allowed: `GET /deposit/*`, or `/deposit/*` with every
/// method.
pub(super) fn allowed(value: &TomlValue<'_>) -> Vec<AllowedRequest> {
    let values = value.array().unwrap_or_default();
    if values.is_empty() && value.texts().is_some() {
        let help = "leave it out to allow everything";
        value.blame("allows nothing", Some(help.to_owned()));
    }
    values.iter().filter_map(allowed_one).collect()
}

fn allowed_one(value: &TomlValue<'_>) -> Option<AllowedRequest> {
    let text = value.text()?;
    let (method, path) = match text.split_once(' ') {
        Some((method, path)) => (Some(method), path),
        None => (None, text),
    };
    let is_method = |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_uppercase());
    if !method.is_none_or(is_method) || !path.starts_with('/') || path.contains([' ', '?', '#']) {
        let help = "write \"GET /path/*\" or \"/path/*\"";
        value.blame(
            format!("{text:?} is not a valid rule"),
            Some(help.to_owned()),
        );
        return None;
    }
    let method = method.map(|it| Method::from_bytes(it.as_bytes()));
    Some(AllowedRequest {
        method: method.transpose().ok()?,
        path: path.to_owned(),
    })
}
