//! The outcome of a request to the issuer: the reply for the peer, and the record for the
//! log.

use std::fmt;

use bytes::Bytes;
use countersign_dialect::Secret;
use countersign_domain::{AccountId, Reason, SessionId, TokenOperation};

/// The answer to a request, and what may be logged about it.
pub struct TokenAnswer {
    /// The reply for the peer.
    pub response: http::Response<Bytes>,
    /// What happened.
    pub record: RequestRecord,
    /// The token that could not be verified, for finding out what it was; not for the
    /// log.
    pub token: Option<Secret>,
}

/// The outcome of one request, for the log; nothing in it is secret.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    /// The operation.
    pub operation: TokenOperation,
    /// The variant of the dialect, if the request showed it.
    pub variant: Option<String>,
    /// Success, or the reason for the refusal.
    pub outcome: Result<(), Reason>,
    /// What happened to the session, in a word: `opened`, `rotated`, `replayed`, `ended`
    /// and so on.
    pub change: Option<&'static str>,
    /// The account, once it is known.
    pub account: Option<AccountId>,
    /// The login that was used.
    pub login: Option<String>,
    /// The session.
    pub session: Option<SessionId>,
    /// Details of a refusal, in words.
    pub detail: String,
}

/// Without the body, which contains tokens.
impl fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAnswer")
            .field("status", &self.response.status())
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

impl RequestRecord {
    pub(super) fn begin(operation: TokenOperation) -> Self {
        Self {
            operation,
            variant: None,
            outcome: Ok(()),
            change: None,
            account: None,
            login: None,
            session: None,
            detail: String::new(),
        }
    }

    pub(super) fn in_variant(self, variant: &str) -> Self {
        Self {
            variant: Some(variant.to_owned()),
            ..self
        }
    }

    pub(super) fn with_login(self, login: &str) -> Self {
        Self {
            login: Some(login.to_owned()),
            ..self
        }
    }

    pub(super) fn with_account(self, account: AccountId) -> Self {
        Self {
            account: Some(account),
            ..self
        }
    }

    pub(super) fn with_session(self, session: SessionId) -> Self {
        Self {
            session: Some(session),
            ..self
        }
    }

    pub(super) fn with_change(self, change: Option<&'static str>) -> Self {
        Self { change, ..self }
    }
}
