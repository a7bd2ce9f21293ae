//! Refresh and logout: the domain decides based on the current rows, and its decision is
//! committed with its revocation and audit entry before the caller gets an answer.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use countersign_domain::audit::Action;
use countersign_domain::session::{
    self, AccessClaims, End, OwnerStanding, RefreshClaims, Session, SessionChange, SessionDecision,
    SessionId,
};
use countersign_domain::{Account, Credential, LogoutScope, Reason};
use rusqlite::{OptionalExtension, Row};
use serde_json::json;

use super::Store;
use super::error::StoreUnavailable;
use super::record::{AuditActor, OwnedSessionTerms, RefreshOutcome};
use super::row;
use super::session_end::{end_all, end_one};
use super::work::{NewAuditEntry, WriteTransaction};

impl Store {
    /// Decides a refresh with a token whose signature and sealed claim were checked (D1
    /// to D6 of the rotation protocol), and makes the decision durable.
    pub async fn refresh(
        &self,
        claims: RefreshClaims,
        address: IpAddr,
        terms: impl Into<Arc<OwnedSessionTerms>>,
    ) -> Result<RefreshOutcome, StoreUnavailable> {
        let terms = terms.into();
        self.write(move |work| refresh(work, &claims, address, &terms))
            .await
    }

    /// Ends the session of an access token whose signature and sealed claim were checked,
    /// or all sessions of its account.
    pub async fn logout(
        &self,
        claims: AccessClaims,
        address: IpAddr,
        scope: LogoutScope,
    ) -> Result<Result<(), Reason>, StoreUnavailable> {
        self.write(move |work| logout(work, &claims, address, scope))
            .await
    }
}

pub(super) static LOAD: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {}, {}, {} FROM session AS s
         LEFT JOIN account AS a ON a.id = s.account
         LEFT JOIN credential AS c ON c.id = s.credential
         WHERE s.id = ?1",
        row::SESSION,
        row::ACCOUNT,
        row::CREDENTIAL
    )
});

/// A session with its account and credential.
struct SessionAndOwner {
    session: Session,
    account: Option<Account>,
    credential: Option<Credential>,
}

impl SessionAndOwner {
    fn load(work: &WriteTransaction<'_>, id: SessionId) -> rusqlite::Result<Option<Self>> {
        work.connection
            .prepare_cached(&LOAD)?
            .query_row([id.0], Self::read)
            .optional()
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        const ACCOUNT: usize = row::SESSION_COLUMNS;
        const CREDENTIAL: usize = ACCOUNT + row::ACCOUNT_COLUMNS;
        Ok(Self {
            session: row::session(row)?,
            account: row::present(row, ACCOUNT, row::account)?,
            credential: row::present(row, CREDENTIAL, row::credential)?,
        })
    }

    /// What the domain judges; `None` if the account is gone, and everything that it had.
    fn standing(&self, address: IpAddr) -> Option<(&Session, OwnerStanding<'_>)> {
        let (account, credential) = (self.account.as_ref()?, self.credential.as_ref());
        Some((
            &self.session,
            OwnerStanding {
                account,
                credential,
                address,
            },
        ))
    }
}

fn refresh(
    work: &mut WriteTransaction<'_>,
    claims: &RefreshClaims,
    address: IpAddr,
    terms: &OwnedSessionTerms,
) -> rusqlite::Result<RefreshOutcome> {
    let stored = SessionAndOwner::load(work, claims.session)?;
    let judged = stored.as_ref().and_then(|stored| stored.standing(address));
    let decision = session::refresh(judged, claims, &terms.terms(), work.now);
    let (account, credential) = stored
        .as_ref()
        .map_or((None, None), |s| (s.account.clone(), s.credential.clone()));
    if let Some(before) = stored {
        store(work, &before, &decision, claims, address)?;
    }
    Ok(RefreshOutcome {
        decision,
        account,
        credential,
    })
}

fn store(
    work: &mut WriteTransaction<'_>,
    before: &SessionAndOwner,
    decision: &SessionDecision,
    claims: &RefreshClaims,
    address: IpAddr,
) -> rusqlite::Result<()> {
    match (decision.change, &decision.session) {
        (SessionChange::Rotated | SessionChange::Replayed | SessionChange::Renewed, Some(next)) => {
            step(work, &before.session, next)
        }
        (SessionChange::Ended(end), _) => {
            end_one(work, before.session.id, end)?;
            let detail = json!({
                "address": address,
                "presented": claims.generation,
                "generation": before.session.generation,
            });
            audit(work, before, action(end), &AuditActor::System, detail)
        }
        (SessionChange::None, _) | (_, None) => Ok(()),
    }
}

/// Updates the row, if it is still the one that was judged.
fn step(work: &mut WriteTransaction<'_>, before: &Session, next: &Session) -> rusqlite::Result<()> {
    work.token_given(next.last_expiry());
    work.execute_one(
        "UPDATE session SET generation = ?3, rotated_at = ?4, access_expires_at = ?5,
         refresh_expires_at = ?6, kid = ?7, previous_kid = ?8, replays = ?9, used = ?10,
         access_until = max(access_until, ?5), token_until = max(token_until, ?11)
         WHERE id = ?1 AND generation = ?2 AND state = 'active'",
        (
            next.id.0,
            before.generation,
            next.generation,
            next.rotated_at.as_micros(),
            next.access_expires_at.as_micros(),
            next.refresh_expires_at.as_micros(),
            &next.kid.0,
            next.previous_kid.as_ref().map(|kid| &kid.0),
            next.replays,
            next.used,
            next.last_expiry().as_micros(),
        ),
    )
}

fn action(end: End) -> Action {
    match end {
        End::StateRegression => Action::StateRegression,
        _ => Action::Reuse,
    }
}

fn logout(
    work: &mut WriteTransaction<'_>,
    claims: &AccessClaims,
    address: IpAddr,
    scope: LogoutScope,
) -> rusqlite::Result<Result<(), Reason>> {
    let stored = SessionAndOwner::load(work, claims.session)?;
    let judged = stored.as_ref().and_then(|stored| stored.standing(address));
    if let Err(reason) = session::logout(judged, claims, work.now) {
        return Ok(Err(reason));
    }
    let Some(stored) = stored else {
        return Ok(Err(Reason::SessionUnknown));
    };
    let ended = match (scope, stored.account.clone()) {
        (LogoutScope::Account, Some(mut account)) => end_all(work, &mut account, End::Logout)?,
        _ => usize::from(end_one(work, claims.session, End::Logout)?),
    };
    let detail = json!({ "address": address, "ended": ended });
    audit(work, &stored, Action::Logout, &AuditActor::Partner, detail)?;
    Ok(Ok(()))
}

fn audit(
    work: &WriteTransaction<'_>,
    stored: &SessionAndOwner,
    action: Action,
    actor: &AuditActor,
    detail: serde_json::Value,
) -> rusqlite::Result<()> {
    work.audit(&NewAuditEntry {
        action,
        api: stored.account.as_ref().map(|account| &account.api),
        account: Some(stored.session.account),
        session: Some(stored.session.id),
        actor,
        detail,
    })
}
