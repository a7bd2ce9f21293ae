//! A check of the doctor, and its result.

use std::time::Duration;

use countersign_client::Error;
use countersign_domain::coded;
use serde_json::{Value, json};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFinding {
    /// What was looked at.
    pub name: &'static str,
    /// What was found.
    pub found: CheckVerdict,
    /// The same in a sentence.
    pub said: String,
    /// What to do about it, if there is something to do.
    pub help: Option<String>,
    /// How long it took, where that tells something.
    pub took: Option<Duration>,
}

coded! {
    /// What was found, the best first.
    CheckVerdict(name, from_name) {
        /// It is as it should be.
        Good = "ok",
        /// It could not be looked at, or there is nothing to look at.
        Skipped = "skipped",
        /// It works, and will not for ever or not everywhere.
        Doubtful = "warning",
        /// It does not work: the vendor cannot be reached.
        Unreachable = "unreachable",
        /// It does not work: the vendor refuses.
        Refused = "refused",
        /// It does not work.
        Bad = "failed",
    }
}

impl CheckVerdict {
    /// Whether something has to be done.
    pub fn fails(self) -> bool {
        self >= Self::Unreachable
    }
}

impl CheckFinding {
    /// Something was looked at.
    pub fn new(name: &'static str, found: CheckVerdict, said: impl Into<String>) -> Self {
        Self {
            name,
            found,
            said: said.into(),
            help: None,
            took: None,
        }
    }

    /// The same with what to do about it, if there is something to do.
    #[must_use]
    pub fn with_help_of(self, help: Option<impl Into<String>>) -> Self {
        let help = help.map(Into::into);
        Self { help, ..self }
    }

    /// The same with what to do about it.
    pub(crate) fn with_help(self, help: impl Into<String>) -> Self {
        self.with_help_of(Some(help))
    }

    /// What an error says, with what to do about it.
    pub(crate) fn of_error(name: &'static str, found: CheckVerdict, error: &Error) -> Self {
        Self::new(name, found, &*error.message).with_help_of(error.help.as_deref())
    }

    /// The same, which took so long.
    pub(crate) fn in_time(self, took: Duration) -> Self {
        Self {
            took: Some(took),
            ..self
        }
    }

    /// One JSON object.
    pub fn document(&self) -> Value {
        json!({
            "check": self.name,
            "found": self.found.name(),
            "message": self.said,
            "help": self.help,
            "milliseconds": self.took.map(|it| it.as_millis()),
        })
    }
}
