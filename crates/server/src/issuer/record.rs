//! The outcome of a request to the issuer: the reply for the peer, and the record for the
//! log.

use std::fmt;

use bytes::Bytes;
use countersign_dialect::Secret;
use countersign_domain::{AccountId, Reason, SessionId, TokenOperation};

/// The answer to a request, and what the log may say of it.
pub struct TokenAnswer {
    /// What the peer gets.
    pub response: http::Response<Bytes>,
    /// What happened.
    pub record: RequestRecord,
    /// The token that did not verify, for who finds out what it was; not for
    /// the log.
    pub token: Option<Secret>,
}

/// What happened to one request, for the log; nothing in it is secret.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    /// What was asked for.
    pub operation: TokenOperation,
    /// The dialect's variant, where the request told one.
    pub variant: Option<String>,
    /// Done, or why not.
    pub outcome: Result<(), Reason>,
    /// What became of the session, in a word: `opened`, `rotated`, `replayed`,
    /// `ended` and so on.
    pub change: Option<&'static str>,
    /// Whose request it was, once that is known.
    pub account: Option<AccountId>,
    /// The login that was used.
    pub login: Option<String>,
    /// The session.
    pub session: Option<SessionId>,
    /// More on a refusal, in words.
    pub detail: String,
}

/// Without the body, where tokens stand.
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
