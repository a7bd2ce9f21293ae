//! Seals everything that is sealed again under another master key, in one transaction.

use std::sync::Arc;

use countersign_domain::audit::Action;
use rusqlite::Connection;
use serde_json::json;

use super::Store;
use super::error::{RewrapError, StoreUnavailable};
use super::log::all;
use super::record::{AuditActor, reply_context};
use super::row;
use super::work::{NewAuditEntry, WriteTransaction};
use crate::seal::{CHECK_CONTEXT, CHECK_VALUE, MasterKey};

impl Store {
    /// Seals everything that `old` sealed under `new`, and makes that the store's master
    /// key. Returns how many records there were, not counting the master check.
    pub async fn rewrap(
        &self,
        old: Arc<MasterKey>,
        new: Arc<MasterKey>,
    ) -> Result<usize, RewrapError> {
        self.write(move |work| rewrap(work, &old, &new)).await?
    }

    /// Whether `master` is the key that this store was made with.
    pub async fn is_master(&self, master: &MasterKey) -> Result<bool, StoreUnavailable> {
        let sql = "SELECT master_check FROM head";
        let kept: Option<Vec<u8>> = self
            .read(move |connection| connection.query_row(sql, [], |row| row.get(0)))
            .await?;
        let opened = kept.map(|kept| master.open_sealed(&CHECK_CONTEXT, &kept));
        Ok(opened.is_some_and(|opened| opened.is_ok_and(|value| *value == CHECK_VALUE)))
    }
}

/// A record that was sealed again, and its place.
struct ResealedRecord {
    statement: &'static str,
    place: [String; 2],
    sealed: Vec<u8>,
}

fn rewrap(
    work: &WriteTransaction<'_>,
    old: &MasterKey,
    new: &MasterKey,
) -> rusqlite::Result<Result<usize, RewrapError>> {
    let sealed = keys(work.connection, old, new)?.and_then(|keys| Ok((keys, check(new)?)));
    let replies = replies(work.connection, old, new)?;
    let ((keys, check), replies) = match (sealed, replies) {
        (Ok(sealed), Ok(replies)) => (sealed, replies),
        // Nothing was written yet.
        (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
    };
    let records = keys.len() + replies.len();
    for record in keys.into_iter().chain(replies) {
        let [first, second] = &record.place;
        work.execute_one(record.statement, (first, second, record.sealed))?;
    }
    work.execute_one("UPDATE head SET master_check = ?1", [check])?;
    work.audit(&NewAuditEntry {
        action: Action::MasterKeyReplaced,
        api: None,
        account: None,
        session: None,
        actor: &AuditActor::System,
        detail: json!({ "records": records }),
    })?;
    Ok(Ok(records))
}

fn check(new: &MasterKey) -> Result<Vec<u8>, RewrapError> {
    new.seal(&CHECK_CONTEXT, CHECK_VALUE)
        .map_err(|_| RewrapError::NotSealed)
}

fn keys(
    connection: &Connection,
    old: &MasterKey,
    new: &MasterKey,
) -> rusqlite::Result<Result<Vec<ResealedRecord>, RewrapError>> {
    let sql = format!("SELECT {}, api FROM signing_key", row::KEY);
    let stored = all(connection, &sql, [], |row| {
        Ok((row::api(row, 7)?, row::key(row)?))
    })?;
    let anew = stored.into_iter().map(|(api, key)| {
        Ok(ResealedRecord {
            statement: "UPDATE signing_key SET sealed = ?3 WHERE api = ?1 AND kid = ?2",
            sealed: anew(old, new, &key.context(&api), &key.sealed)?,
            place: [api.to_string(), key.key.kid.0],
        })
    });
    Ok(anew.collect())
}

fn replies(
    connection: &Connection,
    old: &MasterKey,
    new: &MasterKey,
) -> rusqlite::Result<Result<Vec<ResealedRecord>, RewrapError>> {
    let sql = "SELECT operator, key, sealed FROM remembered";
    let stored = all(connection, sql, [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?))
    })?;
    let anew = stored
        .into_iter()
        .map(|(operator, key, sealed): (String, String, _)| {
            Ok(ResealedRecord {
                statement: "UPDATE remembered SET sealed = ?3 WHERE operator = ?1 AND key = ?2",
                sealed: anew(old, new, &reply_context(&operator, &key), &sealed)?,
                place: [operator, key],
            })
        });
    Ok(anew.collect())
}

fn anew(
    old: &MasterKey,
    new: &MasterKey,
    context: &[&str],
    sealed: &[u8],
) -> Result<Vec<u8>, RewrapError> {
    let plain = old
        .open_sealed(context, sealed)
        .map_err(|_| RewrapError::NotOpened(context.join(" ")))?;
    new.seal(context, &plain)
        .map_err(|_| RewrapError::NotSealed)
}
