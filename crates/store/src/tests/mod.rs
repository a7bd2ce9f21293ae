//! The store's stories, on real files and a clock that is moved by hand.

mod accounts;
mod faults;
mod files;
mod keys;
mod leases;
mod logins;
mod memory;
mod mend;
mod model;
mod networks;
mod rotation;
mod session_limit;
mod sweep;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_domain::account::{Allowlist, StoredSecret};
use countersign_domain::key::Kid;
use countersign_domain::limits::ApiLimits;
use countersign_domain::revocation::{Revocation, RevocationNotice};
use countersign_domain::session::{
    AccessClaims, RefreshClaims, SeedHash, Session, SessionId, SessionLifetimes, SessionOpening,
};
use countersign_domain::{
    Account, AccountLimits, ApiName, Credential, NewLogin, RefreshMode, Timestamp,
};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::{
    AuditActor, AuditEntry, NewAccount, NewCredential, OwnedSessionTerms, RefreshOutcome,
    SessionSuccession, Store,
};
use crate::clock::StoreClock;

const ACCESS: Duration = Duration::from_secs(900);
const REFRESH: Duration = Duration::from_secs(86_400);
const ABSOLUTE: Duration = Duration::from_secs(30 * 86_400);
const WINDOW: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
const MICROSECOND: Duration = Duration::from_micros(1);

/// A store in a directory of its own, what its verifiers were told, and the
/// hand on its clock.
struct Place {
    directory: tempfile::TempDir,
    clock: StoreClock,
    notices: Arc<Mutex<Vec<RevocationNotice>>>,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            clock: StoreClock::manual(start()),
            notices: Arc::default(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("store.db")
    }

    fn open(&self) -> Store {
        let notices = Arc::clone(&self.notices);
        let notify = move |new: &[RevocationNotice]| notices.lock().unwrap().extend_from_slice(new);
        Store::open_quiet(&self.path(), self.clock.clone(), Box::new(notify)).unwrap()
    }

    /// What verifiers were told since the last time this was asked.
    fn told(&self) -> Vec<RevocationNotice> {
        std::mem::take(&mut self.notices.lock().unwrap())
    }

    fn revoked(&self) -> Vec<Revocation> {
        let revocation = |notice| match notice {
            RevocationNotice::Revoked(revocation) => Some(revocation),
            _ => None,
        };
        self.told().into_iter().filter_map(revocation).collect()
    }
}

fn start() -> Timestamp {
    Timestamp::from_seconds(1_800_000_000)
}

fn home() -> IpAddr {
    "192.0.2.7".parse().unwrap()
}

fn api() -> ApiName {
    "pay".parse().unwrap()
}

fn operator() -> AuditActor {
    AuditActor::Operator("alice".to_owned())
}

fn lifetimes() -> SessionLifetimes {
    SessionLifetimes {
        access: ACCESS,
        refresh: REFRESH,
        absolute: ABSOLUTE,
        window: WINDOW,
    }
}

fn terms() -> OwnedSessionTerms {
    let kid = Kid("k1".to_owned());
    OwnedSessionTerms {
        lifetimes: lifetimes(),
        mode: RefreshMode::Rotate,
        active_kid: kid.clone(),
        live_kids: vec![kid],
    }
}

fn partner(login: &str) -> NewAccount {
    NewAccount {
        api: api(),
        id: None,
        credential: NewCredential::new(login, StoredSecret::Key([7; 32])),
        allow: Allowlist::default(),
        limits: AccountLimits::default(),
        active: true,
    }
}

async fn create(store: &Store, login: &str) -> (Account, Credential) {
    store
        .create_account(partner(login), operator())
        .await
        .unwrap()
}

fn opening() -> SessionOpening {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    SessionOpening {
        id: SessionId(u128::from(number).to_be_bytes()),
        seed_hash: SeedHash([number.to_le_bytes()[0]; 32]),
        variant: "v2".to_owned(),
        address: home(),
        user_agent: "partner/1.0".to_owned(),
    }
}

/// Any number of sessions live beside each other.
fn keeps() -> SessionSuccession {
    let limits = ApiLimits {
        sessions: u32::MAX,
        ..ApiLimits::default()
    };
    SessionSuccession {
        new_login: NewLogin::Keeps,
        limits,
    }
}

async fn login(store: &Store, credential: &Credential) -> Session {
    store
        .open_session(opening(), credential.id, terms(), keeps())
        .await
        .unwrap()
}

/// What the session's current refresh token says.
fn refresh_token(session: &Session) -> RefreshClaims {
    RefreshClaims {
        session: session.id,
        generation: session.generation,
        account: session.account,
        epoch: session.epoch,
        seed_hash: session.seed_hash,
        expires_at: session.refresh_expires_at.floor_to_second(),
    }
}

/// What the session's current access token says.
fn access_token(session: &Session) -> AccessClaims {
    AccessClaims {
        session: session.id,
        generation: session.generation,
        account: session.account,
        credential: session.credential,
        epoch: session.epoch,
        expires_at: session.access_expires_at.floor_to_second(),
    }
}

async fn refresh(store: &Store, claims: RefreshClaims) -> RefreshOutcome {
    store.refresh(claims, home(), terms()).await.unwrap()
}

async fn rotate(store: &Store, session: &Session) -> Session {
    let refreshed = refresh(store, refresh_token(session)).await;
    assert_eq!(refreshed.decision.outcome, Ok(()));
    refreshed.decision.session.unwrap()
}

async fn row_of(store: &Store, session: &Session) -> Session {
    store.session(session.id).await.unwrap().unwrap()
}

async fn audit(store: &Store) -> Vec<AuditEntry> {
    store.audit(None, 1_000).await.unwrap()
}

/// The codes of the audit entries that were written while `change` ran.
async fn audited<T>(store: &Store, change: impl Future<Output = T>) -> (T, Vec<String>) {
    let before = audit(store).await.len();
    let result = change.await;
    let entries = audit(store).await;
    (
        result,
        entries
            .into_iter()
            .skip(before)
            .map(|entry| entry.action)
            .collect(),
    )
}

/// Every row of every table.
async fn everything(store: &Store) -> Vec<String> {
    store.read(dump).await.unwrap()
}

fn dump(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let mut rows = Vec::new();
    for table in super::log::all(connection, sql, [], |row| row.get::<_, String>(0))? {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table} ORDER BY 1"))?;
        let columns = statement.column_count();
        let read = statement.query_map([], |row| {
            (0..columns)
                .map(|column| row.get::<_, Value>(column))
                .collect::<Result<Vec<_>, _>>()
        })?;
        for row in read {
            rows.push(format!("{table} {:?}", row?));
        }
    }
    Ok(rows)
}

/// The numbers of the revocation log.
async fn log_numbers(store: &Store) -> Vec<i64> {
    let sql = "SELECT number FROM revocation ORDER BY number";
    store
        .read(move |connection| super::log::all(connection, sql, [], |row| row.get(0)))
        .await
        .unwrap()
}
