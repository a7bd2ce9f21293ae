//! What a dry run asks the guard, and what it says. This crate does not know the guard.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{Method, uri::PathAndQuery};
use countersign_dialect::Secret;
use countersign_domain::{AccountId, ApiName, ApiScope, Epoch, Reason, SessionId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// Decides a dry run as the guard would at this instant.
pub type DryRunGuard = Arc<dyn Fn(&DryRun, Timestamp) -> DryRunVerdict + Send + Sync>;

/// A request that nobody made.
pub struct DryRun {
    /// What it would present.
    pub credential: DryRunCredential,
    /// The client's address.
    pub from: IpAddr,
    /// The method.
    pub method: Method,
    /// Path and query, as the client would send them.
    pub target: PathAndQuery,
    /// The host, where apis are told apart by it.
    pub host: Option<String>,
    /// The api, if it is not to be found by host and path.
    pub api: Option<ApiName>,
    /// The apis that the operator sees: of others nothing is told.
    pub sees: ApiScope,
}

/// What a dry run presents.
pub enum DryRunCredential {
    /// Nothing.
    Nothing,
    /// An access token.
    Token(Secret),
    /// A static key.
    StaticKey(Secret),
}

/// What the guard says about a dry run.
#[derive(Clone, Debug, Default)]
pub struct DryRunVerdict {
    /// The api that it belongs to.
    pub api: Option<ApiName>,
    /// What was looked at, in order.
    pub steps: Vec<DryRunStep>,
    /// Whose the token is.
    pub bearer: Option<TokenBearer>,
    /// Why it would be refused; `None` if it would pass.
    pub refused: Option<PeerReply>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DryRunStep {
    /// What was looked at.
    pub what: &'static str,
    /// Whether it is as it must be.
    pub good: bool,
    /// How it is, in words.
    pub words: String,
}

/// Whose a token is.
#[derive(Clone, Copy, Debug)]
pub struct TokenBearer {
    /// The account.
    pub account: AccountId,
    /// The account's epoch at login.
    pub epoch: Epoch,
    /// The session.
    pub session: SessionId,
}

/// What the peer would be told.
#[derive(Clone, Debug)]
pub struct PeerReply {
    /// Why.
    pub reason: Reason,
    /// More, in words.
    pub detail: String,
    /// The HTTP status.
    pub status: u16,
    /// The header fields.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl DryRunStep {
    /// A step that went well or not.
    pub fn new(what: &'static str, good: bool, words: impl Into<String>) -> Self {
        Self {
            what,
            good,
            words: words.into(),
        }
    }
}
