//! A clock that was wrong, and what it left.

use std::collections::BTreeMap;
use std::fs;

use countersign_domain::key::{KeyRecord, KeyState};
use countersign_domain::session::SessionState;
use countersign_domain::{Algorithm, ApiScope, Role};

use super::super::{
    ClockMending, ExclusiveStore, KeyPurpose, OpenError, SealedKey, StoredAdminKey,
};
use super::*;
use crate::seal::MasterKey;

const TEN_YEARS: Duration = Duration::from_secs(3_650 * 86_400);

/// Every file beside the store, with its bytes.
fn files(place: &Place) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(place.directory.path()).unwrap();
    let read = entries.map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read(&path).unwrap())
    });
    read.collect()
}

fn key(place: &Place) -> MasterKey {
    MasterKey::open_or_create(&place.directory.path().join("master.key")).unwrap()
}

#[tokio::test]
async fn the_master_key_is_proved_before_a_byte_is_changed() {
    let place = Place::new();
    let master = key(&place);
    assert!(ExclusiveStore::at(&place.path()).unwrap().head().is_none());
    let store = place.open();
    assert!(ExclusiveStore::at(&place.path()).is_err(), "it is open");
    store.check_master(&master).await.unwrap();
    create(&store, "p").await;
    store.close().await;
    let before = files(&place);
    {
        let locked = ExclusiveStore::at(&place.path()).unwrap();
        let head = locked.head().unwrap();
        assert!(head.has_master() && head.is_master(&master));
        assert!(!head.is_master(&MasterKey::unkept().unwrap()));
        assert_eq!(head.high_water, place.clock.now());
        assert!(matches!(
            ExclusiveStore::at(&place.path()),
            Err(OpenError::Locked(_))
        ));
    }
    assert_eq!(files(&place), before);
}

#[tokio::test]
async fn a_store_whose_process_was_killed_is_read_with_what_its_wal_holds() {
    let place = Place::new();
    let master = key(&place);
    let store = place.open();
    store.check_master(&master).await.unwrap();
    // What a killed process leaves: the files as they are while it runs.
    let killed = Place::new();
    for (name, bytes) in files(&place) {
        if !name.ends_with("-shm") {
            fs::write(killed.directory.path().join(name), bytes).unwrap();
        }
    }
    let before = files(&killed);
    assert!(
        before["store.db-wal"].len() > 4_096,
        "the commit is in the WAL"
    );
    for _ in 0..2 {
        let locked = ExclusiveStore::at(&killed.path()).unwrap();
        assert!(locked.head().unwrap().is_master(&master));
        drop(locked);
        assert_eq!(files(&killed), before);
    }
    store.close().await;
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_left_as_it_is() {
    for bytes in [
        &b"not a database, but long enough to be one"[..],
        &[0; 4_096],
    ] {
        let place = Place::new();
        fs::write(place.path(), bytes).unwrap();
        let refused = ExclusiveStore::at(&place.path()).err();
        assert!(
            matches!(refused, Some(OpenError::NotAStore(_))),
            "{refused:?}"
        );
        assert_eq!(fs::read(place.path()).unwrap(), bytes);
    }
}

/// A store on which the clock was ten years ahead for a while.
async fn ahead(place: &Place) -> (Timestamp, Session, Session) {
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    let before = login(&store, &credential).await;
    let made = |name: &str, ends: Option<Duration>| StoredAdminKey {
        id: name.to_owned(),
        name: name.to_owned(),
        role: Role::Read,
        scope: ApiScope::All,
        hash: [7; 32],
        created_at: place.clock.now(),
        expires_at: ends.map(|ends| place.clock.now() + ends),
    };
    for (name, ends) in [("a year", Some(TEN_YEARS / 10)), ("for ever", None)] {
        let kept = store.create_admin_key(made(name, ends), operator(), None);
        kept.await.unwrap();
    }
    let right = place.clock.now();
    place.clock.advance(TEN_YEARS);
    let wrong = login(&store, &credential).await;
    let meanwhile = made("meanwhile", Some(TEN_YEARS));
    store
        .create_admin_key(meanwhile, operator(), None)
        .await
        .unwrap();
    for (kid, state) in [
        ("active", KeyState::Active),
        (
            "retiring",
            KeyState::Retiring {
                until: place.clock.now() + ACCESS,
            },
        ),
    ] {
        let key = KeyRecord {
            kid: Kid(kid.to_owned()),
            algorithm: Algorithm::Hs256,
            state,
            created_at: place.clock.now(),
        };
        let purpose = KeyPurpose::Signing;
        let sealed = SealedKey {
            key,
            purpose,
            sealed: vec![1],
        };
        store.insert_key(&api(), sealed, operator()).await.unwrap();
    }
    assert_eq!(account.name, "p");
    store.close().await;
    (right, before, wrong)
}

async fn plan(place: &Place, to: Timestamp) -> ClockMending {
    let locked = ExclusiveStore::at(&place.path()).unwrap();
    ClockMending::plan(locked, to).await.unwrap()
}

#[tokio::test]
async fn a_mark_that_a_wrong_clock_moved_is_set_back_and_ends_what_was_given_out() {
    let place = Place::new();
    let (right, ..) = ahead(&place).await;
    let to = right + Duration::from_secs(60);
    let mending = plan(&place, to).await;
    let planned = mending.planned().clone();
    assert_eq!((planned.from, planned.to), (right + TEN_YEARS, to));
    assert_eq!((planned.accounts, planned.sessions), (1, 2));
    assert_eq!(planned.retired_keys, ["retiring"]);
    assert_eq!(planned.ended_admin_keys, ["meanwhile"]);
    assert_eq!(planned.revived_admin_keys, ["a year"]);
    assert_eq!(mending.mend().await.unwrap(), planned);

    let right = Place {
        clock: StoreClock::manual(to),
        ..place
    };
    let store = right.open();
    assert_eq!(store.now(), to, "time goes on from there");
    let (account, credential) = {
        let found = store.credential_by_login(&api(), "p").await.unwrap();
        let (account, credential) = found.unwrap();
        (account, credential)
    };
    let sessions = store.sessions(account.id, None, 9).await.unwrap();
    assert!(
        sessions
            .iter()
            .all(|it| matches!(it.state, SessionState::Ended { .. })),
        "{sessions:?}"
    );
    assert!(login(&store, &credential).await.epoch > sessions[0].epoch);
    let keys = store.keys(&api()).await.unwrap();
    assert!(keys.iter().all(|it| it.key.created_at <= to));
    let retired = KeyState::Retiring { until: to };
    assert!(keys.iter().any(|it| it.key.state == retired));
    let ends = |name: &'static str| {
        let store = store.clone();
        async move { store.admin_key(name).await.unwrap().unwrap().expires_at }
    };
    assert_eq!(ends("meanwhile").await, Some(to));
    assert!(ends("a year").await.unwrap() > to);
    assert_eq!(ends("for ever").await, None);
    let log = store.audit(None, 100).await.unwrap();
    let mended: Vec<_> = log
        .iter()
        .filter(|it| it.action == "clock_mended")
        .collect();
    assert_eq!(mended.len(), 1);
    assert_eq!(mended[0].at, to);
}

#[tokio::test]
async fn who_only_looks_at_what_mending_would_do_changes_no_mark() {
    let place = Place::new();
    let (right, ..) = ahead(&place).await;
    let before = ExclusiveStore::at(&place.path()).unwrap();
    let mark = before.head().unwrap().high_water;
    drop(before);
    plan(&place, right).await.leave().await;
    let after = ExclusiveStore::at(&place.path()).unwrap();
    assert_eq!(after.head().unwrap().high_water, mark);
}
