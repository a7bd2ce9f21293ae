//! The state of an account now.

use countersign_domain::session::SessionState;
use countersign_domain::{Account, Session, Timestamp};
use serde::Serialize;

use super::super::view::{AccountView, EndView};

/// An account with what its sessions tell.
#[derive(Serialize)]
pub(super) struct StandingView {
    #[serde(flatten)]
    account: AccountView,
    /// How many of its sessions live.
    live_sessions: usize,
    /// The newest session that is still known.
    last_login: Option<LoginView>,
    /// The session that was ended last, of those that are still known.
    last_end: Option<EndView>,
}

#[derive(Serialize)]
struct LoginView {
    at: String,
    address: String,
    session: String,
}

impl StandingView {
    /// The account as it is at `now`; its sessions newest first.
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
                at: session.started_at.rfc3339(),
                address: session.address.to_canonical().to_string(),
                session: session.id.to_string(),
            }),
            last_end: last_ended.and_then(EndView::of_ended),
        }
    }
}
