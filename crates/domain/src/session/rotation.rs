//! What a refresh or a logout does to a session: D1 to D6 of the rotation protocol.

use super::{
    AccessClaims, End, MAX_REPLAYS, OpeningTerms, OwnerStanding, RefreshClaims, Session,
    SessionChange, SessionDecision, SessionState, access_expiry, end, refresh_expiry,
};
use crate::account::{AccountId, Epoch, admit};
use crate::policy::RefreshMode;
use crate::refusal::Reason;
use crate::time::Timestamp;

/// Decides a refresh: D1 to D6 of the rotation protocol, of which the first that applies
/// wins.
///
/// `stored` is the session in the token, and whom it belongs to; `None` if the store has
/// no such row.
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

/// Decides a logout with an access token: D1 and D2, as for a refresh. With `Ok`, the
/// caller ends what the dialect's logout reaches.
///
/// # Errors
///
/// [`Reason::SessionUnknown`] without a row; [`Reason::SessionRevoked`],
/// [`Reason::SessionExpired`] and [`Reason::TokenExpired`] if one of them has ended;
/// [`Reason::TokenForged`] for the session of another account; [`Reason::EpochPassed`]
/// for one of an earlier epoch; and the errors of [`admit`].
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

/// The first half of D4: is this an honest client that tries again?
fn replay_allowed(session: &Session, terms: &OpeningTerms<'_>, now: Timestamp) -> bool {
    let in_window = now.since(session.rotated_at) <= terms.lifetimes.window;
    let never_used = !session.used && now < session.access_expires_at.floor_to_second();
    in_window || never_used
}

/// The second half of D4. It writes on purpose: this makes the repeated answer as durable
/// as the refresh that it repeats.
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
