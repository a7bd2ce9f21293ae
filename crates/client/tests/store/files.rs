//! What lies on the disk, and what is refused.

use std::fs;
use std::os::unix::fs::{chown, symlink};

use countersign_client::{FileStore, SessionRecord, SessionStore, StoreError, WriteOutcome};

use crate::support::{OWNER, Place, chmod, key, mode, record, serial, write};

#[tokio::test]
async fn nothing_is_kept_and_nothing_made_before_the_first_write() {
    let place = Place::new();
    assert_eq!(place.store().read().await.unwrap(), None);
    assert!(!place.state().exists());
}

#[tokio::test]
async fn what_is_kept_is_its_owners_alone_and_nothing_else_is_left_behind() {
    let place = Place::new();
    for serial in 1..=3 {
        write(&place.store(), serial).await.unwrap();
    }
    assert_eq!(place.names(), ["pay.session", "pay.session.lock"]);
    assert_eq!(mode(place.state()), 0o700);
    for name in place.names() {
        assert_eq!(mode(&place.state().join(&name)), 0o600, "{name}");
    }
    assert_eq!(serial(&place.store()).await, Some(3));
}

#[tokio::test]
async fn a_draft_of_a_killed_writer_goes_with_the_next_one() {
    let place = Place::new();
    write(&place.store(), 1).await.unwrap();
    fs::write(place.state().join("pay.session.0a.draft"), "cut").unwrap();
    fs::write(place.state().join("pay.sessions"), "other").unwrap();
    write(&place.store(), 2).await.unwrap();
    let left = ["pay.session", "pay.session.lock", "pay.sessions"];
    assert_eq!(place.names(), left);
}

#[tokio::test]
async fn forgetting_leaves_the_lock_alone() {
    let place = Place::new();
    let store = place.store();
    write(&store, 1).await.unwrap();
    let mut locked = store.lock().await.unwrap();
    fs::write(place.state().join("pay.session.0a.draft"), "cut").unwrap();
    locked.clear().await.unwrap();
    locked.clear().await.unwrap();
    assert_eq!(place.names(), ["pay.session.lock"]);
    assert_eq!(locked.read().await.unwrap(), None);
}

#[tokio::test]
async fn another_key_is_told_and_its_file_left_as_it_is() {
    let place = Place::new();
    write(&place.store(), 1).await.unwrap();
    let before = fs::read(&place.file).unwrap();
    let other_key = FileStore::open(&place.file, key(2), OWNER);
    let read = other_key.read().await.unwrap_err();
    let written = write(&other_key, 1).await.unwrap_err();
    for refused in [read, written] {
        assert!(matches!(refused, StoreError::Sealed { .. }), "{refused}");
        assert!(refused.to_string().contains("another key"), "{refused}");
    }
    assert_eq!(fs::read(&place.file).unwrap(), before);
}

#[tokio::test]
async fn what_others_can_read_or_enter_is_refused_with_the_remedy() {
    for (name, bad, remedy) in [
        ("pay.session", 0o640, "chmod 600"),
        ("pay.session", 0o604, "chmod 600"),
        ("", 0o755, "chmod 700"),
        ("", 0o770, "chmod 700"),
    ] {
        let place = Place::new();
        write(&place.store(), 1).await.unwrap();
        chmod(&place.state().join(name), bad);
        let read = place.store().read().await.unwrap_err();
        let written = write(&place.store(), 2).await.unwrap_err();
        for refused in [read, written] {
            assert!(matches!(refused, StoreError::Exposed { .. }), "{refused}");
            let help = refused.help().unwrap();
            assert!(help.contains(remedy), "{help}");
        }
    }
}

#[tokio::test]
async fn a_link_in_place_of_the_file_is_set_aside_and_not_followed() {
    for lead in ["target", "nowhere", "state/pay.session"] {
        let place = Place::new();
        write(&place.store(), 1).await.unwrap();
        let target = place.root().join("target");
        fs::rename(&place.file, &target).unwrap();
        symlink(place.root().join(lead), &place.file).unwrap();
        let before = fs::read(&target).unwrap();
        let told = place.store().read().await.unwrap_err();
        assert!(matches!(told, StoreError::Damaged { .. }), "{told}");
        assert!(place.file.is_symlink(), "a look changes nothing");
        write(&place.store(), 1).await.unwrap();
        assert!(place.state().join("pay.session.damaged").is_symlink());
        assert!(!place.file.is_symlink());
        assert_eq!(fs::read(&target).unwrap(), before);
    }
}

#[tokio::test]
async fn a_link_in_place_of_the_lock_is_not_followed() {
    let place = Place::new();
    write(&place.store(), 1).await.unwrap();
    let lock = place.state().join("pay.session.lock");
    let target = place.root().join("target");
    fs::rename(&lock, &target).unwrap();
    symlink(&target, &lock).unwrap();
    let refused = write(&place.store(), 2).await.unwrap_err();
    assert!(matches!(refused, StoreError::Io { .. }), "{refused}");
    assert!(lock.is_symlink());
}

#[tokio::test]
async fn what_is_no_directory_is_told() {
    let place = Place::new();
    let file = place.root().join("file");
    fs::write(&file, "").unwrap();
    let below = FileStore::open(file.join("pay.session"), key(1), OWNER);
    let told = write(&below, 1).await.unwrap_err().to_string();
    assert!(told.contains("cannot be"), "{told}");
}

/// As when root calls for a user: a file of root's would lock the user out.
/// Only root can set this up.
#[tokio::test]
async fn nothing_is_written_into_the_directory_of_another_user() {
    let place = Place::new();
    fs::create_dir(place.state()).unwrap();
    chmod(place.state(), 0o700);
    if chown(place.state(), Some(12_345), None).is_err() {
        return;
    }
    let told = write(&place.store(), 1).await.unwrap_err().to_string();
    assert!(told.contains("12345"), "{told}");
    assert!(place.names().is_empty(), "{:?}", place.names());
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_leaves_the_old_record() {
    let place = Place::new();
    let store = place.store();
    write(&store, 1).await.unwrap();
    let mut locked = store.lock().await.unwrap();
    // Root writes everywhere, except where there is no directory any more.
    let away = place.root().join("away");
    fs::rename(place.state(), &away).unwrap();
    fs::write(place.state(), "").unwrap();
    let refused = locked.write(&record(2)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Io { .. }), "{refused}");
    fs::remove_file(place.state()).unwrap();
    fs::rename(&away, place.state()).unwrap();
    assert_eq!(serial(&store).await, Some(1));
    assert_eq!(locked.write(&record(2)).await.unwrap(), WriteOutcome::Done);
}

#[tokio::test]
async fn no_secret_lies_open_in_the_file() {
    let place = Place::new();
    let store = place.store();
    let tokens = countersign_client::TokenSet {
        access_token: "PLANTED-access".into(),
        refresh_token: Some("PLANTED-refresh".into()),
        asked_at: Default::default(),
        expires_at: Default::default(),
        refresh_expires_at: None,
        stated_expires_at: None,
        stated_refresh_expires_at: None,
        logged_in_at: Default::default(),
        client_id: None,
        login: Some("PLANTED-login".into()),
        extra: Default::default(),
    };
    let record = SessionRecord {
        tokens: Some(tokens),
        ..record(1)
    };
    store.lock().await.unwrap().write(&record).await.unwrap();
    let bytes = fs::read(&place.file).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("PLANTED"));
    assert_eq!(store.read().await.unwrap(), Some(record));
}
