use countersign_domain::Algorithm;
use countersign_domain::key::{KeyRecord, KeyRing, KeyState};

use super::super::{IdempotentOutcome, KeyError, KeyPurpose, MasterKeyProofError, SealedKey};
use super::*;
use crate::seal::MasterKey;

pub(super) fn sealed(kid: &str) -> SealedKey {
    let key = KeyRecord {
        kid: Kid(kid.to_owned()),
        algorithm: Algorithm::Hs256,
        state: KeyState::Active,
        created_at: start(),
    };
    SealedKey {
        key,
        purpose: KeyPurpose::Signing,
        sealed: vec![1, 2, 3],
    }
}

fn master(place: &Place, name: &str) -> MasterKey {
    MasterKey::create(&place.directory.path().join(name)).unwrap()
}

#[tokio::test]
async fn a_wrong_master_key_is_recognised_and_changes_nothing() {
    let place = Place::new();
    let store = place.open();
    let (right, wrong) = (master(&place, "right"), master(&place, "wrong"));
    assert_eq!(store.has_master().await, Ok(false));
    assert_eq!(store.check_master(&right).await, Ok(()));
    assert_eq!(store.has_master().await, Ok(true));
    let before = everything(&store).await;
    assert_eq!(
        store.check_master(&wrong).await,
        Err(MasterKeyProofError::Wrong)
    );
    assert_eq!(everything(&store).await, before);
    store.close().await;
    assert_eq!(place.open().check_master(&right).await, Ok(()));
}

#[tokio::test]
async fn keys_belong_to_their_api_and_their_ids_to_all() {
    let place = Place::new();
    let store = place.open();
    let gift: ApiName = "gift".parse().unwrap();
    let pepper = SealedKey {
        purpose: KeyPurpose::Pepper,
        ..sealed("p1")
    };
    let (made, actions) = audited(
        &store,
        store.insert_key(&api(), sealed("k1"), AuditActor::System),
    )
    .await;
    assert_eq!((made, actions), (Ok(()), vec!["key_rotated".to_owned()]));
    store
        .insert_key(&api(), pepper.clone(), AuditActor::System)
        .await
        .unwrap();
    let taken = store
        .insert_key(&gift, sealed("k1"), AuditActor::System)
        .await;
    assert_eq!(taken, Err(KeyError::KidTaken));
    assert_eq!(store.keys(&api()).await, Ok(vec![sealed("k1"), pepper]));
    assert_eq!(store.keys(&gift).await, Ok(vec![]));
}

#[tokio::test]
async fn a_ring_moves_on_in_one_commit() {
    let place = Place::new();
    let store = place.open();
    let mut next = sealed("k2");
    next.key.state = KeyState::Pending;
    store
        .insert_key(&api(), sealed("k1"), AuditActor::System)
        .await
        .unwrap();
    store
        .insert_key(&api(), next.clone(), AuditActor::System)
        .await
        .unwrap();
    let ring = KeyRing::new(vec![sealed("k1").key, next.key], start()).unwrap();
    let ring = ring.rotate(ACCESS, start()).unwrap();

    let pay = api();
    let replace = || store.replace_ring(&pay, ring.clone(), None, operator(), None);
    let (done, actions) = audited(&store, replace()).await;
    let rotated = vec!["key_rotated".to_owned()];
    assert_eq!((done, actions), (Ok(IdempotentOutcome::New(())), rotated));
    let states = async || {
        let keys = store.keys(&api()).await.unwrap();
        keys.into_iter()
            .map(|key| key.key.state)
            .collect::<Vec<_>>()
    };
    let expected = [
        KeyState::Retiring {
            until: start() + ACCESS,
        },
        KeyState::Active,
    ];
    assert_eq!(states().await, expected);
    assert_eq!(
        audited(&store, replace()).await,
        (Ok(IdempotentOutcome::New(())), vec![]),
        "the same ring again"
    );
    assert_eq!(place.revoked(), [], "a key that retires still verifies");

    let gift: ApiName = "gift".parse().unwrap();
    let foreign = store
        .replace_ring(&gift, ring, None, operator(), None)
        .await;
    assert_eq!(foreign, Err(KeyError::NoKey));
    assert_eq!(states().await, expected);
}

#[tokio::test]
async fn a_killed_key_is_revoked_until_no_token_of_it_can_live() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    store
        .insert_key(&api(), sealed("k1"), AuditActor::System)
        .await
        .unwrap();
    store
        .insert_key(&api(), sealed("k2"), AuditActor::System)
        .await
        .unwrap();
    let session = login(&store, &credential).await;
    place.clock.advance(SECOND);
    let longest = rotate(&store, &session).await.refresh_expires_at;
    place.told();

    let killed = KeyRecord {
        state: KeyState::Killed,
        ..sealed("k1").key
    };
    let ring = KeyRing::new(vec![killed.clone(), sealed("k2").key], start()).unwrap();
    store
        .replace_ring(&api(), ring.clone(), None, operator(), None)
        .await
        .unwrap();
    let revocation = Revocation::Key {
        kid: killed.kid,
        until: longest,
    };
    assert_eq!(place.revoked(), std::slice::from_ref(&revocation));
    let pay = api();
    let again = store.replace_ring(&pay, ring, None, operator(), None);
    again.await.unwrap();
    assert_eq!(place.revoked(), [], "it was dead already");
    assert_eq!(
        store.snapshot().await.unwrap().pop(),
        Some(RevocationNotice::Revoked(revocation))
    );
}

#[tokio::test]
async fn sealed_records_that_were_swapped_between_rows_do_not_open() {
    let place = Place::new();
    let store = place.open();
    let master = master(&place, "master");
    for kid in ["k1", "k2"] {
        let mut key = sealed(kid);
        key.sealed = master.seal(&key.context(&api()), kid.as_bytes()).unwrap();
        store
            .insert_key(&api(), key, AuditActor::System)
            .await
            .unwrap();
    }
    let opens = async || {
        let keys = store.keys(&api()).await.unwrap();
        let open = |key: &SealedKey| {
            master
                .open_sealed(&key.context(&api()), &key.sealed)
                .is_ok()
        };
        keys.iter().map(open).collect::<Vec<_>>()
    };
    assert_eq!(opens().await, [true, true]);
    let keys = store.keys(&api()).await.unwrap();
    for (kid, other) in [("k1", &keys[1]), ("k2", &keys[0])] {
        let swap = "UPDATE signing_key SET sealed = ?2 WHERE kid = ?1";
        let sealed = other.sealed.clone();
        store
            .write(move |work| work.execute_one(swap, (kid, &sealed)))
            .await
            .unwrap();
    }
    assert_eq!(opens().await, [false, false]);
}
