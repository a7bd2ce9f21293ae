//! Sessions: rotation that survives lost replies and catches thieves.
//!
//! A session is everything that descends from one login (the refresh token
//! family of RFC 9700 section 4.14.2) and is one row. [`refresh`] is the
//! rotation protocol. Its decisions are tried in this order, and the first that
//! applies is the answer:
//!
//! | | the refresh token | the answer |
//! | --- | --- | --- |
//! | D0 | is not signed and sealed by this api, or is not a refresh token | refused, before anything is loaded |
//! | D1 | has no session, or the session ended or ran out, or is another's | refused |
//! | D2 | is of an account, credential or address that may not be used | refused |
//! | D3 | is of the current generation | a new generation |
//! | D4 | is of the generation before, as if the reply was lost | the same successor again |
//! | D5 | is of that or an older one, as if it was stolen | refused, and the session ends |
//! | D6 | is of a generation that the row never had | refused, and the session ends |
//!
//! The successor is a function of the row: the fields that [`refresh`] stores
//! are all that its tokens say, so any node can give the same answer again
//! after a crash, and nothing secret is stored.

mod rotation;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::account::{Account, AccountId, Credential, CredentialId, Epoch};
use crate::coded;
use crate::key::Kid;
use crate::policy::RefreshMode;
use crate::refusal::Reason;
use crate::time::Timestamp;
pub use rotation::{logout, refresh};

/// The random id of a session, 128 bits; written as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub [u8; 16]);

impl SessionId {
    /// The id that these 32 hex digits stand for.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        u128::from_str_radix(text, 16)
            .ok()
            .map(|number| Self(number.to_be_bytes()))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// SHA-256 of a session's seed. Only refresh tokens contain the seed itself, so neither a
/// leaked database nor a leaked key alone is enough to forge one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SeedHash(pub [u8; 32]);

impl fmt::Debug for SeedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeedHash(..)")
    }
}

coded! {
    /// Why a session ended.
    End {
        /// The client logged out.
        Logout = "logout",
        /// An old refresh token came back (D5).
        Reuse = "reuse",
        /// A token newer than the row came (D6).
        StateRegression = "state_regression",
        /// A new login replaced it, as the dialect requires.
        NewLogin = "new_login",
        /// Its credential was deleted or disabled.
        CredentialRevoked = "credential_revoked",
        /// Its account was disabled or deleted.
        AccountDisabled = "account_disabled",
        /// An operator ended it.
        Operator = "operator",
        /// Its account had reached its limit, and this session had been idle the longest.
        Displaced = "displaced",
    }
}

/// Whether a session is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// It can be refreshed and used until it expires.
    Active,
    /// Nothing of it ever succeeds again.
    Ended {
        /// Why.
        end: End,
        /// When.
        at: Timestamp,
    },
}

/// The row of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The id.
    pub id: SessionId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// The credential that opened it.
    pub credential: CredentialId,
    /// The account's epoch when it was opened.
    pub epoch: Epoch,
    /// The variant of the dialect in which it was opened.
    pub variant: String,
    /// The hash of its seed.
    pub seed_hash: SeedHash,
    /// Whether it is alive.
    pub state: SessionState,
    /// How often it has rotated.
    pub generation: u32,
    /// When it was opened.
    pub started_at: Timestamp,
    /// When the current generation was made: the `iat` of its tokens.
    pub rotated_at: Timestamp,
    /// When the access token of the current generation expires.
    pub access_expires_at: Timestamp,
    /// When the refresh token of the current generation expires, and the session with it
    /// unless it is refreshed before.
    pub refresh_expires_at: Timestamp,
    /// When the session ends, however often it is refreshed.
    pub absolute_expires_at: Timestamp,
    /// The key that signs the current generation.
    pub kid: Kid,
    /// The key that signed the generation before.
    pub previous_kid: Option<Kid>,
    /// How often the current generation was returned again (D4).
    pub replays: u32,
    /// Whether the current generation's access token was used.
    pub used: bool,
    /// The address of the login.
    pub address: IpAddr,
    /// The `User-Agent` of the login, cut to 256 bytes; empty if there was none.
    pub user_agent: String,
}

impl Session {
    /// When the last token of this session expires, so that the row can be deleted.
    pub fn last_expiry(&self) -> Timestamp {
        self.refresh_expires_at.max(self.access_expires_at)
    }
}

/// The lifetimes and limits of sessions of an api.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLifetimes {
    /// The lifetime of an access token.
    pub access: Duration,
    /// The lifetime of a refresh token.
    pub refresh: Duration,
    /// The lifetime of the session, however often it is refreshed.
    pub absolute: Duration,
    /// W: for how long after a refresh the previous token gets the same answer.
    pub window: Duration,
}

/// W, the replay window of the rotation protocol.
pub const DEFAULT_WINDOW: Duration = Duration::from_secs(60);

/// How often one refresh is repeated before the caller is throttled (D4).
pub const MAX_REPLAYS: u32 = 64;

/// The terms under which a session is opened or refreshed.
#[derive(Clone, Copy, Debug)]
pub struct OpeningTerms<'a> {
    /// The lifetimes in the current configuration. They apply only to new tokens: a
    /// repeated answer follows the row.
    pub lifetimes: SessionLifetimes,
    /// What a refresh does in this dialect and variant.
    pub mode: RefreshMode,
    /// The key that signs new tokens.
    pub active_kid: &'a Kid,
    /// The keys whose signatures are accepted.
    pub live_kids: &'a [Kid],
}

/// What is known about a login whose credentials were checked, for [`open`].
#[derive(Clone, Debug)]
pub struct SessionOpening {
    /// A fresh random id.
    pub id: SessionId,
    /// The hash of a fresh random seed.
    pub seed_hash: SeedHash,
    /// The variant of the dialect.
    pub variant: String,
    /// The address of the login.
    pub address: IpAddr,
    /// The caller's `User-Agent`.
    pub user_agent: String,
}

/// The contents of a refresh token whose signature and sealed claim were checked.
#[derive(Clone, Copy, Debug)]
pub struct RefreshClaims {
    /// Its session.
    pub session: SessionId,
    /// Its generation.
    pub generation: u32,
    /// Its account.
    pub account: AccountId,
    /// The account's epoch at the time of the login.
    pub epoch: Epoch,
    /// The hash of the seed that it contains.
    pub seed_hash: SeedHash,
    /// Its own expiry.
    pub expires_at: Timestamp,
}

/// The contents of an access token whose signature and sealed claim were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    /// Its session.
    pub session: SessionId,
    /// Its generation.
    pub generation: u32,
    /// Its account.
    pub account: AccountId,
    /// The credential that opened the session.
    pub credential: CredentialId,
    /// The account's epoch at the time of the login.
    pub epoch: Epoch,
    /// Its own expiry.
    pub expires_at: Timestamp,
}

/// The account and credential of a session, as they are in the store now, and the address
/// of the request.
#[derive(Clone, Copy, Debug)]
pub struct OwnerStanding<'a> {
    /// The account.
    pub account: &'a Account,
    /// The credential that opened the session; `None` if it was deleted.
    pub credential: Option<&'a Credential>,
    /// The caller's address.
    pub address: IpAddr,
}

/// What a decision changes in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionChange {
    /// Nothing.
    None,
    /// The session moved to its next generation (D3).
    Rotated,
    /// The current generation is returned again (D4).
    Replayed,
    /// The access token was renewed, and the refresh token stays the same
    /// ([`RefreshMode::Keep`]).
    Renewed,
    /// The session ended.
    Ended(End),
}

/// A decision: the answer, and the row to store with it in one commit.
///
/// A refusal can carry a change: reuse ends the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionDecision {
    /// What changes.
    pub change: SessionChange,
    /// The row to store, which is unchanged for [`SessionChange::None`]; `None` if there
    /// is none.
    pub session: Option<Session>,
    /// With `Ok`, the tokens of `session` are the answer.
    pub outcome: Result<(), Reason>,
}

/// Opens a session for a login whose secret was checked and which
/// [`crate::account::admit`] admitted.
pub fn open(
    opening: SessionOpening,
    account: &Account,
    credential: &Credential,
    terms: &OpeningTerms<'_>,
    now: Timestamp,
) -> Session {
    let absolute_expires_at = now + terms.lifetimes.absolute;
    let access_expires_at = absolute_expires_at.min(now + terms.lifetimes.access);
    Session {
        id: opening.id,
        account: account.id,
        credential: credential.id,
        epoch: account.epoch,
        variant: opening.variant,
        seed_hash: opening.seed_hash,
        state: SessionState::Active,
        generation: 0,
        started_at: now,
        rotated_at: now,
        access_expires_at,
        refresh_expires_at: refresh_expiry(terms, access_expires_at, absolute_expires_at, now),
        absolute_expires_at,
        kid: terms.active_kid.clone(),
        previous_kid: None,
        replays: 0,
        used: false,
        address: opening.address,
        user_agent: opening.user_agent,
    }
}

/// The row of `session` after it ended.
pub fn end(session: &Session, end: End, now: Timestamp) -> Session {
    Session {
        state: SessionState::Ended { end, at: now },
        ..session.clone()
    }
}

fn access_expiry(session: &Session, terms: &OpeningTerms<'_>, now: Timestamp) -> Timestamp {
    session
        .absolute_expires_at
        .min(now + terms.lifetimes.access)
}

/// Without a refresh token, the session ends with its access token.
fn refresh_expiry(
    terms: &OpeningTerms<'_>,
    access_expires_at: Timestamp,
    absolute_expires_at: Timestamp,
    now: Timestamp,
) -> Timestamp {
    match terms.mode {
        RefreshMode::None => access_expires_at,
        RefreshMode::Rotate | RefreshMode::Keep => {
            absolute_expires_at.min(now + terms.lifetimes.refresh)
        }
    }
}

#[cfg(test)]
mod tests;
