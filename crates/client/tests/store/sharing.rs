//! Stores that do not see each other's locks, as on some network file systems,
//! and readers while a file is replaced.

use std::fs;
use std::path::PathBuf;

use countersign_client::{FileStore, SessionStore, WriteOutcome};

use crate::support::{OWNER, Place, key, record, serial, write};

/// A store on the same file whose lock is another: a link to the directory of
/// the lock cannot be had, so the lock file is replaced under the holder.
fn lose_locks(place: &Place) {
    fs::remove_file(place.state().join("pay.session.lock")).unwrap();
}

#[tokio::test]
async fn who_lost_its_lock_gets_the_winners_record() {
    let place = Place::new();
    write(&place.store(), 1).await.unwrap();
    let (one, other) = (place.store(), place.store());
    let mut one = one.lock().await.unwrap();
    lose_locks(&place);
    let mut other = other.lock().await.unwrap();
    assert_eq!(one.write(&record(2)).await.unwrap(), WriteOutcome::Done);
    let lost = other.write(&record(2)).await.unwrap();
    assert_eq!(lost, WriteOutcome::Lost(Box::new(record(2))));
    assert_eq!(other.write(&record(3)).await.unwrap(), WriteOutcome::Done);
}

#[tokio::test]
async fn who_lost_its_lock_to_a_logout_gets_nothing() {
    let place = Place::new();
    write(&place.store(), 1).await.unwrap();
    let (one, other) = (place.store(), place.store());
    let mut one = one.lock().await.unwrap();
    lose_locks(&place);
    other.lock().await.unwrap().clear().await.unwrap();
    let lost = one.write(&record(2)).await.unwrap();
    assert_eq!(lost, WriteOutcome::Lost(Box::default()));
}

#[tokio::test]
async fn two_first_writers_without_locks_agree_on_one_record() {
    let place = Place::new();
    let (one, other) = (place.store(), place.store());
    let mut one = one.lock().await.unwrap();
    lose_locks(&place);
    let mut other = other.lock().await.unwrap();
    assert_eq!(one.write(&record(1)).await.unwrap(), WriteOutcome::Done);
    let lost = other.write(&record(1)).await.unwrap();
    assert_eq!(lost, WriteOutcome::Lost(Box::new(record(1))));
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_whole_records_that_never_go_back_while_they_are_replaced() {
    let place = Place::new();
    write(&place.store(), 1).await.unwrap();
    let last = 200;
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let store = place.store();
            tokio::spawn(async move {
                let mut seen = 0;
                while seen < last {
                    let now = serial(&store).await.unwrap();
                    assert!(now >= seen, "{now} after {seen}");
                    seen = now;
                }
            })
        })
        .collect();
    let mut locked = place.store().lock().await.unwrap();
    for serial in 2..=last {
        locked.write(&record(serial)).await.unwrap();
    }
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn two_profiles_in_one_directory_do_not_meet() {
    let place = Place::new();
    let path: PathBuf = place.state().join("gift.session");
    let gift = FileStore::open(path, key(1), &["gift", "https://gift.example", "ann"]);
    let pay = place.store();
    let mut locked = pay.lock().await.unwrap();
    write(&gift, 1).await.unwrap();
    locked.write(&record(1)).await.unwrap();
    locked.clear().await.unwrap();
    assert_eq!(serial(&gift).await, Some(1));
    let again = FileStore::open(&place.file, key(1), OWNER);
    assert_eq!(serial(&again).await, None);
}
