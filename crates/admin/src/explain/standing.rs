//! The state of an account now.

use countersign_domain::session::SessionState;
use countersign_domain::{Account, Session, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::member_text::{InstantText, SessionIdText, TextMember};
use super::super::view::{AccountView, EndView};

/// An account, with a summary of its sessions.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountStanding)]
pub(in super::super) struct StandingView {
    #[serde(flatten)]
    account: AccountView,
    /// How many of its sessions are alive.
    live_sessions: usize,
    /// The newest login whose session is still recorded; null if there is none.
    last_login: Option<LoginView>,
    /// The newest end of a session that is still recorded; null if there is none.
    last_end: Option<EndView>,
}

/// A login that opened a session.
#[derive(Serialize, ToSchema)]
#[schema(as = LastLogin)]
struct LoginView {
    /// When it was.
    at: InstantText,
    /// The address from which it came.
    address: String,
    /// The session that it opened.
    session: SessionIdText,
}

impl StandingView {
    /// The account at the time `now`; its sessions must be sorted with the newest first.
    pub(super) fn new(account: Account, sessions: &[Session], now: Timestamp) -> Self {
        let live = |session: &&Session| {
            matches!(session.state, SessionState::Active) && session.last_expiry() > now
        };
        let last_ended = sessions.iter().max_by_key(|session| match session.state {
            SessionState::Ended { at, .. } => Some(at),
            SessionState::Active => None,
        });
        Self {
            account: account.into(),
            live_sessions: sessions.iter().filter(live).count(),
            last_login: sessions.first().map(|session| LoginView {
                at: TextMember(session.started_at),
                address: session.address.to_canonical().to_string(),
                session: TextMember(session.id),
            }),
            last_end: last_ended.and_then(EndView::of_ended),
        }
    }
}
