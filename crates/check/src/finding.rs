//! A check of the doctor, and its result.

use std::time::Duration;

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
    /// How long it took, where that tells something.
    pub took: Option<Duration>,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckVerdict {
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

impl CheckVerdict {
    /// What the verdict is called.
    pub fn name(self) -> &'static str {
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
            took: None,
        }
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
            "milliseconds": self.took.map(|it| it.as_millis()),
        })
    }
}
