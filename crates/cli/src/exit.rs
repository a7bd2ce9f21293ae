//! How a command ends: its exit code, and the error that it prints.
//!
//! 0 done, 1 failed, 64 usage or configuration, 69 unavailable, 77 refused; the numbers above 1
//! are those of BSD's `sysexits.h`.

use std::fmt;
use std::process::ExitCode;

use countersign_dialect::{Mistake, Mistakes};
use serde_json::{Value, json};

use crate::output::Output;

/// The exit code of a failure.
pub(crate) const FAILED: u8 = 1;

/// The exit code of a mistake in the command line or the configuration.
const USAGE: u8 = 64;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    cause: Cause,
    message: String,
    /// What to do about it.
    help: Option<String>,
    /// Lines before the message: mistakes, each with its place at the beginning,
    /// where editors look for it.
    listing: Option<String>,
    details: Option<Value>,
}

/// Whose fault it is, which decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Failed,
    Usage,
    Unavailable,
    Refused,
    Bug,
    /// A command that was run ended so, and has said why itself.
    PassedOn(u8),
}

impl Cause {
    fn code(self) -> u8 {
        match self {
            Self::Failed | Self::Bug => FAILED,
            Self::Usage => USAGE,
            Self::Unavailable => 69,
            Self::Refused => 77,
            Self::PassedOn(code) => code,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
            Self::Bug => "bug",
            Self::PassedOn(_) => "passed on",
        }
    }
}

impl Failure {
    /// It was tried and did not work: exit 1.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self::new(Cause::Failed, &message)
    }

    /// The command line, a file or the configuration is wrong: exit 64.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Cause::Usage, &message)
    }

    /// Something that is needed does not answer; later may be better: exit 69.
    pub(crate) fn unavailable(message: impl fmt::Display) -> Self {
        Self::new(Cause::Unavailable, &message)
    }

    /// The server does not let this caller do it: exit 77.
    pub(crate) fn refused(message: impl fmt::Display) -> Self {
        Self::new(Cause::Refused, &message)
    }

    /// What cannot happen did: exit 1.
    pub(crate) fn bug(message: impl fmt::Display) -> Self {
        Self::new(Cause::Bug, &message)
    }

    /// A command that was run failed: its exit code, and nothing is said.
    pub(crate) fn passed_on(code: u8) -> Self {
        Self::new(Cause::PassedOn(code), &"the command failed")
    }

    /// A file that a person wrote is wrong, with every mistake in it: exit 64.
    pub(crate) fn mistakes(mistakes: &Mistakes, file: &str) -> Self {
        let number = mistakes.0.len();
        let noun = if number == 1 { "mistake" } else { "mistakes" };
        Self::usage(format!("{number} {noun} in {file}")).with_mistakes("mistakes", mistakes)
    }

    /// The same failure with every mistake in a file before its message; for `--json` they
    /// are the detail `name`.
    #[must_use]
    pub(crate) fn with_mistakes(self, name: &str, mistakes: &Mistakes) -> Self {
        let listed: Vec<_> = mistakes.0.iter().map(listed).collect();
        let listing = Some(mistakes.to_string());
        Self { listing, ..self }.with_detail(name, listed.into())
    }

    /// The same failure with what to do about it, as a sentence without its full stop.
    #[must_use]
    pub(crate) fn with_help(self, help: impl fmt::Display) -> Self {
        Self {
            help: Some(help.to_string()),
            ..self
        }
    }

    /// The same failure with what to do about it, if there is something to do.
    #[must_use]
    pub(crate) fn with_help_of(self, help: Option<impl fmt::Display>) -> Self {
        match help {
            Some(help) => self.with_help(help),
            None => self,
        }
    }

    /// The same failure with more for `--json`.
    #[must_use]
    pub(crate) fn with_details(self, details: Value) -> Self {
        Self {
            details: Some(details),
            ..self
        }
    }

    /// The same failure with one more member among the details for `--json`.
    #[must_use]
    pub(crate) fn with_detail(self, name: &str, value: Value) -> Self {
        let mut details = self.details.clone().unwrap_or_else(|| json!({}));
        details[name] = value;
        self.with_details(details)
    }

    fn new(cause: Cause, message: &dyn fmt::Display) -> Self {
        Self {
            cause,
            message: message.to_string(),
            help: None,
            listing: None,
            details: None,
        }
    }

    /// One JSON object: the kind of failure, its message and exit code.
    pub(crate) fn document(&self) -> Value {
        let mut document = json!({
            "error": self.cause.name(),
            "exit": self.cause.code(),
            "message": self.message,
        });
        if let Some(help) = &self.help {
            document["help"] = help.as_str().into();
        }
        if let Some(details) = &self.details {
            document["details"] = details.clone();
        }
        document
    }
}

fn listed(mistake: &Mistake) -> Value {
    json!({
        "file": mistake.origin,
        "line": mistake.line,
        "column": mistake.column,
        "pointer": mistake.pointer,
        "message": mistake.message,
        "help": mistake.help,
    })
}

const BUG: &str = "this is a mistake of the program, please report it: ";

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cause == Cause::Bug {
            f.write_str(BUG)?;
        }
        if let Some(listing) = &self.listing {
            writeln!(f, "{listing}")?;
        }
        f.write_str(&self.message)?;
        let help = self.help.as_ref();
        help.map_or(Ok(()), |help| write!(f, " ({help})"))
    }
}

/// Says on standard error what went wrong, if anything did, and gives the exit
/// code.
pub(crate) fn report(outcome: Result<(), Failure>, output: &Output) -> ExitCode {
    let Err(failure) = outcome else {
        return ExitCode::SUCCESS;
    };
    if let Cause::PassedOn(code) = failure.cause {
        return ExitCode::from(code);
    }
    if output.is_json() {
        output.complain(&failure.document().to_string());
    } else {
        if let Some(listing) = &failure.listing {
            output.complain(listing);
        }
        let bug = if failure.cause == Cause::Bug { BUG } else { "" };
        let message = format!("{bug}{}", failure.message);
        output.error(&message, failure.help.as_deref());
    }
    ExitCode::from(failure.cause.code())
}
