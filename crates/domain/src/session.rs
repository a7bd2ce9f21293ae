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

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::account::{Account, AccountId, Credential, CredentialId, Epoch, admit};
use crate::coded;
use crate::key::Kid;
use crate::policy::RefreshMode;
use crate::refusal::Reason;
use crate::time::Timestamp;

/// The random id of a session, 128 bits; written as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub [u8; 16]);

impl SessionId {
    /// The id that these 32 hex digits write.
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

/// SHA-256 of a session's seed. The seed itself stands only in refresh tokens,
/// so neither a leaked database nor a leaked key alone can forge one.
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
        /// A new login replaced it, as the dialect says.
        NewLogin = "new_login",
        /// Its credential was deleted or disabled.
        CredentialRevoked = "credential_revoked",
        /// Its account was disabled or deleted.
        AccountDisabled = "account_disabled",
        /// An operator ended it.
        Operator = "operator",
        /// Its account had as many as it may, and this one was idle the longest.
        Displaced = "displaced",
    }
}

/// Whether a session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// It may be refreshed and used until it runs out.
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
    /// Whose it is.
    pub account: AccountId,
    /// The credential that opened it.
    pub credential: CredentialId,
    /// The account's epoch when it was opened.
    pub epoch: Epoch,
    /// The dialect's variant that it was opened in.
    pub variant: String,
    /// The hash of its seed.
    pub seed_hash: SeedHash,
    /// Whether it lives.
    pub state: SessionState,
    /// How often it has rotated.
    pub generation: u32,
    /// When it was opened.
    pub started_at: Timestamp,
    /// When the current generation was made: its tokens' `iat`.
    pub rotated_at: Timestamp,
    /// When the current generation's access token runs out.
    pub access_expires_at: Timestamp,
    /// When the current generation's refresh token runs out, and the session
    /// with it unless it is refreshed before.
    pub refresh_expires_at: Timestamp,
    /// The end that no rotation moves.
    pub absolute_expires_at: Timestamp,
    /// The key that signs the current generation.
    pub kid: Kid,
    /// The key that signed the generation before.
    pub previous_kid: Option<Kid>,
    /// How often the current generation was handed out again (D4).
    pub replays: u32,
    /// Whether the current generation's access token was used.
    pub used: bool,
    /// Where the login came from.
    pub address: IpAddr,
    /// The `User-Agent` of the login, cut to 256 bytes; empty if there was none.
    pub user_agent: String,
}

impl Session {
    /// When the last token that this session gave out has run out, so that the
    /// row may go.
    pub fn last_expiry(&self) -> Timestamp {
        self.refresh_expires_at.max(self.access_expires_at)
    }
}

/// The lifetimes and bounds that hold for a session of an api.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLifetimes {
    /// Of an access token.
    pub access: Duration,
    /// Of a refresh token.
    pub refresh: Duration,
    /// Of the session, however often it rotates.
    pub absolute: Duration,
    /// W: how long after a rotation the token before it gets the same answer.
    pub window: Duration,
}

/// W, the replay window of the rotation protocol.
pub const DEFAULT_WINDOW: Duration = Duration::from_secs(60);

/// How often one rotation is repeated before the caller is throttled (D4).
pub const MAX_REPLAYS: u32 = 64;

/// The terms under which a session is opened or refreshed.
#[derive(Clone, Copy, Debug)]
pub struct OpeningTerms<'a> {
    /// Lifetimes as they are configured now. Only what is made anew follows
    /// them: a repeated answer follows the row.
    pub lifetimes: SessionLifetimes,
    /// What a refresh does in this dialect and variant.
    pub mode: RefreshMode,
    /// The key that signs what is made anew.
    pub active_kid: &'a Kid,
    /// The keys whose signatures are accepted.
    pub live_kids: &'a [Kid],
}

/// What is known of a login whose credentials were checked, for [`open`].
#[derive(Clone, Debug)]
pub struct SessionOpening {
    /// A fresh random id.
    pub id: SessionId,
    /// The hash of a fresh random seed.
    pub seed_hash: SeedHash,
    /// The dialect's variant.
    pub variant: String,
    /// Where the login came from.
    pub address: IpAddr,
    /// The caller's `User-Agent`.
    pub user_agent: String,
}

/// What a refresh token whose signature and seal were checked says.
#[derive(Clone, Copy, Debug)]
pub struct RefreshClaims {
    /// Its session.
    pub session: SessionId,
    /// Its generation.
    pub generation: u32,
    /// Its account.
    pub account: AccountId,
    /// The account's epoch at login.
    pub epoch: Epoch,
    /// The hash of the seed that it carries.
    pub seed_hash: SeedHash,
    /// Its own expiry.
    pub expires_at: Timestamp,
}

/// What an access token whose signature and seal were checked says.
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
    /// The account's epoch at login.
    pub epoch: Epoch,
    /// Its own expiry.
    pub expires_at: Timestamp,
}

/// Who a session belongs to, as the store has it now, and where the request
/// came from.
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
    /// The current generation is handed out again (D4).
    Replayed,
    /// The access token was renewed and the refresh token stays
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
    /// The row as it is to be stored; for [`SessionChange::None`] as it was. `None` if
    /// there is none.
    pub session: Option<Session>,
    /// `Ok`: the tokens of `session` are the answer.
    pub outcome: Result<(), Reason>,
}

/// Opens a session for a login whose secret was checked and that [`admit`] let
/// through.
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

/// Decides a refresh: D1 to D6 of the rotation protocol, first match wins.
///
/// `stored` is the session that the token names and who it belongs to, or
/// `None` if the store has no such row.
pub fn refresh(
    stored: Option<(&Session, OwnerStanding<'_>)>,
    claims: &RefreshClaims,
    terms: &OpeningTerms<'_>,
    now: Timestamp,
) -> SessionDecision {
    let Some((session, standing)) = stored else {
        return SessionDecision {
            change: SessionChange::None,
            session: None,
            outcome: Err(Reason::SessionUnknown),
        };
    };
    let allowed = refreshable(session, &standing, claims, now)
        .and_then(|()| admit(standing.account, standing.credential, standing.address));
    match allowed {
        Err(reason) => unchanged(session, Err(reason)),
        Ok(()) => by_generation(session, claims.generation, terms, now),
    }
}

/// Decides a logout by an access token: D1 and D2 as for a refresh. On `Ok` the
/// caller ends what the dialect's logout reaches.
///
/// # Errors
///
/// [`Reason::SessionUnknown`] without a row, [`Reason::SessionRevoked`],
/// [`Reason::SessionExpired`] and [`Reason::TokenExpired`] for what has ended or run out,
/// [`Reason::TokenForged`] for another account's session, [`Reason::EpochPassed`] for one
/// of an earlier epoch, and what [`admit`] says.
pub fn logout(
    stored: Option<(&Session, OwnerStanding<'_>)>,
    claims: &AccessClaims,
    now: Timestamp,
) -> Result<(), Reason> {
    let (session, standing) = stored.ok_or(Reason::SessionUnknown)?;
    alive(session, session.last_expiry(), now)?;
    if claims.expires_at <= now {
        return Err(Reason::TokenExpired);
    }
    belongs(session, &standing, claims.account, claims.epoch)?;
    admit(standing.account, standing.credential, standing.address)
}

/// The row of `session` once it ended.
pub fn end(session: &Session, end: End, now: Timestamp) -> Session {
    Session {
        state: SessionState::Ended { end, at: now },
        ..session.clone()
    }
}

/// D1.
fn refreshable(
    session: &Session,
    standing: &OwnerStanding<'_>,
    claims: &RefreshClaims,
    now: Timestamp,
) -> Result<(), Reason> {
    if session.seed_hash != claims.seed_hash {
        return Err(Reason::SeedMismatch);
    }
    alive(session, session.refresh_expires_at, now)?;
    // RFC 7519 section 4.1.4: "The "exp" (expiration time) claim identifies the expiration time
    // on or after which the JWT MUST NOT be accepted for processing."
    if claims.expires_at <= now {
        return Err(Reason::TokenExpired);
    }
    belongs(session, standing, claims.account, claims.epoch)
}

fn alive(session: &Session, expires_at: Timestamp, now: Timestamp) -> Result<(), Reason> {
    if session.state != SessionState::Active {
        return Err(Reason::SessionRevoked);
    }
    if expires_at <= now {
        return Err(Reason::SessionExpired);
    }
    Ok(())
}

fn belongs(
    session: &Session,
    standing: &OwnerStanding<'_>,
    account: AccountId,
    epoch: Epoch,
) -> Result<(), Reason> {
    if account != session.account || account != standing.account.id {
        return Err(Reason::TokenForged);
    }
    if epoch < standing.account.epoch {
        return Err(Reason::EpochPassed);
    }
    Ok(())
}

/// D3 to D6.
fn by_generation(
    session: &Session,
    presented: u32,
    terms: &OpeningTerms<'_>,
    now: Timestamp,
) -> SessionDecision {
    if presented > session.generation {
        return ended(session, End::StateRegression, Reason::StateRegression, now);
    }
    if presented == session.generation {
        return match terms.mode {
            RefreshMode::Rotate => rotated(session, terms, now),
            RefreshMode::Keep | RefreshMode::None => renewed(session, terms, now),
        };
    }
    if presented + 1 == session.generation && replay_allowed(session, terms, now) {
        return replayed(session, terms, now);
    }
    // RFC 9700 section 4.14.2: "Authorization servers MUST utilize one of these methods to
    // detect refresh token replay by malicious actors for public clients", of which this is
    // refresh token rotation.
    ended(session, End::Reuse, Reason::Reuse, now)
}

/// D3.
fn rotated(session: &Session, terms: &OpeningTerms<'_>, now: Timestamp) -> SessionDecision {
    let access_expires_at = access_expiry(session, terms, now);
    let next = Session {
        generation: session.generation + 1,
        rotated_at: now,
        replays: 0,
        used: false,
        previous_kid: Some(session.kid.clone()),
        kid: terms.active_kid.clone(),
        access_expires_at,
        refresh_expires_at: refresh_expiry(
            terms,
            access_expires_at,
            session.absolute_expires_at,
            now,
        ),
        ..session.clone()
    };
    SessionDecision {
        change: SessionChange::Rotated,
        session: Some(next),
        outcome: Ok(()),
    }
}

fn renewed(session: &Session, terms: &OpeningTerms<'_>, now: Timestamp) -> SessionDecision {
    let next = Session {
        access_expires_at: access_expiry(session, terms, now),
        previous_kid: Some(session.kid.clone()),
        kid: terms.active_kid.clone(),
        ..session.clone()
    };
    SessionDecision {
        change: SessionChange::Renewed,
        session: Some(next),
        outcome: Ok(()),
    }
}

/// The first half of D4: is this an honest client that retries?
fn replay_allowed(session: &Session, terms: &OpeningTerms<'_>, now: Timestamp) -> bool {
    let in_window = now.since(session.rotated_at) <= terms.lifetimes.window;
    let never_used = !session.used && now < session.access_expires_at.floor_to_second();
    in_window || never_used
}

/// The second half of D4. The write is on purpose: it makes the repeated answer
/// as durable as the rotation that it repeats.
fn replayed(session: &Session, terms: &OpeningTerms<'_>, now: Timestamp) -> SessionDecision {
    if session.replays >= MAX_REPLAYS {
        return unchanged(session, Err(Reason::ReplayLimit));
    }
    if !terms.live_kids.contains(&session.kid) {
        return unchanged(session, Err(Reason::KeyRetired));
    }
    let run_out = session.access_expires_at.floor_to_second() <= now;
    let next = Session {
        replays: session.replays + 1,
        access_expires_at: if run_out {
            access_expiry(session, terms, now)
        } else {
            session.access_expires_at
        },
        ..session.clone()
    };
    SessionDecision {
        change: SessionChange::Replayed,
        session: Some(next),
        outcome: Ok(()),
    }
}

fn ended(session: &Session, how: End, reason: Reason, now: Timestamp) -> SessionDecision {
    SessionDecision {
        change: SessionChange::Ended(how),
        session: Some(end(session, how, now)),
        outcome: Err(reason),
    }
}

fn unchanged(session: &Session, outcome: Result<(), Reason>) -> SessionDecision {
    SessionDecision {
        change: SessionChange::None,
        session: Some(session.clone()),
        outcome,
    }
}

fn access_expiry(session: &Session, terms: &OpeningTerms<'_>, now: Timestamp) -> Timestamp {
    session
        .absolute_expires_at
        .min(now + terms.lifetimes.access)
}

/// Without a refresh token the session is as long as its access token.
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
