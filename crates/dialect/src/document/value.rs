//! A value: typed reads that report a mistake if the type is wrong.

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeInteger, DeValue};

use super::{TomlDocument, TomlTable, below, did_you_mean, duration};

/// A value of the document and its place.
#[derive(Clone, Debug)]
pub struct TomlValue<'d> {
    document: &'d TomlDocument<'d>,
    value: &'d Spanned<DeValue<'d>>,
    pointer: String,
}

impl<'d> TomlValue<'d> {
    pub(super) fn new(
        document: &'d TomlDocument<'d>,
        value: &'d Spanned<DeValue<'d>>,
        pointer: String,
    ) -> Self {
        Self {
            document,
            value,
            pointer,
        }
    }

    /// The place of the value, as a JSON pointer.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// A string.
    pub fn text(&self) -> Option<&'d str> {
        self.typed("a string", DeValue::as_str)
    }

    /// A boolean.
    pub fn boolean(&self) -> Option<bool> {
        self.typed("a boolean", DeValue::as_bool)
    }

    /// An integer from `least` to `most`.
    pub fn integer(&self, least: i64, most: i64) -> Option<i64> {
        let number = parse_integer(self.typed("an integer", DeValue::as_integer)?);
        let found = number.filter(|number| (least..=most).contains(number));
        if found.is_none() {
            self.blame(format!("is not from {least} to {most}"), None);
        }
        found
    }

    /// A duration such as `10m`.
    pub fn duration(&self) -> Option<Duration> {
        let found = duration(self.text()?);
        if found.is_none() {
            self.blame("is not a duration like 90s, 10m, 6h or 30d", None);
        }
        found
    }

    /// One of the named values.
    pub fn choice<T: Copy>(&self, among: &[(&str, T)]) -> Option<T> {
        #[cfg(test)]
        among.iter().for_each(|(name, _)| super::note_asked(name));
        let written = self.text()?;
        let found = among
            .iter()
            .find(|(name, _)| *name == written)
            .map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = among.iter().map(|(name, _)| format!("`{name}`")).collect();
            let help = did_you_mean(written, among.iter().map(|(name, _)| *name));
            self.blame(format!("is not one of {}", names.join(", ")), help);
        }
        found
    }

    /// A table. Take it only once: see [`TomlDocument::root`].
    pub fn table(&self) -> Option<TomlTable<'d>> {
        let table = self.typed("a table", DeValue::as_table)?;
        Some(TomlTable::new(
            self.document,
            table,
            self.offset(),
            self.pointer.clone(),
        ))
    }

    /// The values of an array.
    pub fn array(&self) -> Option<Vec<TomlValue<'d>>> {
        let array = self.typed("an array", DeValue::as_array)?;
        let values = array.iter().enumerate();
        let at = |index: usize| below(&self.pointer, &index.to_string());
        Some(
            values
                .map(|(index, value)| Self::new(self.document, value, at(index)))
                .collect(),
        )
    }

    /// The strings of an array; anything else in it is reported.
    pub fn texts(&self) -> Option<Vec<&'d str>> {
        Some(self.array()?.iter().filter_map(Self::text).collect())
    }

    /// A string member of a table. Nothing is reported, and the table does not count it
    /// as read.
    pub fn member_text(&self, key: &str) -> Option<&'d str> {
        self.value
            .get_ref()
            .as_table()?
            .get(key)?
            .get_ref()
            .as_str()
    }

    /// Whether the value is a string.
    pub fn is_text(&self) -> bool {
        self.value.get_ref().is_str()
    }

    /// Whether the value is a list.
    pub fn is_array(&self) -> bool {
        self.value.get_ref().is_array()
    }

    /// Whether the value is a table.
    pub fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// Whether the value is an integer.
    pub fn is_integer(&self) -> bool {
        self.value.get_ref().is_integer()
    }

    /// Whether the value is a boolean.
    pub fn is_boolean(&self) -> bool {
        self.value.get_ref().is_bool()
    }

    /// Reports a mistake about the value.
    pub fn blame(&self, message: impl Into<String>, help: Option<String>) {
        self.document
            .blame(self.offset(), &self.pointer, message, help);
    }

    /// Reports something that the value lacks: a key, or keys with `/` between them.
    pub fn blame_below(&self, keys: &str, message: impl Into<String>, help: Option<String>) {
        let keys = keys.split('/');
        let pointer = keys.fold(self.pointer.clone(), |pointer, key| below(&pointer, key));
        self.document.blame(self.offset(), &pointer, message, help);
    }

    /// Reports a mistake at a byte of this string. The place is exact in literal strings
    /// (`'…'`, `'''…'''`), and in others that have no escape before it; otherwise it is
    /// the place of the string.
    pub fn blame_inside(&self, at: usize, message: impl Into<String>, help: Option<String>) {
        let offset = self.inside(at).unwrap_or(self.offset());
        self.document.blame(offset, &self.pointer, message, help);
    }

    fn offset(&self) -> usize {
        self.value.span().start
    }

    fn inside(&self, at: usize) -> Option<usize> {
        let raw = self.document.source().get(self.value.span())?;
        let triple = ["'''", "\"\"\""].iter().any(|quote| raw.starts_with(quote));
        let mut start = if triple { 3 } else { 1 };
        if triple {
            let rest = raw.get(start..)?;
            start += if rest.starts_with("\r\n") {
                2
            } else {
                usize::from(rest.starts_with('\n'))
            };
        }
        let before = raw.get(start..start + at)?;
        let exact = raw.starts_with('\'') || !before.contains('\\');
        exact.then_some(self.offset() + start + at)
    }

    fn typed<T>(&self, wanted: &str, read: impl FnOnce(&'d DeValue<'d>) -> Option<T>) -> Option<T> {
        let value = self.value.get_ref();
        let found = read(value);
        if found.is_none() {
            self.blame(format!("is {} where {wanted} is needed", kind(value)), None);
        }
        found
    }
}

fn parse_integer(integer: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
