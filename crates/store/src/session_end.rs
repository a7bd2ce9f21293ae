//! Ends sessions: each end is committed together with its revocation.

use countersign_domain::revocation::{Revocation, RevocationNotice};
use countersign_domain::session::End;
use countersign_domain::{Account, Credential, SessionId};
use rusqlite::OptionalExtension;

use super::log::all;
use super::row;
use super::work::WriteTransaction;

/// Ends one session, with its revocation. Returns whether it was alive.
pub(super) fn end_one(
    work: &mut WriteTransaction<'_>,
    id: SessionId,
    end: End,
) -> rusqlite::Result<bool> {
    let until = work
        .connection
        .prepare_cached(
            "UPDATE session SET state = 'ended', ended_as = ?2, ended_at = ?3
             WHERE id = ?1 AND state = 'active' RETURNING access_until",
        )?
        .query_row((id.0, end.code(), work.now.as_micros()), |row| {
            row::time(row, 0)
        })
        .optional()?;
    let Some(until) = until else { return Ok(false) };
    work.revoke(Revocation::Session { session: id, until })?;
    Ok(true)
}

/// Ends all sessions of an account: raises its epoch, which is updated in `account`, and
/// ends its rows. Returns how many were alive.
pub(super) fn end_all(
    work: &mut WriteTransaction<'_>,
    account: &mut Account,
    end: End,
) -> rusqlite::Result<usize> {
    let id = row::id(account.id);
    let until = work
        .connection
        .prepare_cached(
            "SELECT ifnull(max(access_until), 0) FROM session
             WHERE account = ?1 AND state = 'active'",
        )?
        .query_row([id], |row| row::time(row, 0))?;
    let epoch = account.epoch.next();
    work.execute_one("UPDATE account SET epoch = ?2 WHERE id = ?1", (id, epoch.0))?;
    let ended = work.execute(
        "UPDATE session SET state = 'ended', ended_as = ?2, ended_at = ?3
         WHERE account = ?1 AND state = 'active'",
        (id, end.code(), work.now.as_micros()),
    )?;
    account.epoch = epoch;
    let until = until.max(work.now);
    work.revoke(Revocation::Account {
        account: account.id,
        epoch,
        until,
    })?;
    work.notice(RevocationNotice::Account(account.clone()));
    Ok(ended)
}

/// Ends the sessions that a credential opened, one by one: others of the account stay
/// alive. Returns how many there were.
pub(super) fn end_of_credential(
    work: &mut WriteTransaction<'_>,
    credential: &Credential,
) -> rusqlite::Result<usize> {
    let live = all(
        work.connection,
        "SELECT id FROM session WHERE account = ?1 AND state = 'active' AND credential = ?2",
        (row::id(credential.account), credential.id.0.cast_signed()),
        |row| row.get(0).map(SessionId),
    )?;
    for id in &live {
        end_one(work, *id, End::CredentialRevoked)?;
    }
    Ok(live.len())
}
