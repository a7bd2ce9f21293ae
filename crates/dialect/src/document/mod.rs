//! A TOML file under inspection: typed reads that remember where each value
//! stands, and report every mistake of the file at once, with line and column.
//!
//! `serde` stops at the first mistake and forgets the places. Here a read that
//! fails returns `None` and leaves a mistake behind; the reader goes on, and
//! [`TomlDocument::finish`] decides.
//!
//! ```
//! use countersign_dialect::document::TomlDocument;
//!
//! let document = TomlDocument::parse("life = '5x'\nsped = 3", "api.toml")?;
//! let root = document.root();
//! let life = root.require("life").and_then(|life| life.duration());
//! let speed = root.get("speed").and_then(|speed| speed.integer(1, 9));
//! drop(root); // reports the keys that nobody asked for
//! let mistakes = document.finish(Some((life, speed))).unwrap_err();
//! assert_eq!(
//!     mistakes.to_string(),
//!     "api.toml:1:8: /life: is not a duration like 90s, 10m, 6h or 30d\n\
//!      api.toml:2:1: /sped: is not a key here\n\
//!      \x20 help: did you mean `speed`?",
//! );
//! # Ok::<(), countersign_dialect::Mistakes>(())
//! ```

mod duration;
mod nearest;
mod table;
mod value;

use std::cell::{Cell, RefCell};

use toml::Spanned;
use toml::de::DeTable;

pub use duration::{duration, duration_text};
pub use nearest::did_you_mean;
pub use table::{TomlKey, TomlTable};
pub use value::TomlValue;

use crate::{Mistake, Mistakes};

#[cfg(test)]
thread_local! {
    static ASKED: RefCell<std::collections::BTreeSet<String>> = RefCell::default();
}

/// Remembers a key or value that the compiler knows, for the test of the reference.
#[cfg(test)]
fn note_asked(name: &str) {
    ASKED.with_borrow_mut(|asked| asked.insert(name.to_owned()));
}

/// The keys and values remembered on this thread.
#[cfg(test)]
pub(crate) fn noted_keys() -> std::collections::BTreeSet<String> {
    ASKED.with_borrow(Clone::clone)
}

/// Forgets the keys and values remembered on this thread.
#[cfg(test)]
pub(crate) fn forget_noted_keys() {
    ASKED.with_borrow_mut(std::collections::BTreeSet::clear);
}

/// The size of the largest file that is read, in bytes.
const MAX_SOURCE: usize = 1 << 20;

/// How many mistakes of one file are reported.
const MAX_MISTAKES: usize = 100;

/// A file that was parsed as TOML, and the mistakes found in it.
#[derive(Debug)]
pub struct TomlDocument<'s> {
    source: &'s str,
    origin: &'s str,
    root: Spanned<DeTable<'s>>,
    /// The byte offset at which each line begins.
    lines: Vec<usize>,
    found: RefCell<Vec<(usize, Mistake)>>,
    /// Whether there were more mistakes than are reported.
    more: Cell<bool>,
}

impl<'s> TomlDocument<'s> {
    /// Parses TOML; `origin` names the file in messages.
    ///
    /// # Errors
    ///
    /// Every place where the text is not valid TOML, or that the file is over 1 MiB.
    pub fn parse(source: &'s str, origin: &'s str) -> Result<Self, Mistakes> {
        if source.len() > MAX_SOURCE {
            return Err(Mistakes(vec![whole_file(
                origin,
                "the file is larger than 1 MiB",
            )]));
        }
        let (root, errors) = DeTable::parse_recoverable(source);
        let document = Self {
            source,
            origin,
            root,
            lines: line_starts(source),
            found: RefCell::default(),
            more: Cell::default(),
        };
        for error in errors.iter().take(MAX_MISTAKES + 1) {
            let offset = error.span().map_or(0, |span| span.start);
            document.blame(offset, "", error.message(), None);
        }
        if errors.is_empty() {
            Ok(document)
        } else {
            Err(document.into_mistakes())
        }
    }

    /// The top table of the document. Take it only once: when a table is dropped, it
    /// reports the keys that nobody read.
    pub fn root(&self) -> TomlTable<'_> {
        TomlTable::new(self, self.root.get_ref(), 0, String::new())
    }

    /// Records a mistake at a byte offset of the source. After a hundred, only
    /// that there are more.
    pub fn blame(
        &self,
        offset: usize,
        pointer: &str,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        if self.is_full() {
            return self.more.set(true);
        }
        let (line, column) = self.place(offset);
        let mistake = Mistake {
            origin: self.origin.to_owned(),
            line,
            column,
            pointer: pointer.to_owned(),
            message: message.into(),
            help,
        };
        self.found.borrow_mut().push((offset, mistake));
    }

    /// The line, counted from 1, of the value at a JSON pointer.
    pub fn line(&self, pointer: &str) -> Option<usize> {
        let mut table = self.root.get_ref();
        let mut keys = pointer.strip_prefix('/')?.split('/').peekable();
        loop {
            let key = keys.next()?.replace("~1", "/").replace("~0", "~");
            let value = table.get(key.as_str())?;
            if keys.peek().is_none() {
                return Some(self.place(value.span().start).0);
            }
            table = value.get_ref().as_table()?;
        }
    }

    /// Whether anything has been found wrong so far.
    pub fn is_sound(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// Whether further mistakes will not be reported.
    pub(crate) fn is_full(&self) -> bool {
        self.found.borrow().len() >= MAX_MISTAKES
    }

    /// The value that was read, if there were no mistakes.
    ///
    /// # Errors
    ///
    /// All mistakes, in the order of their places. A missing value without a mistake is
    /// reported as one, so that it does not go unnoticed.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Mistakes> {
        match value {
            Some(value) if self.is_sound() => Ok(value),
            Some(_) => Err(self.into_mistakes()),
            None => {
                if self.is_sound() {
                    self.blame(0, "", "cannot be used", None);
                }
                Err(self.into_mistakes())
            }
        }
    }

    pub(crate) fn source(&self) -> &'s str {
        self.source
    }

    fn into_mistakes(self) -> Mistakes {
        let mut found = self.found.into_inner();
        found.sort_by(|(a, one), (b, other)| {
            (a, &one.pointer, &one.message).cmp(&(b, &other.pointer, &other.message))
        });
        found.dedup();
        let mut listed: Vec<_> = found.into_iter().map(|(_, mistake)| mistake).collect();
        if self.more.get()
            && let Some(last) = listed.last()
        {
            let more = Mistake {
                line: last.line,
                column: last.column,
                ..whole_file(self.origin, "there are more mistakes than are listed here")
            };
            listed.push(more);
        }
        Mistakes(listed)
    }

    /// Line and column of a byte offset, both from 1, the column in characters.
    fn place(&self, offset: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or_default();
        let before = self.source.get(start..offset);
        (line, before.map_or(0, |text| text.chars().count()) + 1)
    }
}

fn line_starts(source: &str) -> Vec<usize> {
    let breaks = source.match_indices('\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(breaks).collect()
}

fn whole_file(origin: &str, message: &str) -> Mistake {
    Mistake {
        origin: origin.to_owned(),
        line: 1,
        column: 1,
        pointer: String::new(),
        message: message.to_owned(),
        help: None,
    }
}

/// A key or array index appended to a JSON pointer (RFC 6901 section 3).
pub(crate) fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(source: &str, read: impl FnOnce(&TomlTable<'_>)) -> String {
        let document = match TomlDocument::parse(source, "f") {
            Ok(document) => document,
            Err(mistakes) => return mistakes.to_string(),
        };
        read(&document.root());
        document
            .finish(Some(()))
            .map_or_else(|mistakes| mistakes.to_string(), |()| String::new())
    }

    #[test]
    fn text_that_is_not_toml_is_refused_where_it_breaks() {
        let told = mistakes("a = 1\nb = \n", |_| ());
        assert!(told.starts_with("f:2:"), "{told}");
    }

    #[test]
    fn every_mistake_is_told_in_the_order_of_its_place() {
        let told = mistakes("zeal = 1\n[a]\nb = 'x'\nc = true\n", |root| {
            root.require("missing");
            let Some(table) = root.get("a").and_then(|a| a.table()) else {
                return;
            };
            table.get("c").and_then(|c| c.text());
            table.get("b").and_then(|b| b.choice(&[("y", 1), ("z", 2)]));
        });
        assert_eq!(
            told,
            "f:1:1: /missing: is missing\n\
             f:1:1: /zeal: is not a key here\n\
             f:3:5: /a/b: is not one of `y`, `z`\n\
             f:4:5: /a/c: is a boolean where a string is needed",
        );
    }

    #[test]
    fn the_line_of_a_value_is_found_by_its_pointer() {
        let source = "a = 1\n[b]\n'c/d' = 2\n[b.e]\nf = [\n1]\n";
        let document = TomlDocument::parse(source, "f").unwrap();
        let lines = ["/a", "/b/c~1d", "/b/e/f", "/b/x", "/a/b", ""];
        let lines = lines.map(|pointer| document.line(pointer));
        assert_eq!(lines, [Some(1), Some(3), Some(5), None, None, None]);
    }

    #[test]
    fn columns_count_characters() {
        let told = mistakes("'é' = { 'ü' = 1 }", |root| {
            let inner = root.get("é").and_then(|value| value.table());
            inner.and_then(|table| table.get("ü").and_then(|value| value.text()));
        });
        assert_eq!(told, "f:1:15: /é/ü: is an integer where a string is needed");
    }

    #[test]
    fn a_place_inside_a_literal_string_is_exact() {
        let told = mistakes("a = '''\nline\n  {x}'''\nb = 'ab{'", |root| {
            root.get("a")
                .into_iter()
                .for_each(|a| a.blame_inside(7, "here", None));
            root.get("b")
                .into_iter()
                .for_each(|b| b.blame_inside(2, "there", None));
        });
        assert_eq!(told, "f:3:3: /a: here\nf:4:8: /b: there");
    }

    #[test]
    fn a_hundred_mistakes_are_told_and_that_there_are_more() {
        for source in ["=\n".repeat(100_000), keys(30_000)] {
            let told = mistakes(&source, |root| {
                root.get("known");
            });
            assert_eq!(told.lines().count(), 101, "{}", &told[..200]);
            assert!(told.ends_with("there are more mistakes than are listed here"));
        }
        let told = mistakes(&keys(100), |_| ());
        assert!(told.ends_with("f:100:1: /k99: is not a key here"), "{told}");
    }

    fn keys(count: usize) -> String {
        (0..count).map(|nth| format!("k{nth} = 1\n")).collect()
    }

    #[test]
    fn a_file_of_any_size_costs_bounded_work() {
        let told = mistakes(&"# \n".repeat(400_000), |_| ());
        assert_eq!(told, "f:1:1: the file is larger than 1 MiB");
    }
}
