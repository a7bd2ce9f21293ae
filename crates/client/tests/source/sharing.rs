//! Tasks share one renewal, and its outcome.

use std::time::Duration;

use countersign_client::{Clock, Error, ErrorKind, MemoryStore, SessionStore, TokenSource};
use countersign_domain::{Refusal, TokenOperation};
use tokio::task::JoinSet;

use crate::vendor::{Play, Vendor, access, at_once, token, until};

/// What so many tasks get that ask at the same time.
async fn crowd(source: &TokenSource, tasks: usize) -> Vec<Result<String, Error>> {
    let mut crowd = JoinSet::new();
    for _ in 0..tasks {
        let source = source.clone();
        crowd.spawn(async move { token(&source).await });
    }
    crowd.join_all().await
}

#[tokio::test]
async fn who_waits_together_gets_the_token_of_one_login() {
    let vendor = Vendor::speaking("mypopup");
    let source = vendor.client().build().unwrap();
    let tokens = crowd(&source, 100).await;
    assert_eq!(tokens, vec![Ok(access(10)); 100]);
    assert_eq!(vendor.asked(), [TokenOperation::Login]);
}

#[tokio::test]
async fn who_waits_together_gets_the_error_of_one_login() {
    let vendor = Vendor::speaking("mypopup");
    vendor.play(Play::Refuse(Refusal::BadLogin));
    let source = vendor.client().build().unwrap();
    let errors = crowd(&source, 100).await;
    let first = errors[0].clone().unwrap_err();
    let refused = ErrorKind::Refused {
        operation: TokenOperation::Login,
        refusal: Refusal::BadLogin,
    };
    assert_eq!(first.kind, refused);
    assert!(first.retry_at.is_some());
    assert_eq!(errors, vec![Err(first); 100]);
    assert_eq!(vendor.asked(), [TokenOperation::Login]);
}

#[tokio::test]
async fn a_refused_login_is_not_hammered() {
    let vendor = Vendor::speaking("mypopup");
    vendor.play(Play::Refuse(Refusal::BadLogin));
    let source = vendor.client().build().unwrap();
    for _ in 0..25 {
        token(&source).await.unwrap_err();
        vendor.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(vendor.asked(), [TokenOperation::Login]);
    vendor.clock.advance(Duration::from_secs(20));
    assert_eq!(token(&source).await, Ok(access(10)));
}

#[tokio::test]
async fn readers_of_a_fresh_token_do_not_wait_for_a_renewal_that_runs() {
    let vendor = Vendor::speaking("mypopup");
    let store = MemoryStore::new();
    let source = vendor.client().store(store.clone()).build().unwrap();
    token(&source).await.unwrap();
    vendor.hold();
    vendor.clock.advance(Duration::from_secs(590));
    until(|| vendor.asked().len() == 2).await;
    // The renewal has the store's lock, and waits for the vendor.
    assert!(at_once(store.lock()).is_none());
    for _ in 0..1_000 {
        let token = at_once(source.token()).expect("it is there").unwrap();
        assert_eq!(token.expose(), access(10));
    }
    vendor.go_on();
    until(|| at_once(source.token()).unwrap().unwrap().expose() == access(11)).await;
    assert_eq!(
        vendor.asked(),
        [TokenOperation::Login, TokenOperation::Refresh]
    );
}

#[tokio::test]
async fn a_token_is_renewed_without_anybody_asking() {
    let vendor = Vendor::speaking("mypopup");
    let source = vendor.client().build().unwrap();
    token(&source).await.unwrap();
    for renewals in 1..5 {
        let left = source.status().await.unwrap().left().unwrap();
        vendor.clock.advance(left - Duration::from_secs(10));
        until(|| vendor.asked().len() == 1 + renewals).await;
        until(|| at_once(source.token()).is_some()).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test]
async fn the_task_that_renews_ends_with_the_source() {
    let vendor = Vendor::speaking("mypopup");
    let source = vendor.client().build().unwrap();
    token(&source).await.unwrap();
    let metrics = tokio::runtime::Handle::current().metrics();
    assert_eq!(metrics.num_alive_tasks(), 1);
    drop(source);
    until(|| metrics.num_alive_tasks() == 0).await;
}

#[tokio::test]
async fn dropping_who_waits_at_any_point_loses_nothing() {
    for polls in 0..40 {
        let vendor = Vendor::speaking("mypopup");
        let store = MemoryStore::new();
        let source = vendor.client().store(store.clone()).build().unwrap();
        {
            let waiter = source.token();
            tokio::pin!(waiter);
            for _ in 0..polls {
                if at_once(waiter.as_mut()).is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        if polls > 0 {
            until(|| {
                at_once(store.read())
                    .unwrap()
                    .unwrap()
                    .is_some_and(|it| it.tokens.is_some())
            })
            .await;
        }
        assert_eq!(token(&source).await, Ok(access(10)), "after {polls}");
        assert_eq!(vendor.asked(), [TokenOperation::Login], "after {polls}");
    }
}

#[tokio::test]
async fn a_renewal_outlives_the_source_that_began_it() {
    let vendor = Vendor::speaking("mypopup");
    let store = MemoryStore::new();
    let source = vendor.client().store(store.clone()).build().unwrap();
    vendor.hold();
    assert!(at_once(source.token()).is_none());
    drop(source);
    until(|| vendor.asked().len() == 1).await;
    vendor.go_on();
    until(|| {
        at_once(store.read())
            .unwrap()
            .unwrap()
            .is_some_and(|it| it.tokens.is_some())
    })
    .await;
}

#[tokio::test]
async fn two_sources_on_one_store_ask_once() {
    let vendor = Vendor::speaking("mypopup");
    let store = MemoryStore::new();
    let sources = [(); 2].map(|()| vendor.client().store(store.clone()).build().unwrap());
    for round in 0..10 {
        let tokens = tokio::join!(token(&sources[0]), token(&sources[1]));
        assert_eq!(tokens.0, tokens.1);
        assert_eq!(vendor.asked().len(), 1 + round);
        vendor.clock.advance(Duration::from_secs(700));
    }
}

#[tokio::test(start_paused = true)]
async fn patience_ends_and_the_renewal_goes_on() {
    let vendor = Vendor::speaking("mypopup");
    let source = vendor
        .client()
        .patience(Duration::from_secs(3))
        .build()
        .unwrap();
    vendor.hold();
    let error = token(&source).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains("no token after 3 s"), "{error}");
    vendor.go_on();
    assert_eq!(token(&source).await, Ok(access(10)));
    assert_eq!(vendor.asked(), [TokenOperation::Login]);
    assert!(vendor.clock.now() > countersign_domain::Timestamp::default());
}

#[tokio::test(start_paused = true)]
async fn a_good_token_is_not_waited_for_while_another_process_renews_it() {
    let vendor = Vendor::speaking("mypopup");
    let store = MemoryStore::new();
    let first = vendor.client().store(store.clone()).build().unwrap();
    token(&first).await.unwrap();
    vendor.hold();
    vendor.clock.advance(Duration::from_secs(570));
    until(|| vendor.asked().len() == 2).await;

    let next = vendor.client().store(store.clone()).build().unwrap();
    assert_eq!(token(&next).await, Ok(access(10)));
    let short = vendor.client().store(store.clone()).build().unwrap();
    let reserved = short.reserve(1).await.unwrap();
    assert_eq!(reserved.expose(), access(10));
    vendor.go_on();
    until(|| at_once(token(&next)) == Some(Ok(access(11)))).await;
    assert_eq!(
        vendor.asked(),
        [TokenOperation::Login, TokenOperation::Refresh]
    );
}
