//! A setting, declared once: its key, what it means, how it is written and shown, and
//! whether a reload changes it. What is read, `config example`, `config explain`, the keys
//! that are known and what a reload leaves as it was all follow from the declaration.

use std::path::Path;

use countersign_dialect::document::{TomlTable, TomlValue};
use serde_json::Value;

use super::kinds::ValueKind;
use super::overrides::Overrides;

/// Declares the settings of a table that is read into a section:
///
/// ```text
/// settings! { ServerSection, Stays:
///     /// the longest pause within a request body
///     body_timeout = span(), at(limits.body_timeout);
/// }
/// ```
///
/// The comment is the meaning, as the example prints it; then come the key, the kind of its
/// value (see `kinds.rs`), the field that holds it, and, after further commas, calls of
/// methods of [`DeclaredSetting`]. `by(get, set)` is for a value that no field holds as it
/// is written, and `shows(get)` for one that the code of its table reads itself.
macro_rules! settings {
    ($section:ty, $policy:ident: $(
        $(#[doc = $meaning:literal])*
        $key:ident = $kind:expr, $place:ident $at:tt $(, $option:ident $value:tt)*;
    )*) => {
        $crate::config::setting::SettingsTable(vec![$(
            $crate::config::setting::DeclaredSetting::<$section>::new(
                stringify!($key),
                &[$($meaning),*],
                $crate::config::setting::ReloadPolicy::$policy,
                $kind,
                settings!(@$place $section, $at),
            )
            $(.$option $value)*
        ),*])
    };
    (@at $section:ty, ($($field:ident).+)) => {
        (|it: &$section| it.$($field).+.clone(), |it: &mut $section, value| it.$($field).+ = value)
    };
    (@by $section:ty, ($get:expr, $set:expr)) => { ($get, $set) };
    (@shows $section:ty, ($get:expr)) => { ($get, |_: &mut $section, _| ()) };
}
pub(super) use settings;

/// One key of a table that is read into an `S`.
pub(super) struct DeclaredSetting<S> {
    pub(super) key: &'static str,
    /// The lines of its comment in the example.
    pub(super) meaning: &'static [&'static str],
    /// The value that the example shows in a comment, if it does not show the default.
    pub(super) sample: Option<&'static str>,
    policy: ReloadPolicy<S>,
    flag: Option<CommandFlag>,
    required: bool,
    /// Whether the example shows it as tables of its own.
    pub(super) in_tables: bool,
    otherwise: fn(&S) -> String,
    read: ReadInto<S>,
    show: Box<dyn Fn(&S) -> Value>,
}

/// Reads a value into a section; whether it could be read.
type ReadInto<S> = Box<dyn Fn(&TomlValue<'_>, &Path, &mut S) -> bool>;

/// An option of the command line, and whether it is given.
type CommandFlag = (&'static str, fn(&Overrides) -> bool);

/// What a reload does about a setting.
pub(super) enum ReloadPolicy<S> {
    /// It is put in place.
    Changes,
    /// It stays as it was at the start, and a change of it is reported.
    Stays,
    /// It stays if this holds of the section.
    StaysIf(fn(&S) -> bool),
}

impl<S> DeclaredSetting<S> {
    pub(super) fn new<V: 'static>(
        key: &'static str,
        meaning: &'static [&'static str],
        policy: ReloadPolicy<S>,
        kind: ValueKind<V>,
        (get, set): (impl Fn(&S) -> V + 'static, impl Fn(&mut S, V) + 'static),
    ) -> Self {
        let ValueKind { read, show } = kind;
        let read = move |value: &TomlValue<'_>, base: &Path, section: &mut S| {
            let found = read(value, base);
            let sound = found.is_some();
            found.into_iter().for_each(|found| set(section, found));
            sound
        };
        Self {
            key,
            meaning,
            sample: None,
            policy,
            flag: None,
            required: false,
            in_tables: false,
            otherwise: |_| "default".to_owned(),
            read: Box::new(read),
            show: Box::new(move |section| show(&get(section))),
        }
    }

    /// The example shows `sample` in a comment: there is no default, or it depends on others.
    pub(super) fn sample(mut self, sample: &'static str) -> Self {
        self.sample = Some(sample);
        self
    }

    /// Where the value comes from if neither file nor command line has it.
    pub(super) fn otherwise(mut self, otherwise: fn(&S) -> String) -> Self {
        self.otherwise = otherwise;
        self
    }

    /// The option of the command line that overrides it, and whether it is given.
    pub(super) fn flag(mut self, name: &'static str, given: fn(&Overrides) -> bool) -> Self {
        self.flag = Some((name, given));
        self
    }

    /// The table must have it.
    pub(super) fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The example shows it as tables of its own.
    pub(super) fn in_tables(mut self) -> Self {
        self.in_tables = true;
        self
    }

    /// A reload changes it, unless `stays` holds of the section.
    pub(super) fn stays_if(mut self, stays: fn(&S) -> bool) -> Self {
        self.policy = ReloadPolicy::StaysIf(stays);
        self
    }

    /// The effective value.
    pub(super) fn value(&self, section: &S) -> Value {
        (self.show)(section)
    }

    /// What a reload cannot change.
    fn kept_value(&self, section: &S) -> Option<Value> {
        let stays = match self.policy {
            ReloadPolicy::Changes => false,
            ReloadPolicy::Stays => true,
            ReloadPolicy::StaysIf(stays) => stays(section),
        };
        stays.then(|| self.value(section))
    }

    /// Where the value comes from if it is not in the file, and whether it comes from
    /// there even if it is.
    pub(super) fn source(&self, section: &S, over: &Overrides) -> (String, bool) {
        match self.flag {
            Some((name, given)) if given(over) => (name.to_owned(), true),
            _ => ((self.otherwise)(section), false),
        }
    }
}

/// The settings of a table that is read into an `S`.
pub(super) struct SettingsTable<S>(pub(super) Vec<DeclaredSetting<S>>);

impl<S> SettingsTable<S> {
    /// Reads what the table gives; the rest of the section stays as it is.
    pub(super) fn read<'d>(
        &self,
        table: &TomlTable<'d>,
        base: &Path,
        section: &mut S,
    ) -> GivenValues<'d> {
        let given = self.0.iter().filter_map(|setting| {
            let value = match setting.required {
                true => table.require(setting.key)?,
                false => table.get(setting.key)?,
            };
            let sound = (setting.read)(&value, base, section);
            Some((setting.key, value, sound))
        });
        GivenValues(given.collect())
    }

    /// What a reload cannot change, by key.
    pub(super) fn kept_values(&self, table: &str, section: &S) -> KeptValues {
        let kept = self.0.iter().map(|setting| {
            let key = format!("{table}.{}", setting.key);
            (key, setting.kept_value(section))
        });
        kept.collect()
    }
}

/// What a reload cannot change, by key; `None` where it can.
pub(crate) type KeptValues = Vec<(String, Option<Value>)>;

/// The values that a table gave, by key: for those that are checked against each other, or
/// read by the code of the table.
pub(super) struct GivenValues<'d>(Vec<(&'static str, TomlValue<'d>, bool)>);

impl<'d> GivenValues<'d> {
    /// The value of a key, if it was given and could be read.
    pub(super) fn sound(&self, key: &str) -> Option<&TomlValue<'d>> {
        let found = self.0.iter().find(|(name, ..)| *name == key);
        found
            .filter(|(.., sound)| *sound)
            .map(|(_, value, _)| value)
    }

    /// Whether a key was given, and could not be read.
    pub(super) fn is_wrong(&self, key: &str) -> bool {
        self.has(key) && self.sound(key).is_none()
    }

    /// Whether all that was given could be read.
    pub(super) fn all_sound(&self) -> bool {
        self.0.iter().all(|(.., sound)| *sound)
    }

    /// Whether a key was given.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(name, ..)| *name == key)
    }

    /// The first key that was given.
    pub(super) fn first(&self) -> Option<&'static str> {
        self.0.first().map(|(name, ..)| *name)
    }
}
