//! Reads of what has changed: the snapshot for verifiers, the audit log, and figures about
//! the store itself.

use countersign_domain::revocation::RevocationNotice;
use rusqlite::Connection;

use super::error::StoreUnavailable;
use super::record::{AuditEntry, StoreStats};
use super::sweep::REVOCATION_SLACK;
use super::{Store, row};

impl Store {
    /// Everything that a verifier needs at its start, at one point in time: all accounts,
    /// all credentials, and the revocations that still matter, in the order of the log.
    ///
    /// Load it before anything is served: notices that arrive later are newer.
    pub async fn snapshot(&self) -> Result<Vec<RevocationNotice>, StoreUnavailable> {
        let since = (self.now() - REVOCATION_SLACK).as_micros();
        self.read(move |connection| {
            let transaction = connection.unchecked_transaction()?;
            let accounts = format!("SELECT {} FROM account AS a", row::ACCOUNT);
            let mut notices = all(&transaction, &accounts, [], |row| {
                row::account(row, 0).map(RevocationNotice::Account)
            })?;
            let credentials = format!("SELECT {} FROM credential AS c", row::CREDENTIAL);
            notices.extend(all(&transaction, &credentials, [], |row| {
                row::credential(row, 0).map(RevocationNotice::Credential)
            })?);
            let revocations = format!(
                "SELECT {} FROM revocation WHERE until > ?1 ORDER BY number",
                row::REVOCATION
            );
            notices.extend(all(&transaction, &revocations, [since], |row| {
                row::revocation(row).map(RevocationNotice::Revoked)
            })?);
            Ok(notices)
        })
        .await
    }

    /// Audit entries in order, those after number `after`.
    pub async fn audit(
        &self,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreUnavailable> {
        let after = i64::try_from(after.unwrap_or(0)).unwrap_or(i64::MAX);
        self.read(move |connection| {
            let sql = format!(
                "SELECT {} FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2",
                row::AUDIT
            );
            all(connection, &sql, (after, row::page(limit)), row::audit)
        })
        .await
    }

    /// Numbers about the content of the store.
    pub async fn stats(&self) -> Result<StoreStats, StoreUnavailable> {
        self.read(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let number = |sql: &str| {
                transaction
                    .query_row(sql, [], |row| row.get(0))
                    .map(i64::cast_unsigned)
            };
            Ok(StoreStats {
                accounts: number("SELECT count(*) FROM account")?,
                credentials: number("SELECT count(*) FROM credential")?,
                sessions: number("SELECT count(*) FROM session")?,
                active_sessions: number("SELECT count(*) FROM session WHERE state = 'active'")?,
                revocations: number("SELECT count(*) FROM revocation")?,
                log_head: number("SELECT revocation FROM head")?,
                audit_head: number("SELECT ifnull(max(number), 0) FROM audit")?,
                database_bytes: number("PRAGMA page_count")? * number("PRAGMA page_size")?,
            })
        })
        .await
    }
}

/// Every row of a query.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection
        .prepare_cached(sql)?
        .query_map(params, read)?
        .collect()
}
