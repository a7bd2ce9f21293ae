//! What is kept, and that it is kept before it is used.

use std::time::Duration;

use countersign_client::{Clock, ErrorKind, SessionStore, TokenEventKind, TokenSource};
use countersign_dialect::Secret;
use countersign_domain::{Refusal, TokenOperation};

use crate::stores::Moody;
use crate::vendor::{Play, Vendor, access, at_once, refresh, token, until};

fn sources(vendor: &std::sync::Arc<Vendor>) -> (Moody, TokenSource) {
    let store = Moody::default();
    let source = vendor.client().store(store.clone()).build().unwrap();
    (store, source)
}

#[tokio::test(start_paused = true)]
async fn new_tokens_that_cannot_be_written_are_not_handed_out_and_not_lost() {
    let vendor = Vendor::speaking("mypopup");
    let (store, source) = sources(&vendor);
    // The first write says what is asked, the next three are tries to write the
    // outcome.
    store.fail_after(1, 3);
    let error = token(&source).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Store);
    assert!(
        error.message.contains("is not used before it is"),
        "{error}"
    );
    assert_eq!(store.record().await.tokens, None);
    vendor.clock.advance(Duration::from_secs(6));
    assert_eq!(token(&source).await, Ok(access(10)));
    assert!(store.record().await.tokens.is_some());
    assert_eq!(vendor.asked(), [TokenOperation::Login]);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_once_is_tried_again() {
    let vendor = Vendor::speaking("mypopup");
    let (store, source) = sources(&vendor);
    store.fail_after(1, 2);
    assert_eq!(token(&source).await, Ok(access(10)));
}

#[tokio::test]
async fn nothing_is_sent_before_it_is_written_that_it_will_be() {
    let vendor = Vendor::speaking("mypopup");
    let (store, source) = sources(&vendor);
    store.fail_after(0, 1);
    let error = token(&source).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Store);
    assert_eq!(vendor.asked(), []);
}

#[tokio::test]
async fn a_token_is_used_while_it_cannot_be_renewed() {
    let vendor = Vendor::speaking("mypopup");
    let (_, source) = sources(&vendor);
    token(&source).await.unwrap();
    for failure in [Play::Refuse(Refusal::Unavailable), Play::Lose, Play::Absent] {
        vendor.play(failure);
    }
    vendor.clock.advance(Duration::from_secs(580));
    for failed in 1..=3 {
        until(|| vendor.asked().len() == 1 + failed).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        let token = at_once(source.token()).expect("it is there").unwrap();
        assert_eq!(token.expose(), access(10), "after {failed}");
        vendor.clock.advance(Duration::from_secs(4));
    }
    until(|| at_once(source.token()).unwrap().unwrap().expose() == access(11)).await;
}

#[tokio::test]
async fn no_failure_clears_what_is_kept() {
    for play in [Play::Refuse(Refusal::Internal), Play::Lose, Play::Absent] {
        let vendor = Vendor::speaking("mypopup");
        let (store, source) = sources(&vendor);
        token(&source).await.unwrap();
        let before = store.record().await.tokens;
        vendor.play(play);
        let error = source.logout().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert_eq!(store.record().await.tokens, before);
        assert_eq!(
            at_once(source.token()).unwrap().unwrap().expose(),
            access(10)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_vendor_says_now_and_then_is_waited_out() {
    let vendor = Vendor::speaking("mypopup");
    let (store, source) = sources(&vendor);
    let changes = [
        (Play::Refuse(Refusal::Unavailable), 1),
        (Play::Lose, 2),
        (Play::Refuse(Refusal::Throttled), 3),
        (Play::Absent, 4),
    ];
    for (play, round) in changes {
        vendor.clock.advance(Duration::from_secs(700));
        vendor.play(play);
        let asked = vendor.asked().len();
        let waiting = tokio::spawn({
            let source = source.clone();
            async move { token(&source).await }
        });
        until(|| vendor.asked().len() > asked).await;
        until(|| at_once(store.kept_trouble()).unwrap()).await;
        vendor.clock.advance(Duration::from_secs(2));
        waiting
            .await
            .unwrap()
            .unwrap_or_else(|error| panic!("{round}: {error}"));
    }
}

#[tokio::test]
async fn what_another_process_has_written_is_taken_over() {
    let vendor = Vendor::speaking("mypopup");
    let store = Moody::default();
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let tell = told.clone();
    let one = vendor.client().store(store.clone()).build().unwrap();
    let other = vendor
        .client()
        .store(store.clone())
        .on_event(move |change| tell.lock().unwrap().push(change.kind.clone()))
        .build()
        .unwrap();
    token(&one).await.unwrap();
    token(&other).await.unwrap();
    let seen = told.lock().unwrap().clone();
    assert!(
        matches!(seen.as_slice(), [TokenEventKind::Adopted { .. }]),
        "{seen:?}"
    );
    assert_eq!(vendor.asked(), [TokenOperation::Login]);
}

#[tokio::test]
async fn a_login_that_is_asked_for_happens_whatever_is_at_hand() {
    let vendor = Vendor::speaking("mypopup");
    let (_, source) = sources(&vendor);
    token(&source).await.unwrap();
    let fresh = source.login().await.unwrap();
    assert_eq!(fresh.expose(), access(20));
    assert_eq!(token(&source).await, Ok(access(20)));
    vendor.play(Play::Refuse(Refusal::BadLogin));
    source.login().await.unwrap_err();
    assert_eq!(
        source.login().await.unwrap().expose(),
        access(30),
        "no pause"
    );
}

#[tokio::test]
async fn another_secret_is_tried_at_once() {
    let vendor = Vendor::speaking("mypopup");
    vendor.takes_secret("the new one");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "the old one\n").unwrap();
    let source = vendor
        .client()
        .secret(countersign_client::SecretFile::new(&file))
        .build()
        .unwrap();
    token(&source).await.unwrap_err();
    vendor.clock.advance(Duration::from_secs(6));
    token(&source).await.unwrap_err();
    assert_eq!(vendor.asked().len(), 1, "the old one is not tried again");
    std::fs::write(&file, "the new one\n").unwrap();
    vendor.clock.advance(Duration::from_secs(6));
    assert_eq!(token(&source).await, Ok(access(10)));
}

#[tokio::test]
async fn a_reply_whose_signature_is_wrong_is_an_error_and_never_a_token() {
    let vendor = Vendor::speaking("b2binpay");
    let store = Moody::default();
    let other = Secret::from("another secret than the vendor signs with");
    let source = vendor
        .client()
        .secret(other.clone())
        .store(store.clone())
        .build()
        .unwrap();
    vendor.takes_secret(other.expose());
    let error = token(&source).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unintelligible);
    assert!(error.message.contains("signature"), "{error}");
    assert_eq!(store.record().await.tokens, None);
    let source = vendor.client().build().unwrap();
    vendor.takes_secret(crate::vendor::SECRET);
    assert_eq!(token(&source).await, Ok(access(20)));
    assert_ne!(refresh(1), access(1));
}

#[tokio::test(start_paused = true)]
async fn new_tokens_that_could_not_be_written_do_not_replace_a_later_session() {
    let vendor = Vendor::speaking("mypopup");
    let (store, source) = sources(&vendor);
    token(&source).await.unwrap();
    let mut theirs = store.record().await;
    vendor.clock.advance(Duration::from_secs(700));
    store.fail_after(1, 3);
    token(&source).await.unwrap_err();
    // Another process logs out and in, and comes to the same serial.
    let serial = store.record().await.serial;
    let tokens = theirs.tokens.as_mut().unwrap();
    tokens.access_token = "theirs".into();
    tokens.expires_at = vendor.clock.now() + Duration::from_secs(600);
    let mut locked = store.kept.lock().await.unwrap();
    locked.clear().await.unwrap();
    for serial in 1..=serial {
        theirs.serial = serial;
        locked.write(&theirs).await.unwrap();
    }
    drop(locked);
    vendor.clock.advance(Duration::from_secs(6));
    assert_eq!(token(&source).await.as_deref(), Ok("theirs"));
}

#[tokio::test]
async fn a_hook_that_panics_costs_no_token() {
    let vendor = Vendor::speaking("mypopup");
    let client = vendor.client().patience(Duration::from_millis(200));
    let source = client.on_event(|_| panic!("of the hook")).build().unwrap();
    assert_eq!(token(&source).await, Ok(access(10)));
}
