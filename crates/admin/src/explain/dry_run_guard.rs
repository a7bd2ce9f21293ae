//! What a dry run asks the guard, and what the guard answers. This crate does not know
//! the guard.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{Method, uri::PathAndQuery};
use countersign_dialect::Secret;
use countersign_domain::{AccountId, ApiName, ApiScope, Epoch, Reason, SessionId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// Decides a dry run as the guard would decide a request now.
pub type DryRunGuard = Arc<dyn Fn(&DryRun, Timestamp) -> DryRunVerdict + Send + Sync>;

/// A request that nobody sent.
pub struct DryRun {
    /// Its credential.
    pub credential: DryRunCredential,
    /// The client's address.
    pub from: IpAddr,
    /// The method.
    pub method: Method,
    /// Path and query, as the client would send them.
    pub target: PathAndQuery,
    /// The host, if apis differ by host.
    pub host: Option<String>,
    /// The api, if it should not be found by host and path.
    pub api: Option<ApiName>,
    /// The apis that the operator sees: nothing is revealed about others.
    pub sees: ApiScope,
}

/// The credential of a dry run.
pub enum DryRunCredential {
    /// None.
    Nothing,
    /// An access token.
    Token(Secret),
    /// A static key.
    StaticKey(Secret),
}

/// The guard's answer to a dry run.
#[derive(Clone, Debug, Default)]
pub struct DryRunVerdict {
    /// The api of the request.
    pub api: Option<ApiName>,
    /// The checks, in order.
    pub steps: Vec<DryRunStep>,
    /// Whose token it is.
    pub bearer: Option<TokenBearer>,
    /// Why the request would be refused; `None` if it would pass.
    pub refused: Option<PeerReply>,
}

/// One check.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DryRunStep {
    /// What was checked.
    pub what: &'static str,
    /// Whether the request passed this check.
    pub good: bool,
    /// The result, in words.
    pub words: String,
}

/// The owner of a token.
#[derive(Clone, Copy, Debug)]
pub struct TokenBearer {
    /// The account.
    pub account: AccountId,
    /// The account's epoch at the time of the login.
    pub epoch: Epoch,
    /// The session.
    pub session: SessionId,
}

/// The answer that the peer would get.
#[derive(Clone, Debug)]
pub struct PeerReply {
    /// The reason.
    pub reason: Reason,
    /// Details, in words.
    pub detail: String,
    /// The HTTP status.
    pub status: u16,
    /// The header fields.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl DryRunVerdict {
    /// Ends with a step that went wrong, and what the peer would be told.
    pub fn stop(&mut self, step: DryRunStep, told: PeerReply) {
        self.steps.push(step);
        self.refused = Some(told);
    }
}

impl DryRunStep {
    /// A check that was passed, or not.
    pub fn new(what: &'static str, good: bool, words: impl Into<String>) -> Self {
        Self {
            what,
            good,
            words: words.into(),
        }
    }
}
