//! A store without a file.

use super::super::sweep::SESSION_SLACK;
use super::*;

fn in_memory(clock: &StoreClock) -> Store {
    Store::in_memory(clock.clone(), |_| ()).unwrap()
}

#[tokio::test]
async fn a_store_in_memory_is_its_own_and_gone_when_it_is_closed() {
    let clock = StoreClock::manual(start());
    let (one, other) = (in_memory(&clock), in_memory(&clock));
    let (account, credential) = create(&one, "p").await;
    let session = rotate(&one, &login(&one, &credential).await).await;
    assert_eq!(row_of(&one, &session).await, session);
    assert_eq!(one.account(account.id).await, Ok(Some(account.clone())));
    assert_eq!(other.account(account.id).await, Ok(None));
    one.close().await;
    assert_eq!(other.ready().await, Ok(()));
}

#[tokio::test]
async fn readers_of_a_store_in_memory_wait_for_its_writer_and_are_not_failed() {
    let store = in_memory(&StoreClock::manual(start()));
    let (account, credential) = create(&store, "p").await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (writer, reader, credential) = (store.clone(), store.clone(), credential.clone());
        tasks.spawn(async move {
            login(&writer, &credential).await;
        });
        tasks.spawn(async move {
            for _ in 0..4 {
                reader.sessions(account.id, None, 10).await.unwrap();
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let sessions = store.sessions(account.id, None, 1_000).await.unwrap();
    assert_eq!(sessions.len(), 50);
}

#[tokio::test]
async fn a_clock_that_is_moved_on_is_swept_for_at_once() {
    let clock = StoreClock::manual(start());
    let store = in_memory(&clock);
    let (_, credential) = create(&store, "p").await;
    let session = login(&store, &credential).await;
    clock.set(session.refresh_expires_at + SESSION_SLACK);
    // Ten seconds of the store's clock have passed, and a tick of the real one.
    while store.session(session.id).await.unwrap().is_some() {
        tokio::task::yield_now().await;
    }
}
