//! Why there is no token.

use countersign_domain::{Refusal, Timestamp, TokenOperation};

/// Why no token can be obtained. Cloning it is cheap: every waiting caller gets the
/// same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", in_brackets(.help.as_deref()))]
pub struct Error {
    /// What kind of error it is.
    pub kind: ErrorKind,
    /// What happened, in words that contain no secret.
    pub message: std::sync::Arc<str>,
    /// What to do about it, if there is something to do.
    pub help: Option<std::sync::Arc<str>>,
    /// The vendor is not asked again before this instant of the client's clock.
    pub retry_at: Option<Timestamp>,
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The vendor refused, and the same request would be refused again.
    Refused {
        /// What was requested.
        operation: TokenOperation,
        /// What the refusal means.
        refusal: Refusal,
    },
    /// The vendor throttles requests.
    Throttled,
    /// The vendor does not answer, or says that it cannot at the moment.
    Unavailable,
    /// The dialect does not explain the vendor's reply, or its signature is wrong.
    Unintelligible,
    /// The login secret cannot be read.
    Secret,
    /// The stored session cannot be read or written.
    Store,
    /// The session was logged out while a caller waited for its token.
    LoggedOut,
    /// The client is configured wrongly.
    Setup,
}

impl ErrorKind {
    /// The stable name, as in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Unintelligible => "unintelligible",
            Self::Secret => "secret",
            Self::Store => "store",
            Self::LoggedOut => "logged_out",
            Self::Setup => "setup",
        }
    }
}

impl Error {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<std::sync::Arc<str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            help: None,
            retry_at: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<std::sync::Arc<str>>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn with_help_of(mut self, help: Option<impl Into<std::sync::Arc<str>>>) -> Self {
        self.help = help.map(Into::into);
        self
    }

    /// Adds that the call should not be tried again before `instant`.
    #[must_use]
    pub fn until(mut self, instant: Timestamp) -> Self {
        self.retry_at = Some(instant);
        self
    }

    /// Whether the same call may succeed later although nobody changes anything.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ErrorKind::Throttled | ErrorKind::Unavailable)
    }
}

fn in_brackets(help: Option<&str>) -> String {
    help.map_or_else(String::new, |help| format!(" ({help})"))
}
