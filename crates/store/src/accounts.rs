//! Accounts: created with their first credential, changed, deleted.

use countersign_domain::account::Allowlist;
use countersign_domain::audit::Action;
use countersign_domain::revocation::RevocationNotice;
use countersign_domain::session::End;
use countersign_domain::{Account, AccountId, AccountLimits, Credential, Epoch};
use rusqlite::{Connection, OptionalExtension};
use serde_json::{Value, json};

use super::credentials;
use super::error::{CreateError, StoreUnavailable};
use super::idempotency::run_once;
use super::log::all;
use super::record::{
    AccountFilter, AccountUpdate, AuditActor, IdempotencyKey, IdempotentOutcome, NewAccount,
};
use super::session_end::end_all;
use super::work::{NewAuditEntry, WriteTransaction};
use super::{Store, row};

impl Store {
    /// Creates an account with its first credential.
    ///
    /// Ids are unique over all apis and never used again, not even after the account was
    /// deleted.
    pub async fn create_account(
        &self,
        new: NewAccount,
        actor: AuditActor,
    ) -> Result<(Account, Credential), CreateError> {
        self.write(move |work| create(work, &new, &actor)).await?
    }

    /// The same, once for an idempotency key.
    pub async fn create_account_once(
        &self,
        new: NewAccount,
        actor: AuditActor,
        once: Option<IdempotencyKey<(Account, Credential)>>,
    ) -> Result<IdempotentOutcome<(Account, Credential)>, CreateError> {
        self.write(move |work| run_once(work, once.as_ref(), |work| create(work, &new, &actor)))
            .await?
    }

    /// The account with this id.
    pub async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreUnavailable> {
        self.read(move |connection| find(connection, id)).await
    }

    /// Accounts sorted by id, those after `after`; at most 1,000 at once.
    pub async fn accounts(
        &self,
        filter: AccountFilter,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreUnavailable> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {} FROM account AS a WHERE a.id > ?1 AND (?2 IS NULL OR a.api = ?2)
                 AND (?3 IS NULL OR a.id IN (SELECT account FROM credential WHERE login = ?3))
                 AND (?4 IS NULL OR a.api IN (SELECT value FROM json_each(?4)))
                 ORDER BY a.id LIMIT ?5",
                row::ACCOUNT
            );
            let api = filter.api.as_ref().map(|api| api.as_str());
            let scope = row::scope_json(&filter.scope);
            let after = after.map_or(0, row::id);
            let params = (after, api, &filter.login, scope, row::page(limit));
            all(connection, &sql, params, |row| row::account(row, 0))
        })
        .await
    }

    /// Changes an account and returns it in its new state; `None` if there is none.
    ///
    /// Disabling it ends all its sessions in the same commit.
    pub async fn update_account(
        &self,
        id: AccountId,
        update: AccountUpdate,
        actor: AuditActor,
    ) -> Result<Option<Account>, StoreUnavailable> {
        self.write(move |work| change(work, id, &update, &actor))
            .await
    }

    /// Deletes an account and its credentials, and ends its sessions, whose rows are
    /// swept when their tokens have expired. Returns whether there was such an account.
    pub async fn delete_account(
        &self,
        id: AccountId,
        actor: AuditActor,
    ) -> Result<bool, StoreUnavailable> {
        self.write(move |work| delete(work, id, &actor)).await
    }
}

/// The account with this id.
pub(super) fn find(connection: &Connection, id: AccountId) -> rusqlite::Result<Option<Account>> {
    let sql = format!("SELECT {} FROM account AS a WHERE a.id = ?1", row::ACCOUNT);
    connection
        .prepare_cached(&sql)?
        .query_row([row::id(id)], |row| row::account(row, 0))
        .optional()
}

fn create(
    work: &mut WriteTransaction<'_>,
    new: &NewAccount,
    actor: &AuditActor,
) -> rusqlite::Result<Result<(Account, Credential), CreateError>> {
    if credentials::login_is_taken(work, &new.api, &new.credential.login)? {
        return Ok(Err(CreateError::LoginTaken));
    }
    let id = match new.id {
        Some(id) if id_is_taken(work, row::id(id))? => return Ok(Err(CreateError::IdTaken)),
        Some(id) => id,
        None => next_id(work)?,
    };
    let account = Account {
        id,
        api: new.api.clone(),
        name: new.credential.login.clone(),
        active: new.active,
        epoch: Epoch::default(),
        allow: new.allow.clone(),
        limits: new.limits,
        created_at: work.now,
    };
    insert(work, &account)?;
    work.notice(RevocationNotice::Account(account.clone()));
    let credential = credentials::insert(work, &account, &new.credential)?;
    audit(
        work,
        Action::AccountCreated,
        &account,
        actor,
        json!({ "login": new.credential.login }),
    )?;
    Ok(Ok((account, credential)))
}

fn insert(work: &WriteTransaction<'_>, account: &Account) -> rusqlite::Result<()> {
    work.execute_one("INSERT INTO account_id VALUES (?1)", [row::id(account.id)])?;
    work.execute_one(
        "INSERT INTO account (id, api, name, active, epoch, allow, created_at,
         budget, sessions, mints_per_minute, requests_per_second)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        (
            row::id(account.id),
            account.api.as_str(),
            &account.name,
            account.active,
            account.epoch.0,
            row::networks(&account.allow),
            account.created_at.as_micros(),
            account.limits.budget,
            account.limits.sessions,
            account.limits.mints_per_minute,
            account.limits.requests_per_second,
        ),
    )
}

fn id_is_taken(work: &WriteTransaction<'_>, id: i64) -> rusqlite::Result<bool> {
    work.connection
        .prepare_cached("SELECT 1 FROM account_id WHERE id = ?1")?
        .exists([id])
}

/// The next automatic id; ids that operators chose are skipped.
fn next_id(work: &WriteTransaction<'_>) -> rusqlite::Result<AccountId> {
    let last: i64 = work
        .connection
        .query_row("SELECT account FROM head", [], |row| row.get(0))?;
    let mut next = last + 1;
    if id_is_taken(work, next)? {
        next = work.connection.query_row(
            "SELECT id + 1 FROM account_id AS taken WHERE id >= ?1
             AND NOT EXISTS (SELECT 1 FROM account_id WHERE id = taken.id + 1)
             ORDER BY id LIMIT 1",
            [next],
            |row| row.get(0),
        )?;
    }
    work.execute_one("UPDATE head SET account = ?1", [next])?;
    AccountId::new(next.cast_unsigned()).ok_or(rusqlite::Error::IntegralValueOutOfRange(0, next))
}

fn change(
    work: &mut WriteTransaction<'_>,
    id: AccountId,
    update: &AccountUpdate,
    actor: &AuditActor,
) -> rusqlite::Result<Option<Account>> {
    let Some(mut account) = find(work.connection, id)? else {
        return Ok(None);
    };
    if let Some(allow) = update
        .allow
        .as_ref()
        .filter(|allow| **allow != account.allow)
    {
        set_allow(work, &mut account, allow, actor)?;
    }
    if let Some(limits) = update.limits.filter(|limits| *limits != account.limits) {
        set_limits(work, &mut account, limits, actor)?;
    }
    if let Some(active) = update.active.filter(|active| *active != account.active) {
        set_active(work, &mut account, active, actor)?;
    }
    Ok(Some(account))
}

fn set_allow(
    work: &mut WriteTransaction<'_>,
    account: &mut Account,
    allow: &Allowlist,
    actor: &AuditActor,
) -> rusqlite::Result<()> {
    let networks = row::networks(allow);
    let statement = "UPDATE account SET allow = ?2 WHERE id = ?1";
    work.execute_one(statement, (row::id(account.id), &networks))?;
    account.allow = allow.clone();
    work.notice(RevocationNotice::Account(account.clone()));
    audit(
        work,
        Action::AllowlistChanged,
        account,
        actor,
        json!({ "allow": networks }),
    )
}

fn set_limits(
    work: &mut WriteTransaction<'_>,
    account: &mut Account,
    limits: AccountLimits,
    actor: &AuditActor,
) -> rusqlite::Result<()> {
    let AccountLimits {
        budget,
        sessions,
        mints_per_minute,
        requests_per_second,
    } = limits;
    work.execute_one(
        "UPDATE account SET budget = ?2, sessions = ?3, mints_per_minute = ?4,
         requests_per_second = ?5 WHERE id = ?1",
        (
            row::id(account.id),
            budget,
            sessions,
            mints_per_minute,
            requests_per_second,
        ),
    )?;
    account.limits = limits;
    work.notice(RevocationNotice::Account(account.clone()));
    let detail = json!({
        "budget": budget,
        "sessions": sessions,
        "mints_per_minute": mints_per_minute,
        "requests_per_second": requests_per_second,
    });
    audit(work, Action::LimitsChanged, account, actor, detail)
}

fn set_active(
    work: &mut WriteTransaction<'_>,
    account: &mut Account,
    active: bool,
    actor: &AuditActor,
) -> rusqlite::Result<()> {
    let statement = "UPDATE account SET active = ?2 WHERE id = ?1";
    work.execute_one(statement, (row::id(account.id), active))?;
    account.active = active;
    if active {
        work.notice(RevocationNotice::Account(account.clone()));
        return audit(work, Action::AccountEnabled, account, actor, json!({}));
    }
    let ended = end_all(work, account, End::AccountDisabled)?;
    audit(
        work,
        Action::AccountDisabled,
        account,
        actor,
        json!({ "ended": ended }),
    )
}

fn delete(
    work: &mut WriteTransaction<'_>,
    id: AccountId,
    actor: &AuditActor,
) -> rusqlite::Result<bool> {
    let Some(mut account) = find(work.connection, id)? else {
        return Ok(false);
    };
    let ended = end_all(work, &mut account, End::AccountDisabled)?;
    for credential in credentials::of_account(work.connection, id)? {
        credentials::remove(work, credential.id)?;
    }
    work.execute_one("DELETE FROM account WHERE id = ?1", [row::id(id)])?;
    work.notice(RevocationNotice::AccountGone(id));
    let detail = json!({ "name": account.name, "ended": ended });
    audit(work, Action::AccountDeleted, &account, actor, detail)?;
    Ok(true)
}

/// Writes an audit entry about an account.
pub(super) fn audit(
    work: &WriteTransaction<'_>,
    action: Action,
    account: &Account,
    actor: &AuditActor,
    detail: Value,
) -> rusqlite::Result<()> {
    let (api, account) = (Some(&account.api), Some(account.id));
    work.audit(&NewAuditEntry {
        action,
        api,
        account,
        session: None,
        actor,
        detail,
    })
}
