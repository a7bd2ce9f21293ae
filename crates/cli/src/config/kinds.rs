//! The kinds of values: how each is written in the file, which mistakes are reported, and
//! how it is shown.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_dialect::document::{TomlValue, duration_text};
use serde::Serialize;
use serde_json::{Value, json};

/// How a `V` is written and shown.
pub(super) struct ValueKind<V> {
    /// Reads one, and reports its mistakes to the document. Relative paths start at the
    /// given one.
    pub(super) read: ReadValue<V>,
    /// Shows one, as null if it is not set.
    pub(super) show: Box<dyn Fn(&V) -> Value>,
}

type ReadValue<V> = Box<dyn Fn(&TomlValue<'_>, &Path) -> Option<V>>;

impl<V> ValueKind<V> {
    pub(super) fn new(
        read: impl Fn(&TomlValue<'_>, &Path) -> Option<V> + 'static,
        show: impl Fn(&V) -> Value + 'static,
    ) -> Self {
        Self {
            read: Box::new(read),
            show: Box::new(show),
        }
    }
}

/// An address and port.
pub(super) fn address() -> ValueKind<SocketAddr> {
    let read = |value: &TomlValue<'_>, _: &Path| {
        let parsed = value.text()?.parse().ok();
        if parsed.is_none() {
            let help = "write one such as 127.0.0.1:8080";
            value.blame("is not an address and port", Some(help.to_owned()));
        }
        parsed
    };
    ValueKind::new(read, |it: &SocketAddr| json!(it.to_string()))
}

/// Yes or no.
pub(super) fn boolean() -> ValueKind<bool> {
    ValueKind::new(|value, _| value.boolean(), |it| json!(it))
}

/// A number within bounds.
pub(super) fn number<V: TryFrom<i64> + Serialize>(least: i64, most: i64) -> ValueKind<V> {
    let read = move |value: &TomlValue<'_>, _: &Path| V::try_from(value.integer(least, most)?).ok();
    ValueKind::new(read, |it| json!(it))
}

/// A number of things, of which there is at least one.
pub(super) fn count<V: From<NonZeroU32> + Serialize>() -> ValueKind<V> {
    ValueKind::new(|value, _| read_count(value).map(V::from), |it| json!(it))
}

/// See [`count`].
pub(super) fn read_count(value: &TomlValue<'_>) -> Option<NonZeroU32> {
    let most = i64::from(u32::MAX);
    NonZeroU32::new(u32::try_from(value.integer(1, most)?).ok()?)
}

/// Any text.
pub(super) fn text() -> ValueKind<String> {
    ValueKind::new(|value, _| value.text().map(str::to_owned), |it| json!(it))
}

/// A list of texts.
pub(super) fn texts() -> ValueKind<Vec<String>> {
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
    ValueKind::new(move |value, _| value.texts().map(owned), |it| json!(it))
}

/// A span of time that is not zero.
pub(super) fn span() -> ValueKind<Duration> {
    ValueKind::new(|value, _| positive(value), |it| json!(duration_text(*it)))
}

/// See [`span`].
pub(super) fn positive(value: &TomlValue<'_>) -> Option<Duration> {
    let span = value.duration()?;
    if span.is_zero() {
        value.blame("must be longer than zero", None);
        return None;
    }
    Some(span)
}

/// One of the named values.
pub(super) fn choice<V: Copy + PartialEq>(among: &'static [(&'static str, V)]) -> ValueKind<V> {
    let name = |value: &V| among.iter().find(|(_, named)| named == value);
    ValueKind::new(
        |value, _| value.choice(among),
        move |value| json!(name(value).map(|(name, _)| name)),
    )
}

/// A directory, as it is written.
pub(super) fn directory() -> ValueKind<PathBuf> {
    let read = |value: &TomlValue<'_>, _: &Path| match value.text()? {
        "" => {
            value.blame("is empty; name a directory", None);
            None
        }
        text => Some(PathBuf::from(text)),
    };
    ValueKind::new(read, |path| shown_path(path))
}

/// A path, as it is shown.
pub(super) fn shown_path(path: &Path) -> Value {
    json!(path.display().to_string())
}

/// A file, below `base` unless its path is absolute.
pub(super) fn file(value: &TomlValue<'_>, base: &Path) -> Option<PathBuf> {
    match value.text()? {
        "" => {
            value.blame("is empty; name a file", None);
            None
        }
        text => Some(base.join(text)),
    }
}

/// A value that may be left out.
pub(super) fn optional<V: 'static>(kind: ValueKind<V>) -> ValueKind<Option<V>> {
    let ValueKind { read, show } = kind;
    ValueKind::new(
        move |value, base| read(value, base).map(Some),
        move |it| it.as_ref().map_or(Value::Null, &show),
    )
}

/// A value that the code of its table reads itself, and that is shown as it is given.
pub(super) fn by_hand() -> ValueKind<Value> {
    ValueKind::new(|_, _| Some(Value::Null), Value::clone)
}
