#![expect(clippy::panic, reason = "the panics are the faults")]

use std::sync::mpsc::{Sender, channel};

use countersign_domain::session::End;

use super::super::session_end::end_all;
use super::super::work::WriteTransaction;
use super::super::{SessionError, StoreUnavailable};
use super::*;

/// Holds the writer until the returned end is dropped or used, so that what is
/// asked in between waits together.
fn hold(store: &Store) -> (Sender<()>, tokio::task::JoinHandle<()>) {
    let (release, held) = channel::<()>();
    let store = store.clone();
    let holding = tokio::spawn(async move {
        let wait = move |_: &mut WriteTransaction<'_>| {
            let _released = held.recv();
            Ok(())
        };
        store.write(wait).await.unwrap();
    });
    (release, holding)
}

#[tokio::test]
async fn a_command_that_fails_or_panics_harms_only_itself() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    for panics in [false, true] {
        place.told();
        let sessions: [_; 6] = std::array::from_fn(|_| opening());
        let (release, _) = hold(&store);
        tokio::task::yield_now().await;
        let good = sessions.map(|opening| {
            let (store, credential) = (store.clone(), credential.id);
            tokio::spawn(async move {
                store
                    .open_session(opening, credential, terms(), NewLogin::Keeps)
                    .await
            })
        });
        let bad = tokio::spawn({
            let (store, account) = (store.clone(), account.clone());
            async move {
                store
                    .write(move |work| {
                        end_all(work, &mut account.clone(), End::Operator)?;
                        assert!(!panics, "on purpose");
                        work.execute("INSERT INTO head VALUES (2, 0, 0, 0, 0, NULL)", [])
                    })
                    .await
            }
        });
        tokio::task::yield_now().await;
        let last = tokio::spawn({
            let (store, credential) = (store.clone(), credential.clone());
            async move { login(&store, &credential).await }
        });
        tokio::task::yield_now().await;
        drop(release);

        assert_eq!(bad.await.unwrap(), Err(StoreUnavailable::Failed));
        for login in good {
            let session = login.await.unwrap().unwrap();
            assert_eq!(row_of(&store, &session).await, session);
        }
        rotate(&store, &last.await.unwrap()).await;
        assert_eq!(place.told(), [], "what was rolled back is told to nobody");
    }
    assert_eq!(log_numbers(&store).await, [0; 0]);
}

#[tokio::test]
async fn the_log_has_no_gaps_after_rollbacks() {
    let place = Place::new();
    let store = place.open();
    let (account, _) = create(&store, "p").await;
    for _ in 0..3 {
        let mut doomed = account.clone();
        let failing = store.write(move |work| {
            end_all(work, &mut doomed, End::Operator)?;
            work.execute_one("DELETE FROM session", [])
        });
        assert_eq!(failing.await, Err(StoreUnavailable::Failed));
        store.end_sessions(account.id, operator()).await.unwrap();
    }
    assert_eq!(log_numbers(&store).await, [1, 2, 3]);
    assert_eq!(store.stats().await.unwrap().log_head, 3);
    assert_eq!(place.revoked().len(), 3);
    assert_eq!(audit(&store).await.len(), 4);
}

#[tokio::test]
async fn what_waits_together_is_told_together_and_before_it_is_answered() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    let session = login(&store, &credential).await;
    place.told();
    store.end_session(session.id, operator()).await.unwrap();
    assert_eq!(place.revoked().len(), 1, "told by the time of the answer");

    let (release, holding) = hold(&store);
    tokio::task::yield_now().await;
    let ends: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn({
                let store = store.clone();
                async move { store.end_sessions(account.id, operator()).await }
            })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(place.told(), [], "not before the commit");
    drop(release);
    holding.await.unwrap();
    for end in ends {
        assert_eq!(end.await.unwrap(), Ok(Some(0)));
    }
    assert_eq!(place.revoked().len(), 3);
}

#[tokio::test]
async fn verifiers_that_panic_take_nothing_back() {
    let place = Place::new();
    let notify = Box::new(|_: &[RevocationNotice]| panic!("on purpose"));
    let store = Store::open_quiet(&place.path(), place.clock.clone(), notify).unwrap();
    let (account, _) = create(&store, "p").await;
    assert_eq!(store.account(account.id).await, Ok(Some(account)));
}

#[tokio::test]
async fn too_much_is_refused_at_once() {
    let place = Place::new();
    let store = place.open();
    let (account, _) = create(&store, "p").await;
    let (release, _) = hold(&store);
    tokio::task::yield_now().await;
    let mut busy = 0;
    let mut waiting = Vec::new();
    for _ in 0..5_000 {
        let store = store.clone();
        let mut end = Box::pin(async move { store.end_sessions(account.id, operator()).await });
        match ask_once(&mut end).await {
            Some(answer) => {
                assert_eq!(answer, Err(StoreUnavailable::Busy));
                busy += 1;
            }
            None => waiting.push(end),
        }
    }
    // 4,096 may wait, and a batch of 128 may have been taken out before.
    assert!(busy >= 5_000 - 4_096 - 128, "{busy}");
    drop(release);
    for end in waiting {
        assert_eq!(end.await, Ok(Some(0)));
    }
    assert_eq!(store.ready().await, Ok(()));
}

/// What a future says when it is asked once.
async fn ask_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn a_full_disk_is_told_to_the_caller_and_service_resumes_when_there_is_room() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    let session = login(&store, &credential).await;
    limit_pages(&store, 1).await;
    let mut opened = 0;
    let full = loop {
        match store
            .open_session(opening(), credential.id, terms(), NewLogin::Keeps)
            .await
        {
            Ok(_) => opened += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(full, SessionError::Unavailable(StoreUnavailable::Failed));
    assert_eq!(
        store.stats().await.unwrap().sessions,
        opened + 1,
        "nothing is half there"
    );
    assert_eq!(audit(&store).await.len() as u64, opened + 2);
    let session = rotate(&store, &session).await;

    limit_pages(&store, 1 << 20).await;
    login(&store, &credential).await;
    rotate(&store, &session).await;
    assert_eq!(store.ready().await, Ok(()));
}

/// Lets the database grow to `pages`, or not at all where it is larger.
async fn limit_pages(store: &Store, pages: u32) {
    let limit = format!("PRAGMA max_page_count = {pages}");
    let set =
        move |work: &mut WriteTransaction<'_>| work.connection.query_row(&limit, [], |_| Ok(()));
    store.write(set).await.unwrap();
}

#[tokio::test]
async fn a_read_that_panics_or_fails_harms_only_itself() {
    let place = Place::new();
    let store = place.open();
    for _ in 0..4 {
        let panicked: Result<(), _> = store.read(|_| panic!("on purpose")).await;
        assert_eq!(panicked, Err(StoreUnavailable::Failed));
        let write = store
            .read(|connection| connection.execute("DELETE FROM audit", []))
            .await;
        assert_eq!(write, Err(StoreUnavailable::Failed), "readers cannot write");
    }
    assert_eq!(store.ready().await, Ok(()));
}

#[tokio::test]
async fn a_value_that_nobody_wrote_is_an_error_and_no_guess() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    let session = login(&store, &credential).await;
    let odd = "UPDATE session SET state = 'ended', ended_as = 'whatever', ended_at = 0";
    store
        .write(move |work| work.execute_one(odd, []))
        .await
        .unwrap();
    assert_eq!(
        store.session(session.id).await,
        Err(StoreUnavailable::Failed)
    );
    let refresh = store
        .refresh(refresh_token(&session), home(), terms())
        .await;
    assert_eq!(refresh, Err(StoreUnavailable::Failed));
    let odd = "UPDATE account SET allow = 'everywhere'";
    store
        .write(move |work| work.execute_one(odd, []))
        .await
        .unwrap();
    assert_eq!(
        store.account(account.id).await,
        Err(StoreUnavailable::Failed)
    );
}
