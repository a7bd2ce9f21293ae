//! A refusal on its way to the peer and the log, with what is known about the caller.

use std::time::Duration;

use countersign_dialect::{RequestReadError, Secret, TokenRefusal};
use countersign_domain::{AccountId, Reason, Refusal, TokenOperation};

use super::record::{RequestRecord, TokenAnswer};
use crate::api::IssuingApi;

/// A refusal. Boxed inside: it is large and rare.
pub(super) struct TokenDenial(Box<DenialParts>);

/// Why a request is refused, and how long to wait if that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DenialCause {
    pub(super) reason: Reason,
    pub(super) wait: Option<Duration>,
    /// The login that was tried, for the record.
    pub(super) account: Option<AccountId>,
}

impl DenialCause {
    /// Adds the account that the login belongs to.
    pub(super) fn with_account(self, account: Option<AccountId>) -> Self {
        Self { account, ..self }
    }

    pub(super) fn throttled(reason: Reason, wait: Duration) -> Self {
        Self {
            reason,
            wait: Some(wait),
            account: None,
        }
    }
}

impl From<Reason> for DenialCause {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            wait: None,
            account: None,
        }
    }
}

struct DenialParts {
    record: RequestRecord,
    cause: DenialCause,
    pointer: Option<String>,
    allow: Option<String>,
    token: Option<Secret>,
}

impl TokenDenial {
    pub(super) fn new(record: RequestRecord, cause: impl Into<DenialCause>) -> Self {
        let cause = cause.into();
        let record = RequestRecord {
            outcome: Err(cause.reason),
            account: record.account.or(cause.account),
            ..record
        };
        Self(Box::new(DenialParts {
            record,
            cause,
            pointer: None,
            allow: None,
            token: None,
        }))
    }

    /// The path exists, but only for these methods.
    pub(super) fn wrong_method(operation: TokenOperation, allow: String) -> Self {
        let mut denied = Self::new(RequestRecord::begin(operation), Reason::MethodUnknown);
        denied.0.allow = Some(allow);
        denied
    }

    /// A refusal because a token could not be verified.
    pub(super) fn with_token(mut self, token: &Secret) -> Self {
        self.0.token = Some(token.clone());
        self
    }

    /// Adds who called.
    pub(super) fn record(&self) -> &RequestRecord {
        &self.0.record
    }

    /// The refusal in the api's format.
    pub(super) fn answer(self, api: &IssuingApi) -> TokenAnswer {
        let DenialParts {
            record,
            cause,
            pointer,
            allow,
            token,
        } = *self.0;
        let refusal = cause.reason.refusal(record.operation);
        let response = api.dialect().write_refusal(&TokenRefusal {
            operation: record.operation,
            refusal,
            pointer: pointer.as_deref(),
            retry_after: cause.wait.or_else(|| retry_after(refusal)),
            allow: allow.as_deref(),
        });
        TokenAnswer {
            response,
            record,
            token,
        }
    }
}

impl From<RequestReadError> for TokenDenial {
    fn from(unread: RequestReadError) -> Self {
        let record = RequestRecord {
            detail: unread.detail,
            ..RequestRecord::begin(unread.operation)
        };
        let mut denied = Self::new(record, unread.reason);
        denied.0.pointer = unread.pointer;
        denied
    }
}

/// When a peer should try again. A refresh that was repeated too often may be tried after
/// its window; a request that was dropped or whose outcome is unknown a little later.
fn retry_after(refusal: Refusal) -> Option<Duration> {
    match refusal {
        Refusal::Throttled => Some(Duration::from_secs(60)),
        Refusal::Unavailable => Some(Duration::from_secs(1)),
        _ => None,
    }
}
