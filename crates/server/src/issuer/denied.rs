//! A refusal on its way to the peer and the log, with what is known of the caller.

use std::time::Duration;

use countersign_dialect::{Secret, TokenRefusal, UnreadRequest};
use countersign_domain::{AccountId, Reason, Refusal, TokenOperation};

use super::record::{RequestRecord, TokenAnswer};
use crate::api::IssuingApi;

/// A refusal. Boxed inside: it is large and rare.
pub(super) struct TokenDenial(Box<DenialParts>);

/// Why a request is refused, and how long to wait where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DenialCause {
    pub(super) reason: Reason,
    pub(super) wait: Option<Duration>,
    /// Whose login was tried, for the record.
    pub(super) account: Option<AccountId>,
}

impl DenialCause {
    /// This, of a login that is this account's.
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

    /// The path is served, for these methods only.
    pub(super) fn wrong_method(operation: TokenOperation, allow: String) -> Self {
        let mut denied = Self::new(RequestRecord::begin(operation), Reason::MethodUnknown);
        denied.0.allow = Some(allow);
        denied
    }

    /// This, for a token that did not verify.
    pub(super) fn with_token(mut self, token: &Secret) -> Self {
        self.0.token = Some(token.clone());
        self
    }

    /// Who called and why it was refused.
    pub(super) fn record(&self) -> &RequestRecord {
        &self.0.record
    }

    /// The refusal in the api's spelling.
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

impl From<UnreadRequest> for TokenDenial {
    fn from(unread: UnreadRequest) -> Self {
        let record = RequestRecord {
            detail: unread.detail,
            ..RequestRecord::begin(unread.operation)
        };
        let mut denied = Self::new(record, unread.reason);
        denied.0.pointer = unread.pointer;
        denied
    }
}

/// When a peer should come back. A refresh that was repeated too often may try
/// once its window is over; what was shed or is unknown may come a little
/// later.
fn retry_after(refusal: Refusal) -> Option<Duration> {
    match refusal {
        Refusal::Throttled => Some(Duration::from_secs(60)),
        Refusal::Unavailable => Some(Duration::from_secs(1)),
        _ => None,
    }
}
