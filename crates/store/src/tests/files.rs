use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use countersign_domain::Reason;
use countersign_domain::session::SessionChange;

use super::super::{OpenError, StoreUnavailable};
use super::*;

fn refused(place: &Place) -> OpenError {
    let notify = Box::new(|_: &[RevocationNotice]| ());
    match Store::open_quiet(&place.path(), place.clock.clone(), notify) {
        Ok(_) => unreachable!("the store opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    let session = rotate(&store, &login(&store, &credential).await).await;
    store.close().await;

    let store = place.open();
    assert_eq!(store.account(account.id).await, Ok(Some(account)));
    assert_eq!(row_of(&store, &session).await, session);
    rotate(&store, &session).await;
}

#[tokio::test]
async fn a_closed_store_answers_at_once_that_it_is() {
    let place = Place::new();
    let store = place.open();
    let (account, _) = create(&store, "p").await;
    store.clone().close().await;
    let stopped = StoreUnavailable::Stopped;
    assert_eq!(store.ready().await, Err(stopped));
    assert_eq!(store.account(account.id).await, Err(stopped));
    assert_eq!(
        store.end_sessions(account.id, operator()).await,
        Err(stopped)
    );
    assert_eq!(place.open().ready().await, Ok(()));
}

#[tokio::test]
async fn closing_puts_the_wal_away_and_writes_the_uses_that_wait() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    let session = login(&store, &credential).await;
    store.mark_used(session.id, 0);
    store.close().await;
    assert!(!place.directory.path().join("store.db-wal").exists());
    assert!(row_of(&place.open(), &session).await.used);
}

/// What kill -9 leaves: the files as they are at some instant, the WAL in the
/// order in which it grows.
fn copy_as_killed(from: &Place, to: &Path) {
    fs::copy(
        from.directory.path().join("store.db-wal"),
        to.join("store.db-wal"),
    )
    .unwrap();
    fs::copy(from.path(), to.join("store.db")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_kept_its_last_reply_goes_on_after_a_kill_in_mid_load() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    let mut clients = Vec::new();
    let running = Arc::new(AtomicBool::new(true));
    let kept: Arc<Mutex<Vec<Session>>> = Arc::default();
    for index in 0..16 {
        let session = login(&store, &credential).await;
        kept.lock().unwrap().push(session.clone());
        let (store, running, kept) = (store.clone(), running.clone(), kept.clone());
        clients.push(tokio::spawn(async move {
            let mut session = session;
            while running.load(Ordering::SeqCst) {
                session = rotate(&store, &session).await;
                kept.lock().unwrap()[index] = session.clone();
            }
        }));
    }
    while kept
        .lock()
        .unwrap()
        .iter()
        .map(|session| session.generation)
        .sum::<u32>()
        < 400
    {
        tokio::task::yield_now().await;
    }
    // The replies first, then the files: each reply's commit must be in them.
    // Nothing is checkpointed in so short a load, so the copies belong together.
    let replies = kept.lock().unwrap().clone();
    let killed = Place::new();
    copy_as_killed(&place, killed.directory.path());
    running.store(false, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }

    let store = killed.open();
    for reply in replies {
        let row = row_of(&store, &reply).await;
        assert!(
            row.generation >= reply.generation,
            "an answered rotation is durable"
        );
        let next = refresh(&store, refresh_token(&reply)).await.decision;
        if row.generation <= reply.generation + 1 {
            assert_eq!(next.outcome, Ok(()));
        } else {
            assert_eq!(
                next.outcome,
                Err(Reason::Reuse),
                "it had a later reply in its hand"
            );
        }
    }
}

#[tokio::test]
async fn a_client_whose_reply_died_with_the_server_gets_it_from_the_next() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    let session = login(&store, &credential).await;
    let lost = rotate(&store, &session).await;
    let killed = Place::new();
    copy_as_killed(&place, killed.directory.path());

    let store = killed.open();
    let again = refresh(&store, refresh_token(&session)).await.decision;
    assert_eq!(
        (again.change, again.outcome),
        (SessionChange::Replayed, Ok(()))
    );
    assert_eq!(
        Session {
            replays: 0,
            ..again.session.unwrap()
        },
        lost
    );
}

#[tokio::test]
async fn a_wal_that_was_cut_off_loses_its_last_commit_and_no_other() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    let first = login(&store, &credential).await;
    let second = login(&store, &credential).await;
    let killed = Place::new();
    copy_as_killed(&place, killed.directory.path());
    let wal = killed.directory.path().join("store.db-wal");
    let length = fs::metadata(&wal).unwrap().len();
    fs::File::options()
        .write(true)
        .open(&wal)
        .unwrap()
        .set_len(length - 1)
        .unwrap();

    let store = killed.open();
    assert_eq!(row_of(&store, &first).await, first);
    assert_eq!(store.session(second.id).await, Ok(None));
    assert_eq!(audit(&store).await.len(), 2);
}

#[tokio::test]
async fn time_goes_on_from_where_it_was_when_the_systems_clock_was_set_back() {
    let place = Place::new();
    let store = place.open();
    store.begin_upkeep().unwrap();
    let (_, credential) = create(&store, "p").await;
    let session = login(&store, &credential).await;
    // An hour in which requests are only guarded, and nothing is committed.
    place.clock.advance(ACCESS);
    let closed_at = store.now();
    store.close().await;

    let behind = Place {
        clock: StoreClock::manual(Timestamp::from_seconds(1)),
        ..place
    };
    let store = behind.open();
    assert_eq!(store.now(), closed_at, "dead access tokens stay dead");
    rotate(&store, &session).await;
}

#[tokio::test]
async fn a_second_process_is_told_that_the_store_is_open() {
    let place = Place::new();
    let store = place.open();
    let error = refused(&place);
    assert!(matches!(error, OpenError::Locked(_)), "{error}");
    assert!(error.help().unwrap().contains("stop that process"));
    drop(store);
    place.open();
}

#[tokio::test]
async fn a_store_of_a_later_release_is_left_alone() {
    let place = Place::new();
    place.open().close().await;
    let connection = Connection::open(place.path()).unwrap();
    let later =
        "INSERT INTO refinery_schema_history VALUES (999, 'later', '2030-01-01T00:00:00Z', '1')";
    connection.execute(later, []).unwrap();
    drop(connection);
    let error = refused(&place);
    assert!(
        matches!(error, OpenError::Newer { found: 999, .. }),
        "{error}"
    );
    assert!(error.help().unwrap().contains("at least as new"));
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_as_it_is() {
    let place = Place::new();
    for bytes in [
        &b"not a database, but long enough to be looked at as one "[..],
        &[0xff; 8_192],
    ] {
        fs::write(place.path(), bytes.repeat(20)).unwrap();
        let error = refused(&place);
        assert!(matches!(error, OpenError::NotAStore(_)), "{error}");
        assert_eq!(fs::read(place.path()).unwrap(), bytes.repeat(20));
    }
}

#[test]
fn a_database_of_another_program_is_refused_and_left_as_it_is() {
    let place = Place::new();
    Connection::open(place.path())
        .unwrap()
        .execute("CREATE TABLE theirs (x)", [])
        .unwrap();
    let before = fs::read(place.path()).unwrap();
    let error = refused(&place);
    assert!(matches!(error, OpenError::NotAStore(_)), "{error}");
    assert_eq!(fs::read(place.path()).unwrap(), before);
}

#[tokio::test]
async fn a_damaged_store_says_to_restore_it() {
    let place = Place::new();
    let store = place.open();
    create(&store, "p").await;
    store.close().await;
    let mut bytes = fs::read(place.path()).unwrap();
    bytes[100..4_096].fill(0xab);
    fs::write(place.path(), bytes).unwrap();
    let error = refused(&place);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert_eq!(error.help(), Some("restore it from a backup"));
}

#[test]
fn a_file_that_a_crash_left_empty_becomes_a_store() {
    let place = Place::new();
    fs::write(place.path(), b"").unwrap();
    place.open();
}

#[test]
fn a_missing_directory_is_named() {
    let place = Place::new();
    let path = place.directory.path().join("nowhere/store.db");
    let error = Store::open(&path, StoreClock::manual(start()), |_| ())
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
    assert!(error.to_string().contains("nowhere"));
}

#[tokio::test]
async fn the_files_are_their_owners_alone() {
    let place = Place::new();
    fs::write(place.path(), b"").unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o644)).unwrap();
    let store = place.open();
    create(&store, "p").await;
    let files = fs::read_dir(place.directory.path()).unwrap();
    let mut names = Vec::new();
    for file in files {
        let file = file.unwrap();
        assert_eq!(
            file.metadata().unwrap().mode() & 0o777,
            0o600,
            "{:?}",
            file.path()
        );
        names.push(file.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(
        names,
        ["store.db", "store.db-shm", "store.db-wal", "store.db.lock"]
    );
}

#[tokio::test]
async fn secrets_are_in_no_file() {
    let place = Place::new();
    let store = place.open();
    let master = crate::seal::MasterKey::create(&place.directory.path().join("master")).unwrap();
    let plain = b"the planted signing key";
    let mut key = super::keys::sealed("k1");
    key.sealed = master.seal(&key.context(&api()), plain).unwrap();
    store.insert_key(&api(), key, operator()).await.unwrap();
    for name in ["store.db", "store.db-wal"] {
        let bytes = fs::read(place.directory.path().join(name)).unwrap();
        assert!(
            !bytes.windows(plain.len()).any(|window| window == plain),
            "{name}"
        );
    }
}
