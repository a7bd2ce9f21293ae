//! The form of accounts, credentials and sessions in replies.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use countersign_domain::account::StoredSecret;
use countersign_domain::session::SessionState;
use countersign_domain::{Account, Credential, Session, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::member_number::{AccountLimit, AccountNumber, CredentialNumber};
use super::member_text::{
    ApiNameText, InstantText, NetworkEntry, NetworkText, ScopeText, ScopeToken, SessionIdText,
    TextMember,
};
use super::member_words::EndText;

/// The reply to a deletion (204).
pub(super) struct NothingLeft;

impl IntoResponse for NothingLeft {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// Whether an account or a credential may be used.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = State)]
pub(super) enum ActiveState {
    Active,
    Disabled,
}

impl ActiveState {
    /// Whether it is the first.
    pub(super) fn is_active(self) -> bool {
        self == Self::Active
    }

    fn from_flag(active: bool) -> Self {
        if active { Self::Active } else { Self::Disabled }
    }
}

/// An account: a partner at one api.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub(super) struct AccountView {
    /// The id of the account.
    id: AccountNumber,
    /// The api that it belongs to.
    api: ApiNameText,
    /// The login that it was created with; its credentials may have others.
    login: String,
    /// Whether it may be used.
    state: ActiveState,
    /// The networks that it may call from. An empty list allows every address.
    allow: Vec<NetworkText>,
    /// Its limits that differ from its api's.
    limits: LimitsView,
    /// How often all of its sessions were ended at once.
    epoch: u32,
    /// When it was created.
    created_at: InstantText,
}

/// The limits of an account that differ from its api's; null stands for the api's limit.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountLimitsView)]
pub(super) struct LimitsView {
    /// How many guarded requests one access token may make.
    budget: AccountLimit,
    /// How many sessions may be alive at once. One more ends the session that has been
    /// idle the longest.
    sessions: AccountLimit,
    /// How many logins and refreshes may succeed within a minute.
    mints_per_minute: AccountLimit,
    /// How many guarded requests may be made within a second.
    requests_per_second: AccountLimit,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        let networks = account.allow.networks().iter();
        Self {
            id: AccountNumber(account.id),
            api: TextMember(account.api),
            login: account.name,
            state: ActiveState::from_flag(account.active),
            allow: networks
                .map(|network| TextMember(NetworkEntry(network.to_string())))
                .collect(),
            limits: LimitsView {
                budget: AccountLimit(account.limits.budget),
                sessions: AccountLimit(account.limits.sessions),
                mints_per_minute: AccountLimit(account.limits.mints_per_minute),
                requests_per_second: AccountLimit(account.limits.requests_per_second),
            },
            epoch: account.epoch.0,
            created_at: TextMember(account.created_at),
        }
    }
}

/// A credential, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Credential)]
pub(super) struct CredentialView {
    /// The id of the credential.
    id: CredentialNumber,
    /// The account that it belongs to.
    account: AccountNumber,
    /// The login that goes with its secret.
    login: String,
    /// Where its secret comes from.
    kind: SecretKind,
    /// Its scopes, which routes may require.
    scopes: Vec<ScopeText>,
    /// Whether it may be used.
    state: ActiveState,
    /// When it was created.
    created_at: InstantText,
}

/// The origin of a secret: a key was generated, a password was chosen.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum SecretKind {
    Key,
    Password,
}

impl From<Credential> for CredentialView {
    fn from(credential: Credential) -> Self {
        let scopes = credential.scopes.iter();
        Self {
            id: CredentialNumber(credential.id.0),
            account: AccountNumber(credential.account),
            kind: match credential.secret {
                StoredSecret::Key(_) => SecretKind::Key,
                StoredSecret::Password(_) => SecretKind::Password,
            },
            scopes: scopes
                .map(|scope| TextMember(ScopeToken(scope.to_owned())))
                .collect(),
            state: ActiveState::from_flag(credential.active),
            created_at: TextMember(credential.created_at),
            login: credential.login,
        }
    }
}

/// A session: what one login opened.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionView {
    /// The id of the session.
    id: SessionIdText,
    /// The account that it belongs to.
    account: AccountNumber,
    /// The credential that opened it.
    credential: CredentialNumber,
    /// The variant of the api's dialect in which it was opened.
    variant: String,
    /// Its state.
    state: SessionStateView,
    /// Why and when it was ended; absent if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ended: Option<EndView>,
    /// How often it was refreshed.
    generation: u32,
    /// When it was opened.
    started_at: InstantText,
    /// When its current tokens were issued.
    rotated_at: InstantText,
    /// When its current access token expires.
    access_expires_at: InstantText,
    /// When its current refresh token expires.
    refresh_expires_at: InstantText,
    /// When it ends, however often it is refreshed.
    absolute_expires_at: InstantText,
    /// How often the last refresh was answered again, because the reply may have been
    /// lost.
    replays: u32,
    /// Whether its current access token was used.
    used: bool,
    /// The address of the login.
    address: String,
    /// The `User-Agent` of the login.
    user_agent: String,
}

/// The state of a session. An expired session was never ended; an ended one was.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SessionState)]
enum SessionStateView {
    Active,
    Expired,
    Ended,
}

/// Why and when a session was ended.
#[derive(Serialize, ToSchema)]
#[schema(as = EndedSession)]
pub(super) struct EndView {
    /// Why it was ended.
    reason: EndText,
    /// When it was ended.
    at: InstantText,
}

impl EndView {
    /// The end of a session, if it was ended.
    pub(super) fn of_ended(session: &Session) -> Option<Self> {
        let SessionState::Ended { end, at } = session.state else {
            return None;
        };
        Some(Self {
            reason: TextMember(end),
            at: TextMember(at),
        })
    }
}

impl SessionView {
    /// The session at the time `now`: one that was not ended may have expired.
    pub(super) fn new(session: Session, now: Timestamp) -> Self {
        let state = match session.state {
            SessionState::Ended { .. } => SessionStateView::Ended,
            SessionState::Active if session.last_expiry() <= now => SessionStateView::Expired,
            SessionState::Active => SessionStateView::Active,
        };
        Self {
            id: TextMember(session.id),
            account: AccountNumber(session.account),
            credential: CredentialNumber(session.credential.0),
            state,
            ended: EndView::of_ended(&session),
            generation: session.generation,
            started_at: TextMember(session.started_at),
            rotated_at: TextMember(session.rotated_at),
            access_expires_at: TextMember(session.access_expires_at),
            refresh_expires_at: TextMember(session.refresh_expires_at),
            absolute_expires_at: TextMember(session.absolute_expires_at),
            replays: session.replays,
            used: session.used,
            address: session.address.to_string(),
            variant: session.variant,
            user_agent: session.user_agent,
        }
    }
}
