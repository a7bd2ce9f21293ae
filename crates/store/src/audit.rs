//! Reading the audit log.

use countersign_domain::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::error::StoreUnavailable;
use super::log::all;
use super::record::{AuditEntry, AuditFilter, ListOrder};
use super::{Store, row};

impl Store {
    /// Audit entries that match `filter`, those after number `after` in its order; at
    /// most 1,000 at once.
    pub async fn audit_entries(
        &self,
        filter: AuditFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreUnavailable> {
        self.read(move |connection| entries(connection, &filter, after, limit))
            .await
    }
}

fn entries(
    connection: &Connection,
    filter: &AuditFilter,
    after: Option<u64>,
    limit: usize,
) -> rusqlite::Result<Vec<AuditEntry>> {
    let (from, to) = range(connection, filter, after)?;
    let order = match filter.order {
        ListOrder::OldestFirst => "ASC",
        ListOrder::NewestFirst => "DESC",
    };
    // Written out, so that the index on accounts is used where one is named.
    let account = match filter.account {
        Some(_) => "account = ?3",
        None => "?3 IS NULL",
    };
    let sql = format!(
        "SELECT {} FROM audit WHERE number >= ?1 AND number < ?2 AND {account}
         AND (?4 IS NULL OR api = ?4) AND (?5 IS NULL OR action = ?5)
         AND (?6 IS NULL OR api IN (SELECT value FROM json_each(?6)))
         ORDER BY number {order} LIMIT ?7",
        row::AUDIT
    );
    let params = (
        from,
        to,
        filter.account.map(row::id),
        filter.api.as_ref().map(|api| api.as_str()),
        filter.action.map(|action| action.code()),
        row::scope_json(&filter.scope),
        row::page(limit),
    );
    all(connection, &sql, params, row::audit)
}

/// The range of numbers to search, without its end. Time never goes back in the log, so a
/// time corresponds to a number.
fn range(
    connection: &Connection,
    filter: &AuditFilter,
    after: Option<u64>,
) -> rusqlite::Result<(i64, i64)> {
    let after = after.map(|after| i64::try_from(after).unwrap_or(i64::MAX));
    let since = filter.since.map(|since| first_at(connection, since));
    let until = filter.until.map(|until| first_at(connection, until));
    let (from, to) = (
        since.transpose()?.unwrap_or(0),
        until.transpose()?.unwrap_or(i64::MAX),
    );
    Ok(match (filter.order, after) {
        (_, None) => (from, to),
        (ListOrder::OldestFirst, Some(after)) => (from.max(after.saturating_add(1)), to),
        (ListOrder::NewestFirst, Some(after)) => (from, to.min(after)),
    })
}

/// The number of the first entry that was written at `instant` or later; one more than
/// the last number if there is none.
fn first_at(connection: &Connection, instant: Timestamp) -> rusqlite::Result<i64> {
    let last = "SELECT ifnull(max(number), 0) FROM audit";
    let end: i64 = connection.query_row(last, [], |row| row.get(0))?;
    let (mut low, mut high) = (0, end + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let at: Option<i64> = connection
            .prepare_cached("SELECT at FROM audit WHERE number >= ?1 ORDER BY number LIMIT 1")?
            .query_row([middle], |row| row.get(0))
            .optional()?;
        if at.is_some_and(|at| at < instant.as_micros()) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
