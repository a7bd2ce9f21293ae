//! Credentials: an account may hold several, so that a secret can be replaced with an
//! overlap.

use countersign_domain::account::StoredSecret;
use countersign_domain::audit::Action;
use countersign_domain::revocation::RevocationNotice;
use countersign_domain::{Account, AccountId, ApiName, Credential, CredentialId, Scopes};
use rusqlite::{Connection, OptionalExtension};
use serde_json::json;

use super::accounts::{self, audit};
use super::error::{CreateError, StoreUnavailable};
use super::idempotency::run_once;
use super::log::all;
use super::record::{AuditActor, IdempotencyKey, IdempotentOutcome, NewCredential};
use super::session_end::end_of_credential;
use super::work::WriteTransaction;
use super::{Store, networks, row};

impl Store {
    /// The credentials of an account, oldest first.
    pub async fn credentials(
        &self,
        account: AccountId,
    ) -> Result<Vec<Credential>, StoreUnavailable> {
        self.read(move |connection| of_account(connection, account))
            .await
    }

    /// The credential with this id.
    pub async fn credential(
        &self,
        id: CredentialId,
    ) -> Result<Option<Credential>, StoreUnavailable> {
        self.read(move |connection| find(connection, id)).await
    }

    /// The credential of an api with exactly this login, with its account, whether they
    /// are active or not.
    pub async fn credential_by_login(
        &self,
        api: &ApiName,
        login: &str,
    ) -> Result<Option<(Account, Credential)>, StoreUnavailable> {
        let (api, login) = (api.clone(), login.to_owned());
        self.read(move |connection| by_login(connection, &api, &login))
            .await
    }

    /// Adds a credential to an account.
    pub async fn create_credential(
        &self,
        account: AccountId,
        new: NewCredential,
        actor: AuditActor,
    ) -> Result<Credential, CreateError> {
        self.write(move |work| create(work, account, &new, &actor))
            .await?
    }

    /// The same, once for an idempotency key.
    pub async fn create_credential_once(
        &self,
        account: AccountId,
        new: NewCredential,
        actor: AuditActor,
        once: Option<IdempotencyKey<Credential>>,
    ) -> Result<IdempotentOutcome<Credential>, CreateError> {
        self.write(move |work| {
            run_once(work, once.as_ref(), |work| {
                create(work, account, &new, &actor)
            })
        })
        .await?
    }

    /// Enables or disables a credential and returns it in its new state; `None` if there
    /// is none. Disabling it ends the sessions that it opened.
    pub async fn set_credential_active(
        &self,
        id: CredentialId,
        active: bool,
        actor: AuditActor,
    ) -> Result<Option<Credential>, StoreUnavailable> {
        self.write(move |work| set_active(work, id, active, &actor))
            .await
    }

    /// Replaces the scopes of a credential and returns it in its new state; `None` if
    /// there is none.
    pub async fn set_credential_scopes(
        &self,
        id: CredentialId,
        scopes: Scopes,
        actor: AuditActor,
    ) -> Result<Option<Credential>, StoreUnavailable> {
        self.write(move |work| set_scopes(work, id, &scopes, &actor))
            .await
    }

    /// Deletes a credential and ends the sessions that it opened. Returns whether there
    /// was such a credential.
    pub async fn delete_credential(
        &self,
        id: CredentialId,
        actor: AuditActor,
    ) -> Result<bool, StoreUnavailable> {
        self.write(move |work| delete(work, id, &actor)).await
    }

    /// Stores the same secret in another form, for example when a password's hash is
    /// upgraded, without an audit entry. Returns whether there was such a credential.
    pub async fn replace_secret(
        &self,
        id: CredentialId,
        secret: StoredSecret,
    ) -> Result<bool, StoreUnavailable> {
        self.write(move |work| replace_secret(work, id, &secret))
            .await
    }
}

/// The credential with this id.
pub(super) fn find(
    connection: &Connection,
    id: CredentialId,
) -> rusqlite::Result<Option<Credential>> {
    let sql = format!(
        "SELECT {} FROM credential AS c WHERE c.id = ?1",
        row::CREDENTIAL
    );
    connection
        .prepare_cached(&sql)?
        .query_row([id.0.cast_signed()], |row| row::credential(row, 0))
        .optional()
}

/// The credentials of an account, oldest first.
pub(super) fn of_account(
    connection: &Connection,
    account: AccountId,
) -> rusqlite::Result<Vec<Credential>> {
    let sql = format!(
        "SELECT {} FROM credential AS c WHERE c.account = ?1 ORDER BY c.id",
        row::CREDENTIAL
    );
    all(connection, &sql, [row::id(account)], |row| {
        row::credential(row, 0)
    })
}

/// Whether a credential of this api has the login.
pub(super) fn login_is_taken(
    work: &WriteTransaction<'_>,
    api: &ApiName,
    login: &str,
) -> rusqlite::Result<bool> {
    work.connection
        .prepare_cached("SELECT 1 FROM credential WHERE login = ?1 AND api = ?2")?
        .exists((login, api.as_str()))
}

/// Stores a new credential whose login is free.
pub(super) fn insert(
    work: &mut WriteTransaction<'_>,
    account: &Account,
    new: &NewCredential,
) -> rusqlite::Result<Credential> {
    let (key_hash, password_hash) = row::secret(&new.secret);
    work.execute_one(
        "INSERT INTO credential
         (account, api, login, key_hash, password_hash, active, created_at, scopes)
         VALUES (?1, ?2, ?3, ?4, ?5, TRUE, ?6, ?7)",
        (
            row::id(account.id),
            account.api.as_str(),
            &new.login,
            key_hash,
            password_hash,
            work.now.as_micros(),
            row::scopes(&new.scopes),
        ),
    )?;
    let credential = Credential {
        id: CredentialId(work.connection.last_insert_rowid().cast_unsigned()),
        account: account.id,
        login: new.login.clone(),
        secret: new.secret.clone(),
        scopes: new.scopes.clone(),
        active: true,
        created_at: work.now,
    };
    work.notice(RevocationNotice::Credential(credential.clone()));
    Ok(credential)
}

/// Removes a credential's row.
pub(super) fn remove(work: &mut WriteTransaction<'_>, id: CredentialId) -> rusqlite::Result<()> {
    networks::forget(work, id)?;
    work.execute_one("DELETE FROM credential WHERE id = ?1", [id.0.cast_signed()])?;
    work.notice(RevocationNotice::CredentialGone(id));
    Ok(())
}

fn by_login(
    connection: &Connection,
    api: &ApiName,
    login: &str,
) -> rusqlite::Result<Option<(Account, Credential)>> {
    let sql = format!(
        "SELECT {}, {} FROM credential AS c JOIN account AS a ON a.id = c.account
         WHERE c.login = ?1 AND c.api = ?2",
        row::ACCOUNT,
        row::CREDENTIAL
    );
    connection
        .prepare_cached(&sql)?
        .query_row((login, api.as_str()), |row| {
            Ok((
                row::account(row, 0)?,
                row::credential(row, row::ACCOUNT_COLUMNS)?,
            ))
        })
        .optional()
}

fn create(
    work: &mut WriteTransaction<'_>,
    account: AccountId,
    new: &NewCredential,
    actor: &AuditActor,
) -> rusqlite::Result<Result<Credential, CreateError>> {
    let Some(account) = accounts::find(work.connection, account)? else {
        return Ok(Err(CreateError::NoAccount));
    };
    if login_is_taken(work, &account.api, &new.login)? {
        return Ok(Err(CreateError::LoginTaken));
    }
    let credential = insert(work, &account, new)?;
    audit(
        work,
        Action::CredentialCreated,
        &account,
        actor,
        json!({ "login": new.login }),
    )?;
    Ok(Ok(credential))
}

fn set_scopes(
    work: &mut WriteTransaction<'_>,
    id: CredentialId,
    scopes: &Scopes,
    actor: &AuditActor,
) -> rusqlite::Result<Option<Credential>> {
    let Some((account, mut credential)) = with_account(work, id)? else {
        return Ok(None);
    };
    if credential.scopes == *scopes {
        return Ok(Some(credential));
    }
    let written = row::scopes(scopes);
    let statement = "UPDATE credential SET scopes = ?2 WHERE id = ?1";
    work.execute_one(statement, (id.0.cast_signed(), &written))?;
    credential.scopes = scopes.clone();
    work.notice(RevocationNotice::Credential(credential.clone()));
    let detail = json!({ "login": credential.login, "scopes": written });
    audit(work, Action::ScopesChanged, &account, actor, detail)?;
    Ok(Some(credential))
}

fn set_active(
    work: &mut WriteTransaction<'_>,
    id: CredentialId,
    active: bool,
    actor: &AuditActor,
) -> rusqlite::Result<Option<Credential>> {
    let Some((account, mut credential)) = with_account(work, id)? else {
        return Ok(None);
    };
    if credential.active == active {
        return Ok(Some(credential));
    }
    let statement = "UPDATE credential SET active = ?2 WHERE id = ?1";
    work.execute_one(statement, (id.0.cast_signed(), active))?;
    credential.active = active;
    work.notice(RevocationNotice::Credential(credential.clone()));
    let (action, ended) = if active {
        (Action::CredentialEnabled, 0)
    } else {
        (
            Action::CredentialDisabled,
            end_of_credential(work, &credential)?,
        )
    };
    let detail = json!({ "login": credential.login, "ended": ended });
    audit(work, action, &account, actor, detail)?;
    Ok(Some(credential))
}

fn delete(
    work: &mut WriteTransaction<'_>,
    id: CredentialId,
    actor: &AuditActor,
) -> rusqlite::Result<bool> {
    let Some((account, credential)) = with_account(work, id)? else {
        return Ok(false);
    };
    let ended = end_of_credential(work, &credential)?;
    remove(work, id)?;
    let detail = json!({ "login": credential.login, "ended": ended });
    audit(work, Action::CredentialDeleted, &account, actor, detail)?;
    Ok(true)
}

fn replace_secret(
    work: &mut WriteTransaction<'_>,
    id: CredentialId,
    secret: &StoredSecret,
) -> rusqlite::Result<bool> {
    let Some(mut credential) = find(work.connection, id)? else {
        return Ok(false);
    };
    let (key_hash, password_hash) = row::secret(secret);
    work.execute_one(
        "UPDATE credential SET key_hash = ?2, password_hash = ?3 WHERE id = ?1",
        (id.0.cast_signed(), key_hash, password_hash),
    )?;
    credential.secret = secret.clone();
    work.notice(RevocationNotice::Credential(credential));
    Ok(true)
}

/// A credential and its account, which exists according to the schema.
pub(super) fn with_account(
    work: &WriteTransaction<'_>,
    id: CredentialId,
) -> rusqlite::Result<Option<(Account, Credential)>> {
    let sql = format!(
        "SELECT {}, {} FROM credential AS c JOIN account AS a ON a.id = c.account WHERE c.id = ?1",
        row::ACCOUNT,
        row::CREDENTIAL
    );
    work.connection
        .prepare_cached(&sql)?
        .query_row([id.0.cast_signed()], |row| {
            Ok((
                row::account(row, 0)?,
                row::credential(row, row::ACCOUNT_COLUMNS)?,
            ))
        })
        .optional()
}
