//! Sealed keys, and the check value that proves the right master key.

use countersign_domain::audit::Action;
use countersign_domain::key::{KeyRecord, KeyRing, KeyState, Kid};
use countersign_domain::revocation::Revocation;
use countersign_domain::{ApiName, Timestamp};
use rusqlite::{Connection, OptionalExtension};
use serde_json::json;

use super::error::{KeyError, MasterKeyProofError, StoreUnavailable};
use super::idempotency::run_once;
use super::log::all;
use super::record::{AuditActor, IdempotencyKey, IdempotentOutcome, KeyPurpose, SealedKey};
use super::work::{NewAuditEntry, WriteTransaction};
use super::{Store, row};
use crate::seal::{CHECK_CONTEXT, CHECK_VALUE, MasterKey};

impl Store {
    /// Whether a master key was ever checked here. If so, a missing master key file must
    /// be restored, and not created again.
    pub async fn has_master(&self) -> Result<bool, StoreUnavailable> {
        self.read(|connection| {
            connection.query_row("SELECT master_check IS NOT NULL FROM head", [], |row| {
                row.get(0)
            })
        })
        .await
    }

    /// Checks that `master` is the key with which this store was created. The first key
    /// that is checked becomes that key; a wrong one changes nothing.
    pub async fn check_master(&self, master: &MasterKey) -> Result<(), MasterKeyProofError> {
        let fresh = master
            .seal(&CHECK_CONTEXT, CHECK_VALUE)
            .map_err(|_| MasterKeyProofError::Unusable)?;
        let kept = self.write(move |work| master_check(work, &fresh)).await?;
        match master.open_sealed(&CHECK_CONTEXT, &kept) {
            Ok(value) if *value == CHECK_VALUE => Ok(()),
            _ => Err(MasterKeyProofError::Wrong),
        }
    }

    /// The keys of an api, including dead ones, the oldest first.
    pub async fn keys(&self, api: &ApiName) -> Result<Vec<SealedKey>, StoreUnavailable> {
        let api = api.clone();
        self.read(move |connection| keys(connection, &api)).await
    }

    /// Stores a new key of an api.
    pub async fn insert_key(
        &self,
        api: &ApiName,
        key: SealedKey,
        actor: AuditActor,
    ) -> Result<(), KeyError> {
        let api = api.clone();
        self.write(move |work| insert(work, &api, &key, &actor))
            .await?
    }

    /// The key with this id, and the api that it belongs to.
    pub async fn key(&self, kid: &Kid) -> Result<Option<(ApiName, SealedKey)>, StoreUnavailable> {
        let kid = kid.clone();
        self.read(move |connection| {
            let sql = format!("SELECT {}, api FROM signing_key WHERE kid = ?1", row::KEY);
            connection
                .prepare_cached(&sql)?
                .query_row([&kid.0], |row| Ok((row::api(row, 7)?, row::key(row)?)))
                .optional()
        })
        .await
    }

    /// Stores the states of an api's signing keys, and the new key among them, if there
    /// is one. A key that is killed now is revoked in the same commit. Keys that are not
    /// in the ring stay as they are. Once for an idempotency key.
    pub async fn replace_ring(
        &self,
        api: &ApiName,
        ring: KeyRing,
        made: Option<SealedKey>,
        actor: AuditActor,
        once: Option<IdempotencyKey<()>>,
    ) -> Result<IdempotentOutcome<()>, KeyError> {
        let change = KeyChange {
            api: api.clone(),
            ring,
            made,
            actor,
        };
        self.write(move |work| run_once(work, once.as_ref(), |work| change.make(work)))
            .await?
    }

    /// When the last token that an account of this api received expires. Reads every
    /// session.
    pub async fn last_token_until(&self, api: &ApiName) -> Result<Timestamp, StoreUnavailable> {
        let api = api.clone();
        self.read(move |connection| {
            connection.query_row(
                "SELECT ifnull(max(s.token_until), 0) FROM session AS s
                 JOIN account AS a ON a.id = s.account WHERE a.api = ?1",
                [api.as_str()],
                |row| row::time(row, 0),
            )
        })
        .await
    }
}

/// A change of an api's signing keys.
struct KeyChange {
    api: ApiName,
    ring: KeyRing,
    made: Option<SealedKey>,
    actor: AuditActor,
}

impl KeyChange {
    fn make(&self, work: &mut WriteTransaction<'_>) -> rusqlite::Result<Result<(), KeyError>> {
        let stored = keys(work.connection, &self.api)?;
        let mut changed = Vec::new();
        for key in self.ring.keys().iter().filter(|key| !self.makes(key)) {
            match stored.iter().find(|stored| is_same(stored, key)) {
                None => return Ok(Err(KeyError::NoKey)),
                Some(stored) if stored.key.state == key.state => {}
                Some(_) => changed.push(key),
            }
        }
        if let Some(made) = &self.made {
            if kid_is_taken(work, made)? {
                return Ok(Err(KeyError::KidTaken));
            }
            insert_row(work, &self.api, made)?;
        }
        for key in &changed {
            set_state(work, key)?;
        }
        if !changed.is_empty() || self.made.is_some() {
            self.audit(work, &changed)?;
        }
        Ok(Ok(()))
    }

    fn makes(&self, key: &KeyRecord) -> bool {
        self.made
            .as_ref()
            .is_some_and(|made| made.key.kid == key.kid)
    }

    fn audit(&self, work: &WriteTransaction<'_>, changed: &[&KeyRecord]) -> rusqlite::Result<()> {
        let made = self.made.as_ref().map(|made| &made.key);
        let states = changed.iter().copied().chain(made);
        let states = states.map(|key| (key.kid.0.clone(), row::key_state(key.state).0.into()));
        let killed = changed.iter().any(|key| key.state == KeyState::Killed);
        let action = if killed {
            Action::KeyKilled
        } else {
            Action::KeyRotated
        };
        let detail = serde_json::Value::Object(states.collect());
        audit(work, action, &self.api, &self.actor, detail)
    }
}

fn master_check(work: &WriteTransaction<'_>, fresh: &[u8]) -> rusqlite::Result<Vec<u8>> {
    let sql = "SELECT master_check FROM head";
    if let Some(kept) = work.connection.query_row(sql, [], |row| row.get(0))? {
        return Ok(kept);
    }
    work.execute_one("UPDATE head SET master_check = ?1", [fresh])?;
    Ok(fresh.to_vec())
}

fn keys(connection: &Connection, api: &ApiName) -> rusqlite::Result<Vec<SealedKey>> {
    let sql = format!(
        "SELECT {} FROM signing_key WHERE api = ?1 ORDER BY created_at, kid",
        row::KEY
    );
    all(connection, &sql, [api.as_str()], row::key)
}

fn insert(
    work: &WriteTransaction<'_>,
    api: &ApiName,
    new: &SealedKey,
    actor: &AuditActor,
) -> rusqlite::Result<Result<(), KeyError>> {
    if kid_is_taken(work, new)? {
        return Ok(Err(KeyError::KidTaken));
    }
    insert_row(work, api, new)?;
    let detail = json!({ "made": new.key.kid.0, "purpose": new.purpose.name() });
    audit(work, Action::KeyRotated, api, actor, detail)?;
    Ok(Ok(()))
}

fn kid_is_taken(work: &WriteTransaction<'_>, new: &SealedKey) -> rusqlite::Result<bool> {
    work.connection
        .prepare_cached("SELECT 1 FROM signing_key WHERE kid = ?1")?
        .exists([&new.key.kid.0])
}

fn insert_row(work: &WriteTransaction<'_>, api: &ApiName, new: &SealedKey) -> rusqlite::Result<()> {
    let SealedKey {
        key,
        purpose,
        sealed,
    } = new;
    let (state, retires_at) = row::key_state(key.state);
    work.execute_one(
        "INSERT INTO signing_key
         (kid, api, purpose, algorithm, state, retires_at, created_at, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (
            &key.kid.0,
            api.as_str(),
            purpose.name(),
            key.algorithm.name(),
            state,
            retires_at,
            key.created_at.as_micros(),
            sealed,
        ),
    )
}

fn is_same(stored: &SealedKey, key: &KeyRecord) -> bool {
    stored.purpose == KeyPurpose::Signing
        && stored.key.kid == key.kid
        && stored.key.algorithm == key.algorithm
}

fn set_state(work: &mut WriteTransaction<'_>, key: &KeyRecord) -> rusqlite::Result<()> {
    let (state, retires_at) = row::key_state(key.state);
    work.execute_one(
        "UPDATE signing_key SET state = ?2, retires_at = ?3 WHERE kid = ?1",
        (&key.kid.0, state, retires_at),
    )?;
    if key.state == KeyState::Killed {
        // No row says which tokens a key signed; none outlives this.
        let until = work.last_token_until().max(work.now);
        work.revoke(Revocation::Key {
            kid: key.kid.clone(),
            until,
        })?;
    }
    Ok(())
}

fn audit(
    work: &WriteTransaction<'_>,
    action: Action,
    api: &ApiName,
    actor: &AuditActor,
    detail: serde_json::Value,
) -> rusqlite::Result<()> {
    work.audit(&NewAuditEntry {
        action,
        api: Some(api),
        account: None,
        session: None,
        actor,
        detail,
    })
}
