//! Why a guarded request may not pass: one type for the guard's own causes and for
//! failures on the way to the upstream.

use std::time::Duration;

use countersign_domain::{AccountId, Reason, SessionId};
use countersign_relay::RelayError;

use crate::rate_limit::BudgetLeft;

/// Why a request may not pass, and what is known about its caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct GuardDenial {
    /// The cause.
    pub reason: Reason,
    /// The account, once a token or key has proved it.
    pub account: Option<AccountId>,
    /// The session, once a token has proved it.
    pub session: Option<SessionId>,
    /// When the caller may try again, if that is known.
    pub retry_after: Option<Duration>,
    /// What is left of the token's budget, if that is the cause.
    pub budget: Option<Box<BudgetLeft>>,
    /// More details for the operator, without any value from the request.
    pub detail: Option<String>,
}

impl GuardDenial {
    /// Adds how long the caller should wait.
    pub(crate) fn for_now(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    /// Adds what is left of the budget.
    pub(crate) fn with_budget(self, left: BudgetLeft) -> Self {
        Self {
            budget: Some(Box::new(left)),
            ..self
        }
    }
}

/// A relay's error, as a refusal.
impl From<RelayError> for GuardDenial {
    fn from(error: RelayError) -> Self {
        let (reason, retry_after) = match error {
            RelayError::Down { retry_after } => (Reason::UpstreamDown, Some(retry_after)),
            RelayError::Timeout(_) => (Reason::UpstreamTimeout, None),
            RelayError::Failed(_) => (Reason::UpstreamFailed, None),
            RelayError::ClientGone(_) => (Reason::RequestCutOff, None),
            RelayError::NoRoom { retry_after } => (Reason::RequestsThrottled, Some(retry_after)),
        };
        Self {
            retry_after,
            detail: Some(error.to_string()),
            ..Self::from(reason)
        }
    }
}

impl From<Reason> for GuardDenial {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            account: None,
            session: None,
            retry_after: None,
            budget: None,
            detail: None,
        }
    }
}
