//! How many sessions an account may have at once: a login beyond the limit ends those
//! that have been idle the longest.

use countersign_domain::audit::Action;
use countersign_domain::session::{End, SessionId};
use countersign_domain::{Account, AccountId};
use serde_json::json;

use super::log::all;
use super::record::AuditActor;
use super::row;
use super::session_end::end_one;
use super::work::{NewAuditEntry, WriteTransaction};

/// How many sessions one login ends at most. If a limit was lowered by more, the next
/// logins end the others.
const AT_ONCE: usize = 100;

/// Makes room for one more session among the `most` of the account. Each session that
/// ends gets its revocation and its audit entry. Expired sessions do not count.
pub(super) fn make_place(
    work: &mut WriteTransaction<'_>,
    account: &Account,
    most: u32,
) -> rusqlite::Result<()> {
    if !is_full(work, account.id, most)? {
        return Ok(());
    }
    let live = live(work, account.id)?;
    let excess = (live.len() + 1).saturating_sub(most.max(1) as usize);
    for session in live.into_iter().take(excess.min(AT_ONCE)) {
        end_one(work, session, End::Displaced)?;
        work.audit(&NewAuditEntry {
            action: Action::SessionDisplaced,
            api: Some(&account.api),
            account: Some(account.id),
            session: Some(session),
            actor: &AuditActor::System,
            detail: json!({ "limit": most }),
        })?;
    }
    Ok(())
}

/// Whether there may be too many, judging by the index alone: rows are read only for an
/// account that has enough of them.
fn is_full(work: &WriteTransaction<'_>, account: AccountId, most: u32) -> rusqlite::Result<bool> {
    let rows: u32 = work
        .connection
        .prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM session
             WHERE account = ?1 AND state = 'active' LIMIT ?2)",
        )?
        .query_row((row::id(account), most), |row| row.get(0))?;
    Ok(rows >= most)
}

/// The account's sessions that are alive, the one that has been idle the longest first.
fn live(work: &WriteTransaction<'_>, account: AccountId) -> rusqlite::Result<Vec<SessionId>> {
    all(
        work.connection,
        "SELECT id FROM session WHERE account = ?1 AND state = 'active'
         AND max(refresh_expires_at, access_expires_at) > ?2 ORDER BY rotated_at, number",
        (row::id(account), work.now.as_micros()),
        |row| row.get(0).map(SessionId),
    )
}
