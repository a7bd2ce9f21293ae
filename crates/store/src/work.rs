//! One transaction of the writer, as its commands see it: the time, the database, the
//! revocation log and the audit log.

use countersign_domain::audit::Action;
use countersign_domain::revocation::{Revocation, RevocationNotice};
use countersign_domain::{AccountId, ApiName, SessionId, Timestamp};
use rusqlite::{Connection, Params};

use super::record::AuditActor;
use super::row::RevocationKind;

/// A transaction in progress.
pub(super) struct WriteTransaction<'c> {
    pub(super) connection: &'c Connection,
    /// The time of everything in this transaction.
    pub(super) now: Timestamp,
    revocations: i64,
    token_until: Timestamp,
    changes_before: u64,
    notices: Vec<RevocationNotice>,
}

/// An audit entry to write.
pub(super) struct NewAuditEntry<'a> {
    pub(super) action: Action,
    pub(super) api: Option<&'a ApiName>,
    pub(super) account: Option<AccountId>,
    pub(super) session: Option<SessionId>,
    pub(super) actor: &'a AuditActor,
    pub(super) detail: serde_json::Value,
}

impl<'c> WriteTransaction<'c> {
    /// Reads the head row, in a transaction that has begun.
    pub(super) fn begin(connection: &'c Connection, now: Timestamp) -> rusqlite::Result<Self> {
        let mut head = connection.prepare_cached("SELECT revocation, token_until FROM head")?;
        head.query_row([], |row| {
            Ok(Self {
                connection,
                now,
                revocations: row.get(0)?,
                token_until: Timestamp::from_micros(row.get(1)?),
                changes_before: connection.total_changes(),
                notices: Vec::new(),
            })
        })
    }

    /// Writes the head row, if anything changed, and returns what verifiers must be told
    /// after the commit.
    pub(super) fn finish(self) -> rusqlite::Result<Vec<RevocationNotice>> {
        if self.connection.total_changes() != self.changes_before {
            self.execute_one(
                "UPDATE head SET clock = ?1, revocation = ?2, token_until = ?3",
                (
                    self.now.as_micros(),
                    self.revocations,
                    self.token_until.as_micros(),
                ),
            )?;
        }
        Ok(self.notices)
    }

    /// Runs a statement that changes rows, and counts them.
    pub(super) fn execute(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(params)
    }

    /// Runs a statement that must change exactly one row.
    pub(super) fn execute_one(&self, sql: &str, params: impl Params) -> rusqlite::Result<()> {
        match self.execute(sql, params)? {
            1 => Ok(()),
            changed => Err(rusqlite::Error::StatementChangedRows(changed)),
        }
    }

    /// Tells verifiers, after this is durable.
    pub(super) fn notice(&mut self, notice: RevocationNotice) {
        self.notices.push(notice);
    }

    /// Records that tokens were issued which live until `until`.
    pub(super) fn token_given(&mut self, until: Timestamp) {
        self.token_until = self.token_until.max(until);
    }

    /// When the last token that was ever issued expires.
    pub(super) fn last_token_until(&self) -> Timestamp {
        self.token_until
    }

    /// Writes the next entry of the revocation log. The head row is written
    /// with it, so numbers have no gaps and readers see them in order.
    pub(super) fn revoke(&mut self, revocation: Revocation) -> rusqlite::Result<()> {
        self.revocations += 1;
        let number = self.revocations;
        let until = revocation.until().as_micros();
        let kind = RevocationKind::of_entry(&revocation).name();
        match &revocation {
            Revocation::Session { session, .. } => self.execute_one(
                "INSERT INTO revocation (number, kind, until, session) VALUES (?1, ?2, ?3, ?4)",
                (number, kind, until, session.0),
            ),
            Revocation::Account { account, epoch, .. } => self.execute_one(
                "INSERT INTO revocation (number, kind, until, account, epoch)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                (number, kind, until, account.number().cast_signed(), epoch.0),
            ),
            Revocation::Key { kid, .. } => self.execute_one(
                "INSERT INTO revocation (number, kind, until, kid) VALUES (?1, ?2, ?3, ?4)",
                (number, kind, until, &kid.0),
            ),
        }?;
        self.notice(RevocationNotice::Revoked(revocation));
        Ok(())
    }

    /// Writes an entry of the audit log.
    pub(super) fn audit(&self, entry: &NewAuditEntry<'_>) -> rusqlite::Result<()> {
        self.execute_one(
            "INSERT INTO audit (at, action, api, account, session, actor, detail)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (
                self.now.as_micros(),
                entry.action.code(),
                entry.api.map(ApiName::as_str),
                entry.account.map(|account| account.number().cast_signed()),
                entry.session.map(|session| session.0),
                entry.actor.to_string(),
                entry.detail.to_string(),
            ),
        )
    }
}
