//! How accounts, credentials and sessions look in replies.

use countersign_domain::session::SessionState;
use countersign_domain::{Account, Credential, Session, Timestamp};
use serde::Serialize;

/// An account in a reply.
#[derive(Serialize)]
pub(super) struct AccountView {
    id: u64,
    api: String,
    login: String,
    state: &'static str,
    allow: Vec<String>,
    limits: LimitsView,
    epoch: u32,
    created_at: String,
}

/// What an account may do otherwise than its api says; null is the api's.
#[derive(Serialize)]
struct LimitsView {
    budget: Option<u32>,
    sessions: Option<u32>,
    mints_per_minute: Option<u32>,
    requests_per_second: Option<u32>,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.number(),
            api: account.api.to_string(),
            login: account.name,
            state: state(account.active),
            allow: account
                .allow
                .networks()
                .iter()
                .map(ToString::to_string)
                .collect(),
            limits: LimitsView {
                budget: account.limits.budget,
                sessions: account.limits.sessions,
                mints_per_minute: account.limits.mints_per_minute,
                requests_per_second: account.limits.requests_per_second,
            },
            epoch: account.epoch.0,
            created_at: account.created_at.rfc3339(),
        }
    }
}

/// A credential in a reply, without anything of its secret but its kind.
#[derive(Serialize)]
pub(super) struct CredentialView {
    id: u64,
    account: u64,
    login: String,
    kind: &'static str,
    scopes: Vec<String>,
    state: &'static str,
    created_at: String,
}

impl From<Credential> for CredentialView {
    fn from(credential: Credential) -> Self {
        Self {
            id: credential.id.0,
            account: credential.account.number(),
            kind: super::secret::kind(&credential.secret),
            scopes: credential.scopes.iter().map(str::to_owned).collect(),
            state: state(credential.active),
            created_at: credential.created_at.rfc3339(),
            login: credential.login,
        }
    }
}

/// A session in a reply.
#[derive(Serialize)]
pub(super) struct SessionView {
    id: String,
    account: u64,
    credential: u64,
    variant: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<EndView>,
    generation: u32,
    started_at: String,
    rotated_at: String,
    access_expires_at: String,
    refresh_expires_at: String,
    absolute_expires_at: String,
    replays: u32,
    used: bool,
    address: String,
    user_agent: String,
}

/// Why and when a session ended.
#[derive(Serialize)]
pub(super) struct EndView {
    reason: &'static str,
    at: String,
}

impl EndView {
    /// The end of a session, if it was ended.
    pub(super) fn of_ended(session: &Session) -> Option<Self> {
        let SessionState::Ended { end, at } = session.state else {
            return None;
        };
        Some(Self {
            reason: end.code(),
            at: at.rfc3339(),
        })
    }
}

impl SessionView {
    /// The session as it is at `now`: one that nobody ended may have run out.
    pub(super) fn new(session: Session, now: Timestamp) -> Self {
        let (state, ended) = match session.state {
            SessionState::Ended { end, at } => ("ended", Some((end.code(), at))),
            SessionState::Active if session.last_expiry() <= now => ("expired", None),
            SessionState::Active => ("active", None),
        };
        Self {
            id: session.id.to_string(),
            account: session.account.number(),
            credential: session.credential.0,
            variant: session.variant,
            state,
            ended: ended.map(|(reason, at)| EndView {
                reason,
                at: at.rfc3339(),
            }),
            generation: session.generation,
            started_at: session.started_at.rfc3339(),
            rotated_at: session.rotated_at.rfc3339(),
            access_expires_at: session.access_expires_at.rfc3339(),
            refresh_expires_at: session.refresh_expires_at.rfc3339(),
            absolute_expires_at: session.absolute_expires_at.rfc3339(),
            replays: session.replays,
            used: session.used,
            address: session.address.to_string(),
            user_agent: session.user_agent,
        }
    }
}

fn state(active: bool) -> &'static str {
    if active { "active" } else { "disabled" }
}
