//! Named admin keys: who may operate the server, and what they may do.

use countersign_domain::audit::Action;
use countersign_domain::{ApiName, ApiScope};
use rusqlite::{Connection, OptionalExtension};
use serde_json::json;

use super::error::{AdminKeyError, StoreUnavailable};
use super::idempotency::run_once;
use super::log::all;
use super::record::{AuditActor, IdempotencyKey, IdempotentOutcome, StoredAdminKey};
use super::work::{NewAuditEntry, WriteTransaction};
use super::{Store, row};

impl Store {
    /// Stores a new admin key and returns it with the time of its creation; once for an
    /// idempotency key.
    pub async fn create_admin_key(
        &self,
        new: StoredAdminKey,
        actor: AuditActor,
        once: Option<IdempotencyKey<StoredAdminKey>>,
    ) -> Result<IdempotentOutcome<StoredAdminKey>, AdminKeyError> {
        self.write(move |work| run_once(work, once.as_ref(), |work| create(work, &new, &actor)))
            .await?
    }

    /// Admin keys sorted by name, those after `after`; at most 1,000 at once.
    pub async fn admin_keys(
        &self,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<StoredAdminKey>, StoreUnavailable> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {} FROM admin_key WHERE name > ?1 ORDER BY name LIMIT ?2",
                row::ADMIN_KEY
            );
            let after = after.unwrap_or_default();
            all(connection, &sql, (after, row::page(limit)), row::admin_key)
        })
        .await
    }

    /// The admin key with this name.
    pub async fn admin_key(&self, name: &str) -> Result<Option<StoredAdminKey>, StoreUnavailable> {
        let name = name.to_owned();
        self.read(move |connection| find(connection, "name", &name))
            .await
    }

    /// The admin key with this public id.
    pub async fn admin_key_with_id(
        &self,
        id: &str,
    ) -> Result<Option<StoredAdminKey>, StoreUnavailable> {
        let id = id.to_owned();
        self.read(move |connection| find(connection, "id", &id))
            .await
    }

    /// Deletes an admin key, which is not accepted from then on, with the replies that
    /// are kept for it. Returns whether there was such a key.
    pub async fn delete_admin_key(
        &self,
        name: &str,
        actor: AuditActor,
    ) -> Result<bool, StoreUnavailable> {
        let name = name.to_owned();
        self.write(move |work| delete(work, &name, &actor)).await
    }
}

/// `column` is always one of ours and never a caller's text.
fn find(
    connection: &Connection,
    column: &str,
    value: &str,
) -> rusqlite::Result<Option<StoredAdminKey>> {
    let sql = format!(
        "SELECT {} FROM admin_key WHERE {column} = ?1",
        row::ADMIN_KEY
    );
    connection
        .prepare_cached(&sql)?
        .query_row([value], row::admin_key)
        .optional()
}

fn create(
    work: &WriteTransaction<'_>,
    new: &StoredAdminKey,
    actor: &AuditActor,
) -> rusqlite::Result<Result<StoredAdminKey, AdminKeyError>> {
    if find(work.connection, "name", &new.name)?.is_some() {
        return Ok(Err(AdminKeyError::NameTaken));
    }
    let apis = scope(&new.scope);
    work.execute_one(
        "INSERT INTO admin_key (id, name, role, apis, hash, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (
            &new.id,
            &new.name,
            new.role.name(),
            &apis,
            new.hash,
            work.now.as_micros(),
            new.expires_at.map(|at| at.as_micros()),
        ),
    )?;
    let detail = json!({ "name": new.name, "role": new.role.name(), "apis": apis });
    audit(work, Action::AdminKeyCreated, actor, detail)?;
    Ok(Ok(StoredAdminKey {
        created_at: work.now,
        ..new.clone()
    }))
}

fn delete(work: &WriteTransaction<'_>, name: &str, actor: &AuditActor) -> rusqlite::Result<bool> {
    if work.execute("DELETE FROM admin_key WHERE name = ?1", [name])? == 0 {
        return Ok(false);
    }
    work.execute("DELETE FROM remembered WHERE operator = ?1", [name])?;
    audit(
        work,
        Action::AdminKeyDeleted,
        actor,
        json!({ "name": name }),
    )?;
    Ok(true)
}

/// The apis of a scope as they are stored.
fn scope(scope: &ApiScope) -> Option<String> {
    match scope {
        ApiScope::All => None,
        ApiScope::Only(apis) => {
            let names: Vec<_> = apis.iter().map(ApiName::as_str).collect();
            Some(names.join(" "))
        }
    }
}

fn audit(
    work: &WriteTransaction<'_>,
    action: Action,
    actor: &AuditActor,
    detail: serde_json::Value,
) -> rusqlite::Result<()> {
    work.audit(&NewAuditEntry {
        action,
        api: None,
        account: None,
        session: None,
        actor,
        detail,
    })
}
