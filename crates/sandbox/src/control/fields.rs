//! The body of a control request, parsed strictly: an unknown member is a mistake, and all
//! mistakes are reported at once.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::duration_text::span;

/// The members of an object, taken one after the other.
pub(super) struct ControlFields {
    members: Map<String, Value>,
    known: Vec<&'static str>,
    mistakes: Vec<ControlMistake>,
}

/// What is wrong with a request, and what to do about it.
pub(super) struct ControlMistake {
    pub(super) said: String,
    pub(super) help: Option<String>,
}

impl ControlMistake {
    pub(super) fn new(said: impl Into<String>) -> Self {
        Self {
            said: said.into(),
            help: None,
        }
    }

    pub(super) fn with_help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}

impl ControlFields {
    /// Reads a JSON object with `read`, which gives `None` where it blames
    /// something.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub(super) fn read<T>(
        body: &[u8],
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Result<T, Vec<ControlMistake>> {
        let members = match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => members,
            Ok(_) => return Err(vec![ControlMistake::new("the body is not a JSON object")]),
            Err(error) => {
                let said = format!("the body is not JSON: {error}");
                return Err(vec![ControlMistake::new(said)]);
            }
        };
        let mut fields = Self {
            members,
            known: Vec::new(),
            mistakes: Vec::new(),
        };
        let value = read(&mut fields);
        fields.blame_the_rest();
        match value {
            Some(value) if fields.mistakes.is_empty() => Ok(value),
            _ => Err(fields.mistakes),
        }
    }

    /// Whether the member is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// A text.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            _ => self.blame(format!("{name} is not text")),
        }
    }

    /// A whole number of at least `least`.
    pub(super) fn number<N: TryFrom<u64>>(&mut self, name: &'static str, least: u64) -> Option<N> {
        let value = self.take(name)?;
        let number = value.as_u64().filter(|number| *number >= least);
        match number.and_then(|number| N::try_from(number).ok()) {
            Some(number) => Some(number),
            None => self.blame(format!(
                "{name} is not a whole number from {least} on, or too large"
            )),
        }
    }

    /// A part of the whole.
    pub(super) fn rate(&mut self, name: &'static str) -> Option<f64> {
        let value = self.take(name)?;
        match value.as_f64().filter(|rate| (0.0..=1.0).contains(rate)) {
            Some(rate) => Some(rate),
            None => self.blame(format!("{name} is not a number from 0 to 1")),
        }
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.take(name)? {
            Value::Bool(flag) => Some(flag),
            _ => self.blame(format!("{name} is neither true nor false")),
        }
    }

    /// A span of time, such as `6h` or `1d2h`.
    pub(super) fn span(&mut self, name: &'static str) -> Option<Duration> {
        let text = self.text(name)?;
        match span(&text) {
            Some(span) => Some(span),
            None => self.blame_with_help(
                format!("{name} is not a span of time"),
                "write one such as 90s, 6h or 1d2h",
            ),
        }
    }

    /// One of these names.
    pub(super) fn one_of<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(name)?;
        match choices.iter().find(|(choice, _)| *choice == text) {
            Some((_, value)) => Some(*value),
            None => {
                let names: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
                let help = format!("write one of {}", names.join(", "));
                self.blame_with_help(format!("{name} cannot be {text:?}"), help)
            }
        }
    }

    /// Notes a mistake.
    pub(super) fn blame<T>(&mut self, mistake: impl Into<String>) -> Option<T> {
        self.mistakes.push(ControlMistake::new(mistake));
        None
    }

    /// Notes a mistake, and what to do about it.
    pub(super) fn blame_with_help<T>(
        &mut self,
        mistake: impl Into<String>,
        help: impl Into<String>,
    ) -> Option<T> {
        let mistake = ControlMistake::new(mistake);
        self.mistakes.push(mistake.with_help(help));
        None
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.members.remove(name)
    }

    fn blame_the_rest(&mut self) {
        let known = self.known.join(", ");
        let unknown = self.members.keys();
        let told = unknown.map(|name| {
            let mistake = ControlMistake::new(format!("{name:?} is not known here"));
            mistake.with_help(format!("there are {known}"))
        });
        self.mistakes.extend(told);
    }
}
