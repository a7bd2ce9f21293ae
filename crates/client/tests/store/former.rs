//! Files that an older release left under the name of the profile alone. The
//! fixture was written by that release, with key 1 for `OWNER`.

use std::fs;
use std::path::PathBuf;

use countersign_client::{FileStore, SessionOwner, SessionStore, StoreError, WriteOutcome};

use crate::support::{Place, chmod, key, record};

const FORMER: &[u8] = include_bytes!("fixtures/first-format.session");

fn owner() -> SessionOwner {
    SessionOwner {
        profile: "pay".into(),
        url: "https://api.example".into(),
        auth_url: "https://api.example".into(),
        login: "ann".into(),
        dialect: "b2binpay".into(),
        ..SessionOwner::default()
    }
}

/// A directory in which an older release kept a session.
struct Upgraded(Place);

impl Upgraded {
    fn new() -> Self {
        let place = Place::new();
        fs::create_dir(place.state()).unwrap();
        chmod(place.state(), 0o700);
        let upgraded = Self(place);
        upgraded.leave(FORMER);
        upgraded
    }

    fn leave(&self, bytes: &[u8]) {
        fs::write(&self.0.file, bytes).unwrap();
        chmod(&self.0.file, 0o600);
    }

    fn store(&self, owner: &SessionOwner) -> FileStore {
        FileStore::in_directory(self.0.state(), key(1), owner.clone())
    }

    fn named(&self) -> PathBuf {
        owner().file(self.0.state())
    }
}

async fn token(store: &FileStore) -> Option<String> {
    let tokens = store.read().await.unwrap()?.tokens?;
    Some(tokens.access_token.expose().to_owned())
}

#[tokio::test]
async fn the_session_goes_on_under_its_new_name_and_format() {
    let place = Upgraded::new();
    let store = place.store(&owner());
    assert_eq!(token(&store).await.as_deref(), Some("kept-access"));
    assert!(place.0.file.exists(), "a look changes nothing");

    let mut locked = store.lock().await.unwrap();
    let kept = locked.read().await.unwrap().unwrap();
    assert_eq!((kept.serial, kept.spent), (1, 3));
    assert!(!place.0.file.exists());
    let bytes = fs::read(place.named()).unwrap();
    for readable in ["https://api.example", "ann", "b2binpay"] {
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains(readable), "{readable}");
        assert!(!text.contains("kept-"));
    }
    let next = countersign_client::SessionRecord { serial: 2, ..kept };
    assert_eq!(locked.write(&next).await.unwrap(), WriteOutcome::Done);
    drop(locked);
    assert_eq!(
        token(&place.store(&owner())).await.as_deref(),
        Some("kept-access")
    );
}

/// The name changes in one step; whoever is killed after it has left the old
/// format under the new name.
#[tokio::test]
async fn a_crash_in_the_middle_loses_nothing() {
    let place = Upgraded::new();
    fs::rename(&place.0.file, place.named()).unwrap();
    let draft = format!("{}.0a.draft", place.named().display());
    fs::write(&draft, &FORMER[..40]).unwrap();
    let store = place.store(&owner());
    assert_eq!(token(&store).await.as_deref(), Some("kept-access"));
    let mut locked = store.lock().await.unwrap();
    let kept = locked.read().await.unwrap().unwrap();
    let next = countersign_client::SessionRecord { serial: 2, ..kept };
    assert_eq!(locked.write(&next).await.unwrap(), WriteOutcome::Done);
    assert_eq!(token(&store).await.as_deref(), Some("kept-access"));
    assert!(!PathBuf::from(draft).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_take_it_over_at_once_all_go_on_with_it() {
    let place = Upgraded::new();
    let looks: Vec<_> = (0..8).map(|_| place.store(&owner())).collect();
    let all = looks.into_iter().map(|store| {
        tokio::spawn(async move {
            let seen = token(&store).await;
            let mut locked = store.lock().await.unwrap();
            let kept = locked.read().await.unwrap().unwrap();
            let next = countersign_client::SessionRecord {
                serial: kept.serial + 1,
                ..kept
            };
            assert_eq!(locked.write(&next).await.unwrap(), WriteOutcome::Done);
            seen
        })
    });
    for one in all.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap().as_deref(), Some("kept-access"));
    }
    let kept = place.store(&owner()).read().await.unwrap().unwrap();
    assert_eq!(kept.serial, 9);
}

#[tokio::test]
async fn what_was_of_another_url_or_login_is_no_obstacle_and_stays() {
    let place = Upgraded::new();
    let others = [
        SessionOwner {
            login: "bob".into(),
            ..owner()
        },
        SessionOwner {
            auth_url: "https://api.test".into(),
            ..owner()
        },
    ];
    for other in others {
        let store = place.store(&other);
        assert_eq!(store.read().await.unwrap(), None);
        let mut locked = store.lock().await.unwrap();
        assert_eq!(locked.read().await.unwrap(), None);
        assert_eq!(locked.write(&record(1)).await.unwrap(), WriteOutcome::Done);
        assert_eq!(fs::read(&place.0.file).unwrap(), FORMER);
    }
    assert_eq!(
        token(&place.store(&owner())).await.as_deref(),
        Some("kept-access")
    );
}

#[tokio::test]
async fn a_damaged_one_is_set_aside_and_one_of_another_key_is_not() {
    let place = Upgraded::new();
    place.leave(&FORMER[..FORMER.len() - 1]);
    let store = place.store(&owner());
    assert!(matches!(
        store.read().await,
        Err(StoreError::Damaged { .. })
    ));
    let mut locked = store.lock().await.unwrap();
    assert_eq!(locked.read().await.unwrap(), None);
    let aside = place.0.state().join("pay.session.damaged");
    assert_eq!(fs::read(aside).unwrap(), FORMER[..FORMER.len() - 1]);
    drop(locked);

    place.leave(FORMER);
    let other_key = FileStore::in_directory(place.0.state(), key(2), owner());
    let refused = other_key.lock().await.err().unwrap();
    assert!(matches!(refused, StoreError::Sealed { .. }), "{refused}");
    assert_eq!(fs::read(&place.0.file).unwrap(), FORMER);
}

/// An older release may run beside this one for a while.
#[tokio::test]
async fn a_file_that_comes_later_does_not_take_the_place_of_the_session() {
    let place = Upgraded::new();
    let store = place.store(&owner());
    drop(store.lock().await.unwrap());
    place.leave(FORMER);
    let mut locked = store.lock().await.unwrap();
    let kept = locked.read().await.unwrap().unwrap();
    let next = countersign_client::SessionRecord { serial: 2, ..kept };
    assert_eq!(locked.write(&next).await.unwrap(), WriteOutcome::Done);
    drop(locked);
    drop(store.lock().await.unwrap());
    assert_eq!(store.read().await.unwrap().unwrap().serial, 2);
    assert!(place.0.file.exists());
}
