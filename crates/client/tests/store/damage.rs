//! Files that are not as they were written: they are kept under another name, and
//! are not an obstacle.

use std::fs;
use std::path::Path;

use countersign_client::{FileStore, SessionStore, StoreError, WriteOutcome};
use countersign_testing::logs::CapturedLog;
use tracing::Level;

use crate::support::{OWNER, Place, key, serial, write};

/// What damage can make of a session file.
fn damages(whole: &[u8]) -> Vec<Vec<u8>> {
    let cuts = (0..whole.len()).map(|length| whole[..length].to_vec());
    let flips = (0..whole.len()).map(|index| {
        let mut bytes = whole.to_vec();
        bytes[index] ^= 1;
        bytes
    });
    let others = [
        vec![0; whole.len()],
        b"{\"serial\": 1}".to_vec(),
        [whole, b"\n"].concat(),
        [b"\xef\xbb\xbf", whole].concat(),
        // Longer than any record, and longer than is read.
        [whole, &[0; 2 << 20]].concat(),
        vec![b'x'; 2 << 20],
    ];
    cuts.chain(flips).chain(others).collect()
}

#[tokio::test]
async fn each_damage_is_told_by_a_look_and_set_aside_by_who_writes() {
    let place = Place::new();
    write(&place.store(), 1).await.unwrap();
    let whole = fs::read(&place.file).unwrap();
    for bytes in damages(&whole) {
        fs::write(&place.file, &bytes).unwrap();
        let told = place.store().read().await.unwrap_err();
        assert!(matches!(told, StoreError::Damaged { .. }), "{told}");
        assert_eq!(
            fs::read(&place.file).unwrap(),
            bytes,
            "a look changes nothing"
        );

        let store = place.store();
        let mut locked = store.lock().await.unwrap();
        assert_eq!(locked.read().await.unwrap(), None);
        let aside = place.state().join("pay.session.damaged");
        assert_eq!(fs::read(&aside).unwrap(), bytes);
        fs::remove_file(aside).unwrap();
        let written = locked.write(&crate::support::record(1)).await.unwrap();
        assert_eq!(written, WriteOutcome::Done);
        assert_eq!(serial(&store).await, Some(1));
    }
}

#[tokio::test]
async fn a_writer_finds_what_was_damaged_since_it_read() {
    let place = Place::new();
    let store = place.store();
    write(&store, 1).await.unwrap();
    let mut locked = store.lock().await.unwrap();
    fs::write(&place.file, "cut").unwrap();
    let lost = locked.write(&crate::support::record(2)).await.unwrap();
    assert_eq!(lost, WriteOutcome::Lost(Box::default()));
    assert!(place.state().join("pay.session.damaged").exists());
}

#[tokio::test]
async fn a_directory_and_another_profiles_file_are_set_aside_too() {
    let place = Place::new();
    write(&place.store(), 1).await.unwrap();
    fs::remove_file(&place.file).unwrap();
    fs::create_dir(&place.file).unwrap();
    fs::write(place.file.join("mine"), "x").unwrap();
    write(&place.store(), 1).await.unwrap();
    assert!(place.state().join("pay.session.damaged/mine").exists());

    let gift = FileStore::open(&place.file, key(1), &["gift", "https://api.example", "ann"]);
    let told = gift.read().await.unwrap_err().to_string();
    assert!(told.contains("another profile"), "{told}");
    write(&gift, 1).await.unwrap();
    assert_eq!(serial(&gift).await, Some(1));
    assert!(place.state().join("pay.session.damaged-2").exists());
}

/// Root can read it all the same.
#[tokio::test]
async fn what_not_even_its_owner_may_read_is_set_aside() {
    let place = Place::new();
    write(&place.store(), 1).await.unwrap();
    crate::support::chmod(&place.file, 0o000);
    let is_root = fs::read(&place.file).is_ok();
    assert_eq!(place.store().read().await.is_ok(), is_root);
    write(&place.store(), if is_root { 2 } else { 1 })
        .await
        .unwrap();
    let aside = place.state().join("pay.session.damaged");
    assert_eq!(aside.exists(), !is_root);
}

#[tokio::test]
async fn damaged_files_do_not_pile_up_without_end() {
    let place = Place::new();
    let aside = || {
        let names = place.names().into_iter();
        names.filter(|it| it.contains("damaged")).count()
    };
    write(&place.store(), 1).await.unwrap();
    for nth in 1..=12 {
        fs::write(&place.file, format!("cut {nth}")).unwrap();
        write(&place.store(), 1).await.unwrap();
        assert_eq!(aside(), nth.min(9));
    }
    let read = |name: &str| fs::read_to_string(place.state().join(name)).unwrap();
    assert_eq!(read("pay.session.damaged"), "cut 1");
    assert_eq!(read("pay.session.damaged-9"), "cut 12");
}

/// Warnings go to the log, for whoever looks after the process.
#[tokio::test]
async fn what_is_set_aside_is_named_in_a_warning() {
    // Files are read on threads of their own.
    let log = CapturedLog::of_this_process(Level::INFO);
    let place = Place::new();
    write(&place.store(), 1).await.unwrap();
    fs::write(&place.file, "cut").unwrap();
    write(&place.store(), 1).await.unwrap();
    let told = log.text();
    let named = |path: &Path| told.contains(&path.display().to_string());
    assert!(named(&place.file), "{told}");
    assert!(named(&place.state().join("pay.session.damaged")), "{told}");
    assert!(told.contains(countersign_client::WARNINGS), "{told}");
}

#[tokio::test]
async fn whatever_another_key_sealed_is_left_even_if_its_seal_is_broken() {
    let place = Place::new();
    write(&place.store(), 1).await.unwrap();
    let mut bytes = fs::read(&place.file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&place.file, &bytes).unwrap();
    let other = FileStore::open(&place.file, key(2), OWNER);
    let refused = write(&other, 1).await.unwrap_err();
    assert!(matches!(refused, StoreError::Sealed { .. }), "{refused}");
    assert_eq!(fs::read(&place.file).unwrap(), bytes);
}
