//! A table: keys that are read, and complaints about all others.

use std::cell::RefCell;

use toml::de::DeTable;

use super::{TomlDocument, TomlValue, below, did_you_mean};

/// A table of the document. When it is dropped, it reports the keys that nobody read.
#[derive(Debug)]
pub struct TomlTable<'d> {
    document: &'d TomlDocument<'d>,
    table: &'d DeTable<'d>,
    offset: usize,
    pointer: String,
    asked: RefCell<Vec<String>>,
    open: RefCell<bool>,
}

/// A key that the author of the file chose, and its place.
#[derive(Clone, Debug)]
pub struct TomlKey<'d> {
    /// The key.
    pub name: &'d str,
    /// Its byte offset in the source.
    pub offset: usize,
}

impl<'d> TomlTable<'d> {
    pub(super) fn new(
        document: &'d TomlDocument<'d>,
        table: &'d DeTable<'d>,
        offset: usize,
        pointer: String,
    ) -> Self {
        Self {
            document,
            table,
            offset,
            pointer,
            asked: RefCell::default(),
            open: RefCell::new(false),
        }
    }

    /// The value of a key, if it exists.
    pub fn get(&self, key: &str) -> Option<TomlValue<'d>> {
        #[cfg(test)]
        super::note_asked(key);
        self.asked.borrow_mut().push(key.to_owned());
        self.value(key)
    }

    /// The value of a key; reports a mistake if it does not exist.
    pub fn require(&self, key: &str) -> Option<TomlValue<'d>> {
        let value = self.get(key);
        if value.is_none() {
            self.blame_below(key, "is missing", None);
        }
        value
    }

    /// The value of a key; reports a mistake if it does not exist, with help on what to
    /// write.
    pub fn require_or(&self, key: &str, help: &str) -> Option<TomlValue<'d>> {
        let value = self.get(key);
        if value.is_none() {
            self.blame_below(key, "is missing", Some(help.to_owned()));
        }
        value
    }

    /// Reports something that the table lacks: a key, or keys with `/` between them.
    pub fn blame_below(&self, keys: &str, message: impl Into<String>, help: Option<String>) {
        let keys = keys.split('/');
        let pointer = keys.fold(self.pointer.clone(), |pointer, key| below(&pointer, key));
        self.document.blame(self.offset, &pointer, message, help);
    }

    /// Every key with its value, for tables whose keys the author chooses.
    pub fn entries(&self) -> Vec<(TomlKey<'d>, TomlValue<'d>)> {
        *self.open.borrow_mut() = true;
        self.keys()
            .filter_map(|key| Some((key.clone(), self.value(key.name)?)))
            .collect()
    }

    /// The place of the table, as a JSON pointer.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// Reports a mistake about the table as a whole.
    pub fn blame(&self, message: impl Into<String>) {
        self.document
            .blame(self.offset, &self.pointer, message, None);
    }

    /// Reports a mistake about one of its keys.
    pub fn blame_key(&self, key: &TomlKey<'_>, message: impl Into<String>, help: Option<String>) {
        self.document
            .blame(key.offset, &below(&self.pointer, key.name), message, help);
    }

    fn value(&self, key: &str) -> Option<TomlValue<'d>> {
        let value = self.table.get(key)?;
        Some(TomlValue::new(
            self.document,
            value,
            below(&self.pointer, key),
        ))
    }

    fn keys(&self) -> impl Iterator<Item = TomlKey<'d>> {
        let table = self.table;
        table.keys().map(|key| TomlKey {
            name: key.get_ref(),
            offset: key.span().start,
        })
    }
}

impl Drop for TomlTable<'_> {
    fn drop(&mut self) {
        if *self.open.borrow() {
            return;
        }
        let asked = self.asked.borrow();
        for key in self
            .keys()
            .filter(|key| !asked.iter().any(|known| known == key.name))
        {
            if self.document.is_full() {
                // The mistake counts; what was meant is no longer worth finding.
                return self.blame_key(&key, "is not a key here", None);
            }
            let help = did_you_mean(key.name, asked.iter().map(String::as_str));
            self.blame_key(&key, "is not a key here", help);
        }
    }
}
