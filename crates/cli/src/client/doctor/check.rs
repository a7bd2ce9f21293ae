//! A check of the doctor, and its result.

use std::time::Duration;

use serde_json::{Value, json};

use crate::table::Table;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    name: &'static str,
    pub(super) found: Found,
    said: String,
    took: Option<Duration>,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found {
    /// It is as it should be.
    Good,
    /// It could not be looked at, or there is nothing to look at.
    Skipped,
    /// It works, and will not for ever or not everywhere.
    Doubtful,
    /// It does not work: the vendor cannot be reached.
    Unreachable,
    /// It does not work: the vendor refuses.
    Refused,
    /// It does not work.
    Bad,
}

impl Found {
    fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Skipped => "skipped",
            Self::Doubtful => "warning",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Bad => "failed",
        }
    }

    /// Whether something has to be done.
    pub(super) fn fails(self) -> bool {
        self >= Self::Unreachable
    }
}

impl Check {
    /// Something was looked at.
    pub(super) fn new(name: &'static str, found: Found, said: impl Into<String>) -> Self {
        Self {
            name,
            found,
            said: said.into(),
            took: None,
        }
    }

    /// The same, which took so long.
    pub(super) fn in_time(self, took: Duration) -> Self {
        Self {
            took: Some(took),
            ..self
        }
    }

    /// What is said about it.
    #[cfg(test)]
    pub(super) fn said(&self) -> &str {
        &self.said
    }

    /// One JSON object.
    pub(super) fn document(&self) -> Value {
        json!({
            "check": self.name,
            "found": self.found.name(),
            "message": self.said,
            "milliseconds": self.took.map(|it| it.as_millis()),
        })
    }
}

/// The checks for people, one to a line.
pub(super) fn table(checks: &[Check]) -> String {
    let mut table = Table::headless();
    for check in checks {
        let took = check.took.map(|it| format!(" ({} ms)", it.as_millis()));
        let said = format!("{}{}", check.said, took.unwrap_or_default());
        table.row([check.found.name(), check.name, &said]);
    }
    table.text()
}
