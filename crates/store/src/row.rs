//! Converts rows to the domain's types. A value that the domain does not know is an error,
//! never a guess.

use std::net::IpAddr;

use countersign_domain::account::{Allowlist, StoredSecret};
use countersign_domain::key::{KeyRecord, KeyState, Kid};
use countersign_domain::revocation::Revocation;
use countersign_domain::session::{End, SeedHash, Session, SessionId, SessionState};
use countersign_domain::{
    Account, AccountId, AccountLimits, Algorithm, ApiName, ApiScope, Credential, CredentialId,
    Epoch, Role, Scopes, Timestamp, coded,
};
use rusqlite::Row;
use rusqlite::types::Type;

use super::record::{AuditEntry, KeyPurpose, SealedKey, StoredAdminKey};

/// The most rows of one list: a page of the admin API, and one more row that shows
/// whether there is another page.
const PAGE: usize = 1_001;

/// The columns that [`account`] reads from a table called `a`.
pub(super) const ACCOUNT: &str = "a.id, a.api, a.name, a.active, a.epoch, a.allow, a.created_at, \
     a.budget, a.sessions, a.mints_per_minute, a.requests_per_second";
/// Their number.
pub(super) const ACCOUNT_COLUMNS: usize = 11;

/// The columns that [`credential`] reads from a table called `c`.
pub(super) const CREDENTIAL: &str =
    "c.id, c.account, c.login, c.key_hash, c.password_hash, c.active, c.created_at, c.scopes";
/// Their number.
pub(super) const CREDENTIAL_COLUMNS: usize = 8;

/// The columns that [`session`] reads from a table called `s`.
pub(super) const SESSION: &str = "s.id, s.account, s.credential, s.epoch, s.variant, s.seed_hash, \
     s.ended_as, s.ended_at, s.generation, s.started_at, s.rotated_at, s.access_expires_at, \
     s.refresh_expires_at, s.absolute_expires_at, s.kid, s.previous_kid, s.replays, s.used, \
     s.address, s.user_agent";
/// Their number.
pub(super) const SESSION_COLUMNS: usize = 20;

/// The columns that [`key`] reads.
pub(super) const KEY: &str = "kid, purpose, algorithm, state, retires_at, created_at, sealed";

/// The columns that [`revocation`] reads.
pub(super) const REVOCATION: &str = "kind, until, session, account, epoch, kid";

/// The columns that [`admin_key`] reads.
pub(super) const ADMIN_KEY: &str = "id, name, role, apis, hash, created_at, expires_at";

/// The columns that [`audit`] reads.
pub(super) const AUDIT: &str = "number, at, action, api, account, session, actor, detail";

/// An account whose columns begin at `at`.
pub(super) fn account(row: &Row<'_>, at: usize) -> rusqlite::Result<Account> {
    let allow: String = row.get(at + 5)?;
    let networks: Vec<&str> = allow.split_ascii_whitespace().collect();
    Ok(Account {
        id: account_id(row, at)?,
        api: api(row, at + 1)?,
        name: row.get(at + 2)?,
        active: row.get(at + 3)?,
        epoch: Epoch(row.get(at + 4)?),
        allow: Allowlist::parse(&networks).map_err(|error| unknown(at + 5, error))?,
        created_at: time(row, at + 6)?,
        limits: AccountLimits {
            budget: row.get(at + 7)?,
            sessions: row.get(at + 8)?,
            mints_per_minute: row.get(at + 9)?,
            requests_per_second: row.get(at + 10)?,
        },
    })
}

/// The networks of an allowlist as they are stored.
pub(super) fn networks(allow: &Allowlist) -> String {
    let networks: Vec<String> = allow.networks().iter().map(ToString::to_string).collect();
    networks.join(" ")
}

/// The scopes of a credential as they are stored.
pub(super) fn scopes(scopes: &Scopes) -> String {
    scopes.iter().collect::<Vec<_>>().join(" ")
}

/// A credential whose columns begin at `at`.
pub(super) fn credential(row: &Row<'_>, at: usize) -> rusqlite::Result<Credential> {
    let scopes: String = row.get(at + 7)?;
    let scopes: Vec<&str> = scopes.split_ascii_whitespace().collect();
    let secret = match row.get::<_, Option<[u8; 32]>>(at + 3)? {
        Some(hash) => StoredSecret::Key(hash),
        None => StoredSecret::Password(row.get(at + 4)?),
    };
    Ok(Credential {
        id: CredentialId(row.get::<_, i64>(at)?.cast_unsigned()),
        account: account_id(row, at + 1)?,
        login: row.get(at + 2)?,
        secret,
        scopes: Scopes::parse(&scopes).map_err(|error| unknown(at + 7, error))?,
        active: row.get(at + 5)?,
        created_at: time(row, at + 6)?,
    })
}

/// The two columns of a secret: a generated key's hash, or a password's.
pub(super) fn secret(secret: &StoredSecret) -> (Option<&[u8]>, Option<&str>) {
    match secret {
        StoredSecret::Key(hash) => (Some(hash), None),
        StoredSecret::Password(phc) => (None, Some(phc)),
    }
}

/// A session whose columns begin at 0.
pub(super) fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: SessionId(row.get(0)?),
        account: account_id(row, 1)?,
        credential: CredentialId(row.get::<_, i64>(2)?.cast_unsigned()),
        epoch: Epoch(row.get(3)?),
        variant: row.get(4)?,
        seed_hash: SeedHash(row.get(5)?),
        state: state(row)?,
        generation: row.get(8)?,
        started_at: time(row, 9)?,
        rotated_at: time(row, 10)?,
        access_expires_at: time(row, 11)?,
        refresh_expires_at: time(row, 12)?,
        absolute_expires_at: time(row, 13)?,
        kid: Kid(row.get(14)?),
        previous_kid: row.get::<_, Option<String>>(15)?.map(Kid),
        replays: row.get(16)?,
        used: row.get(17)?,
        address: text(row, 18, |text| text.parse::<IpAddr>().ok())?,
        user_agent: row.get(19)?,
    })
}

fn state(row: &Row<'_>) -> rusqlite::Result<SessionState> {
    if row.get_ref(6)?.data_type() == Type::Null {
        return Ok(SessionState::Active);
    }
    Ok(SessionState::Ended {
        end: text(row, 6, End::from_code)?,
        at: time(row, 7)?,
    })
}

coded! {
    /// The values of the column for a key's state; another column states until when it
    /// lives.
    KeyPhase(name, from_name) {
        /// Does not sign yet.
        Pending = "pending",
        /// Signs new tokens.
        Active = "active",
        /// Does not sign any more; its tokens are valid until they expire.
        Retiring = "retiring",
        /// Nothing that it signed is accepted.
        Killed = "killed",
    }
}

/// A key with its sealed material.
pub(super) fn key(row: &Row<'_>) -> rusqlite::Result<SealedKey> {
    let retires_at = row.get::<_, Option<i64>>(4)?.map(Timestamp::from_micros);
    let state = text(row, 3, |text| {
        match (KeyPhase::from_name(text)?, retires_at) {
            (KeyPhase::Pending, None) => Some(KeyState::Pending),
            (KeyPhase::Active, None) => Some(KeyState::Active),
            (KeyPhase::Retiring, Some(until)) => Some(KeyState::Retiring { until }),
            (KeyPhase::Killed, None) => Some(KeyState::Killed),
            _ => None,
        }
    })?;
    let purpose = text(row, 1, KeyPurpose::from_name)?;
    let key = KeyRecord {
        kid: Kid(row.get(0)?),
        algorithm: text(row, 2, Algorithm::from_name)?,
        state,
        created_at: time(row, 5)?,
    };
    Ok(SealedKey {
        key,
        purpose,
        sealed: row.get(6)?,
    })
}

/// The two columns of a key's state.
pub(super) fn key_state(state: KeyState) -> (&'static str, Option<i64>) {
    let (phase, until) = match state {
        KeyState::Pending => (KeyPhase::Pending, None),
        KeyState::Active => (KeyPhase::Active, None),
        KeyState::Retiring { until } => (KeyPhase::Retiring, Some(until.as_micros())),
        KeyState::Killed => (KeyPhase::Killed, None),
    };
    (phase.name(), until)
}

coded! {
    /// The values of the column that states what an entry of the revocation log revokes.
    RevocationKind(name, from_name) {
        /// A session.
        Session = "session",
        /// All tokens of an account from before an epoch.
        Account = "account",
        /// Everything that a key signed.
        Key = "key",
    }
}

impl RevocationKind {
    pub(super) const fn of_entry(revocation: &Revocation) -> Self {
        match revocation {
            Revocation::Session { .. } => Self::Session,
            Revocation::Account { .. } => Self::Account,
            Revocation::Key { .. } => Self::Key,
        }
    }
}

/// An entry of the revocation log.
pub(super) fn revocation(row: &Row<'_>) -> rusqlite::Result<Revocation> {
    let until = time(row, 1)?;
    Ok(match text(row, 0, RevocationKind::from_name)? {
        RevocationKind::Session => Revocation::Session {
            session: SessionId(row.get(2)?),
            until,
        },
        RevocationKind::Account => Revocation::Account {
            account: account_id(row, 3)?,
            epoch: Epoch(row.get(4)?),
            until,
        },
        RevocationKind::Key => Revocation::Key {
            kid: Kid(row.get(5)?),
            until,
        },
    })
}

/// An admin key.
pub(super) fn admin_key(row: &Row<'_>) -> rusqlite::Result<StoredAdminKey> {
    Ok(StoredAdminKey {
        id: row.get(0)?,
        name: row.get(1)?,
        role: text(row, 2, Role::from_name)?,
        scope: present(row, 3, scope)?.unwrap_or(ApiScope::All),
        hash: row.get(4)?,
        created_at: time(row, 5)?,
        expires_at: present(row, 6, time)?,
    })
}

fn scope(row: &Row<'_>, column: usize) -> rusqlite::Result<ApiScope> {
    let apis = text(row, column, |text| {
        let names = text.split_ascii_whitespace();
        names.map(|name| name.parse().ok()).collect()
    })?;
    Ok(ApiScope::Only(apis))
}

/// The apis of a scope as a JSON list for `json_each`; `None` for all.
pub(super) fn scope_json(scope: &ApiScope) -> Option<String> {
    match scope {
        ApiScope::All => None,
        ApiScope::Only(apis) => {
            let names = apis.iter().map(ApiName::as_str);
            Some(serde_json::Value::from_iter(names).to_string())
        }
    }
}

/// An entry of the audit log.
pub(super) fn audit(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    Ok(AuditEntry {
        number: row.get::<_, i64>(0)?.cast_unsigned(),
        at: time(row, 1)?,
        action: row.get(2)?,
        api: present(row, 3, api)?,
        account: present(row, 4, account_id)?,
        session: row.get::<_, Option<[u8; 16]>>(5)?.map(SessionId),
        actor: row.get(6)?,
        detail: row.get(7)?,
    })
}

/// The content of the columns from `at` on, if an outer join found a row for them.
pub(super) fn present<T>(
    row: &Row<'_>,
    at: usize,
    read: impl FnOnce(&Row<'_>, usize) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    if row.get_ref(at)?.data_type() == Type::Null {
        return Ok(None);
    }
    read(row, at).map(Some)
}

/// An account id as it is stored.
pub(super) fn id(account: AccountId) -> i64 {
    account.number().cast_signed()
}

fn account_id(row: &Row<'_>, column: usize) -> rusqlite::Result<AccountId> {
    let number: i64 = row.get(column)?;
    AccountId::new(number.cast_unsigned())
        .ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// The name of an api.
pub(super) fn api(row: &Row<'_>, column: usize) -> rusqlite::Result<ApiName> {
    text(row, column, |text| text.parse().ok())
}

/// An instant.
pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_micros)
}

fn text<T>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    parse(text).ok_or_else(|| unknown(column, format!("{text:?} is unknown")))
}

fn unknown(
    column: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}

/// A limit in the type that SQL takes.
pub(super) fn page(limit: usize) -> i64 {
    i64::try_from(limit.min(PAGE)).unwrap_or(0)
}
