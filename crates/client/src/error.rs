//! Why there is no token.

use countersign_domain::{Refusal, Timestamp, TokenOperation};

/// Why a token cannot be had. It is cheap to clone: every waiter gets the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of error it is.
    pub kind: ErrorKind,
    /// What happened and what to do, in words that hold no secret.
    pub message: std::sync::Arc<str>,
    /// Before this instant of the client's clock the vendor is not asked again.
    pub retry_at: Option<Timestamp>,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The vendor refused; asking again the same way does not help.
    Refused {
        /// What was asked for.
        operation: TokenOperation,
        /// What it means.
        refusal: Refusal,
    },
    /// The vendor asks to come later.
    Throttled,
    /// The vendor does not answer, or says that it cannot now.
    Unavailable,
    /// The vendor's answer is not of the dialect, or its signature is wrong.
    Unintelligible,
    /// The login secret cannot be had.
    Secret,
    /// What is kept cannot be read or written.
    Store,
    /// The session was logged out while the token was waited for.
    LoggedOut,
    /// The client is set up wrongly.
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
            retry_at: None,
        }
    }

    /// The same, not to be tried again before `instant`.
    #[must_use]
    pub fn until(mut self, instant: Timestamp) -> Self {
        self.retry_at = Some(instant);
        self
    }

    /// Whether the same call may work later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ErrorKind::Throttled | ErrorKind::Unavailable)
    }
}
