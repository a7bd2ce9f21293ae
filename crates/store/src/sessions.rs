//! Sessions: opened, read, and ended by operators, one by one or in bulk.

use std::sync::Arc;

use countersign_domain::account::admit;
use countersign_domain::audit::Action;
use countersign_domain::session::{self, End, Session, SessionId, SessionOpening};
use countersign_domain::{AccountId, CredentialId, HostNetwork, NewLogin, Reason};
use rusqlite::{Connection, OptionalExtension};
use serde_json::json;

use super::accounts::{self, audit};
use super::error::{SessionError, StoreUnavailable};
use super::log::all;
use super::record::{AuditActor, OwnedSessionTerms, SessionSuccession};
use super::session_end::{end_all, end_one};
use super::work::{NewAuditEntry, WriteTransaction};
use super::{Store, background, credentials, networks, row, session_limit};

impl Store {
    /// Opens a session for a login whose secret was checked.
    ///
    /// Account, credential and address are judged again, because they may have changed
    /// since: what was disabled before the commit opens nothing. Older sessions that have
    /// to end do so in the same commit.
    pub async fn open_session(
        &self,
        opening: SessionOpening,
        credential: CredentialId,
        terms: impl Into<Arc<OwnedSessionTerms>>,
        older: impl Into<SessionSuccession>,
    ) -> Result<Session, SessionError> {
        let (terms, older) = (terms.into(), older.into());
        let opened = self
            .write(move |work| open(work, &opening, credential, &terms, older))
            .await?;
        opened.map_err(SessionError::Refused)
    }

    /// The session with this id, whether it is alive or not.
    pub async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreUnavailable> {
        self.read(move |connection| find(connection, id)).await
    }

    /// Sessions of an account, the newest first, including ended ones until they are
    /// swept. Only those opened before `after`, and at most 1,000 at once.
    pub async fn sessions(
        &self,
        account: AccountId,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Session>, StoreUnavailable> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {} FROM session AS s WHERE s.account = ?1 AND
                 (?2 IS NULL OR s.number < (SELECT number FROM session WHERE id = ?2))
                 ORDER BY s.number DESC LIMIT ?3",
                row::SESSION
            );
            let params = (row::id(account), after.map(|id| id.0), row::page(limit));
            all(connection, &sql, params, row::session)
        })
        .await
    }

    /// Ends a session and returns it in its new state; `None` if there is none.
    pub async fn end_session(
        &self,
        id: SessionId,
        actor: AuditActor,
    ) -> Result<Option<Session>, StoreUnavailable> {
        self.write(move |work| end_by_operator(work, id, &actor))
            .await
    }

    /// Ends all sessions of an account, and returns how many there were; `None` if there
    /// is no such account.
    pub async fn end_sessions(
        &self,
        account: AccountId,
        actor: AuditActor,
    ) -> Result<Option<usize>, StoreUnavailable> {
        self.write(move |work| {
            let Some(mut account) = accounts::find(work.connection, account)? else {
                return Ok(None);
            };
            let ended = end_all(work, &mut account, End::Operator)?;
            audit(
                work,
                Action::SessionsEnded,
                &account,
                &actor,
                json!({ "ended": ended }),
            )?;
            Ok(Some(ended))
        })
        .await
    }

    /// Records that an access token of this generation was used. This may be lost, is
    /// bounded, is written within about a tenth of a second, and costs the caller
    /// nothing.
    pub fn mark_used(&self, session: SessionId, generation: u32) {
        self.used_generations().add(session, generation);
    }

    /// The same, but written when this returns: for the sandbox, whose stories must not
    /// depend on a tenth of a second.
    pub async fn write_used(
        &self,
        session: SessionId,
        generation: u32,
    ) -> Result<(), StoreUnavailable> {
        let used = [(session, generation)];
        self.write(move |work| background::write(work, &used)).await
    }
}

/// The session with this id.
pub(super) fn find(connection: &Connection, id: SessionId) -> rusqlite::Result<Option<Session>> {
    let sql = format!("SELECT {} FROM session AS s WHERE s.id = ?1", row::SESSION);
    connection
        .prepare_cached(&sql)?
        .query_row([id.0], row::session)
        .optional()
}

fn open(
    work: &mut WriteTransaction<'_>,
    opening: &SessionOpening,
    credential: CredentialId,
    terms: &OwnedSessionTerms,
    older: SessionSuccession,
) -> rusqlite::Result<Result<Session, Reason>> {
    let Some((mut account, credential)) = credentials::with_account(work, credential)? else {
        return Ok(Err(Reason::CredentialRevoked));
    };
    if let Err(reason) = admit(&account, Some(&credential), opening.address) {
        return Ok(Err(reason));
    }
    let mut detail = json!({ "login": credential.login, "address": opening.address });
    if older.new_login == NewLogin::Revokes && has_live(work, account.id)? {
        detail["ended"] = end_all(work, &mut account, End::NewLogin)?.into();
    }
    session_limit::make_place(
        work,
        &account,
        older.limits.for_account(&account.limits).sessions,
    )?;
    let session = session::open(
        opening.clone(),
        &account,
        &credential,
        &terms.terms(),
        work.now,
    );
    insert(work, &session)?;
    networks::remember(
        work,
        credential.id,
        HostNetwork::containing(opening.address),
    )?;
    work.audit(&NewAuditEntry {
        action: Action::Login,
        api: Some(&account.api),
        account: Some(account.id),
        session: Some(session.id),
        actor: &AuditActor::Partner,
        detail,
    })?;
    Ok(Ok(session))
}

fn has_live(work: &WriteTransaction<'_>, account: AccountId) -> rusqlite::Result<bool> {
    work.connection
        .prepare_cached("SELECT 1 FROM session WHERE account = ?1 AND state = 'active'")?
        .exists([row::id(account)])
}

fn insert(work: &mut WriteTransaction<'_>, session: &Session) -> rusqlite::Result<()> {
    work.token_given(session.last_expiry());
    work.execute_one(
        "INSERT INTO session (id, account, credential, epoch, variant, seed_hash, state,
         generation, started_at, rotated_at, access_expires_at, refresh_expires_at,
         absolute_expires_at, kid, replays, used, address, user_agent,
         access_until, token_until, sweep_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'active', 0, ?7, ?7, ?8, ?9, ?10, ?11, 0, FALSE, ?12,
         ?13, ?8, ?14, ?14)",
        (
            session.id.0,
            row::id(session.account),
            session.credential.0.cast_signed(),
            session.epoch.0,
            &session.variant,
            session.seed_hash.0,
            session.started_at.as_micros(),
            session.access_expires_at.as_micros(),
            session.refresh_expires_at.as_micros(),
            session.absolute_expires_at.as_micros(),
            &session.kid.0,
            session.address.to_string(),
            &session.user_agent,
            session.last_expiry().as_micros(),
        ),
    )
}

fn end_by_operator(
    work: &mut WriteTransaction<'_>,
    id: SessionId,
    actor: &AuditActor,
) -> rusqlite::Result<Option<Session>> {
    if end_one(work, id, End::Operator)? {
        let session = find(work.connection, id)?;
        let account = session.as_ref().map(|session| session.account);
        let api = match account {
            Some(account) => accounts::find(work.connection, account)?.map(|account| account.api),
            None => None,
        };
        work.audit(&NewAuditEntry {
            action: Action::SessionEnded,
            api: api.as_ref(),
            account,
            session: Some(id),
            actor,
            detail: json!({}),
        })?;
    }
    find(work.connection, id)
}
