//! Sets the high-water mark of the clock back to the correct time after a wrong system
//! clock moved it forward.
//!
//! Tokens that were issued in the meantime would live as long as the wrong clock said,
//! and rows that expired by it may have been swept, together with revocations. So no
//! earlier token is accepted afterwards: every session of every account ends. Retiring
//! keys are deleted, since nothing that they signed is valid any more. Admin keys that
//! were created in the meantime end, since their expiry time was computed by the wrong
//! clock.

use countersign_domain::audit::Action;
use countersign_domain::session::End;
use countersign_domain::{Account, Timestamp};
use rusqlite::Connection;
use serde_json::json;

use super::Store;
use super::accounts::audit;
use super::error::{OpenError, StoreUnavailable};
use super::exclusive_store::ExclusiveStore;
use super::log::all;
use super::record::AuditActor;
use super::row;
use super::session_end::end_all;
use super::work::{NewAuditEntry, WriteTransaction};
use crate::clock::StoreClock;

/// The effects of setting the mark back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockMend {
    /// The mark now.
    pub from: Timestamp,
    /// The new mark.
    pub to: Timestamp,
    /// How many accounts have to log in again.
    pub accounts: u64,
    /// How many of their sessions end.
    pub sessions: u64,
    /// The ids of retiring signing keys, which are deleted.
    pub retired_keys: Vec<String>,
    /// The names of admin keys that were created while the clock was ahead, and end.
    pub ended_admin_keys: Vec<String>,
    /// The names of admin keys that had expired by the wrong clock, and become valid
    /// again.
    pub revived_admin_keys: Vec<String>,
}

/// A store that is open only to have its mark set back.
pub struct ClockMending {
    store: Store,
    plan: ClockMend,
}

impl ClockMending {
    /// Finds out what would happen if the mark were set to `to`. Nothing is changed yet.
    pub async fn plan(locked: ExclusiveStore, to: Timestamp) -> Result<Self, OpenError> {
        let store = locked.open_behind_its_mark(StoreClock::manual(to))?;
        let plan = store.read(move |connection| plan(connection, to)).await;
        match plan {
            Ok(plan) => Ok(Self { store, plan }),
            Err(unavailable) => {
                store.close().await;
                Err(OpenError::Unread(unavailable))
            }
        }
    }

    /// What would happen.
    pub fn planned(&self) -> &ClockMend {
        &self.plan
    }

    /// Sets the mark back, in one transaction, and closes the store.
    pub async fn mend(self) -> Result<ClockMend, StoreUnavailable> {
        let plan = self.plan.clone();
        let mended = self.store.write(move |work| mend(work, &plan)).await;
        self.store.close().await;
        mended.map(|()| self.plan)
    }

    /// Closes the store without changing anything.
    pub async fn leave(self) {
        self.store.close().await;
    }
}

fn plan(connection: &Connection, to: Timestamp) -> rusqlite::Result<ClockMend> {
    let at = to.as_micros();
    let count = |sql: &str| {
        connection.query_row(sql, [], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))
    };
    let from = connection.query_row("SELECT clock FROM head", [], |row| row::time(row, 0))?;
    let names = |sql: &str, params: &[&dyn rusqlite::ToSql]| {
        all(connection, sql, params, |row| row.get::<_, String>(0))
    };
    Ok(ClockMend {
        from,
        to,
        accounts: count("SELECT count(*) FROM account")?,
        sessions: count("SELECT count(*) FROM session WHERE state = 'active'")?,
        retired_keys: names(
            "SELECT kid FROM signing_key WHERE retires_at > ?1 ORDER BY kid",
            &[&at],
        )?,
        ended_admin_keys: names(
            "SELECT name FROM admin_key WHERE created_at > ?1 ORDER BY name",
            &[&at],
        )?,
        revived_admin_keys: names(
            "SELECT name FROM admin_key WHERE created_at <= ?1 AND expires_at > ?1
             AND expires_at <= ?2 ORDER BY name",
            &[&at, &from.as_micros()],
        )?,
    })
}

fn mend(work: &mut WriteTransaction<'_>, plan: &ClockMend) -> rusqlite::Result<()> {
    let sql = format!("SELECT {} FROM account AS a ORDER BY a.id", row::ACCOUNT);
    let accounts: Vec<Account> = all(work.connection, &sql, [], |row| row::account(row, 0))?;
    for mut account in accounts {
        let sessions = end_all(work, &mut account, End::Operator)?;
        let detail = json!({ "ended": sessions, "with": "clock_mended" });
        audit(
            work,
            Action::SessionsEnded,
            &account,
            &AuditActor::System,
            detail,
        )?;
    }
    for statement in SET_BACK {
        work.execute(statement, [plan.to.as_micros()])?;
    }
    work.execute("DELETE FROM lease", [])?;
    // The commit stores the time of its clock, also where nothing else changed.
    work.audit(&NewAuditEntry {
        action: Action::ClockMended,
        api: None,
        account: None,
        session: None,
        actor: &AuditActor::System,
        detail: json!({
            "from": plan.from.as_seconds(),
            "to": plan.to.as_seconds(),
            "sessions": plan.sessions,
            "retired_keys": plan.retired_keys.len(),
            "ended_admin_keys": plan.ended_admin_keys.len(),
        }),
    })
}

/// Times that lie ahead of the correct time, each in a place where it decides something.
const SET_BACK: [&str; 7] = [
    "UPDATE session SET access_until = min(access_until, ?1), token_until = min(token_until, ?1),
     sweep_at = min(sweep_at, ?1)",
    "UPDATE signing_key SET retires_at = ?1 WHERE retires_at > ?1",
    "UPDATE signing_key SET created_at = ?1 WHERE created_at > ?1",
    // Before their creations are set back, by which they are known.
    "UPDATE admin_key SET expires_at = ?1 WHERE created_at > ?1",
    "UPDATE admin_key SET created_at = ?1 WHERE created_at > ?1",
    "UPDATE known_network SET seen_at = ?1 WHERE seen_at > ?1",
    // Replies are kept for a day.
    "DELETE FROM remembered WHERE until > ?1 + 86400000000",
];
