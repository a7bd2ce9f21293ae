use super::super::SweepOutcome;
use super::super::sweep::{REVOCATION_SLACK, SESSION_SLACK, STEP};
use super::*;

#[tokio::test]
async fn a_row_stays_until_its_last_token_has_run_out() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    let session = login(&store, &credential).await;
    place
        .clock
        .set(session.refresh_expires_at + SESSION_SLACK - MICROSECOND);
    assert_eq!(store.sweep_once().await, Ok(SweepOutcome::default()));
    place.clock.advance(MICROSECOND);
    let before = audit(&store).await;
    assert_eq!(
        store.sweep_once().await,
        Ok(SweepOutcome {
            sessions: 1,
            ..SweepOutcome::default()
        })
    );
    assert_eq!(store.session(session.id).await, Ok(None));
    assert_eq!(audit(&store).await, before, "the audit log stays");
}

#[tokio::test]
async fn a_session_that_was_refreshed_stays_and_goes_later() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    let session = login(&store, &credential).await;
    place.clock.advance(REFRESH / 2);
    let session = rotate(&store, &session).await;
    place.clock.advance(REFRESH / 2 + SESSION_SLACK);
    for _ in 0..2 {
        assert_eq!(store.sweep_once().await, Ok(SweepOutcome::default()));
    }
    assert_eq!(row_of(&store, &session).await, session);
    place.clock.set(session.refresh_expires_at + SESSION_SLACK);
    assert_eq!(store.sweep_once().await.unwrap().sessions, 1);
}

#[tokio::test]
async fn a_row_outlives_the_tokens_of_earlier_generations_too() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    let session = login(&store, &credential).await;
    place.clock.advance(REFRESH / 2);
    let session = rotate(&store, &session).await;
    let mut shorter = terms();
    (shorter.lifetimes.access, shorter.lifetimes.refresh) = (SECOND, SECOND);
    store
        .refresh(refresh_token(&session), home(), shorter)
        .await
        .unwrap();
    place
        .clock
        .set(session.refresh_expires_at + SESSION_SLACK - MICROSECOND);
    assert_eq!(store.sweep_once().await.unwrap().sessions, 0);
    place.clock.advance(MICROSECOND);
    assert_eq!(store.sweep_once().await.unwrap().sessions, 1);
}

#[tokio::test]
async fn many_rows_go_in_steps_and_the_living_among_them_stay() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    let mut living = Vec::new();
    for number in 0..2 * STEP + 10 {
        let session = login(&store, &credential).await;
        if number % 5 == 0 {
            living.push(session);
        }
    }
    place.clock.advance(SESSION_SLACK + SECOND);
    for session in &mut living {
        *session = rotate(&store, session).await;
    }
    place.clock.set(start() + REFRESH + SESSION_SLACK);
    let mut gone = 0;
    let mut steps = 0;
    loop {
        let swept = store.sweep_once().await.unwrap();
        assert!(swept.sessions <= STEP as usize);
        gone += swept.sessions;
        steps += 1;
        if !swept.more {
            break;
        }
    }
    assert_eq!((gone, steps), ((2 * STEP + 10) as usize - living.len(), 3));
    for session in &living {
        assert_eq!(row_of(&store, session).await, *session);
    }
}

#[tokio::test]
async fn revocations_go_when_no_verifier_needs_them_and_their_numbers_are_not_reused() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    let session = login(&store, &credential).await;
    store.end_session(session.id, operator()).await.unwrap();
    let known = store.snapshot().await.unwrap();
    let until = session.access_expires_at;
    let revocation = RevocationNotice::Revoked(Revocation::Session {
        session: session.id,
        until,
    });
    assert_eq!(known[2..], [revocation]);
    assert!(matches!(
        known[..2],
        [
            RevocationNotice::Account(_),
            RevocationNotice::Credential(_)
        ]
    ));

    place.clock.set(until + REVOCATION_SLACK - MICROSECOND);
    assert_eq!(store.sweep_once().await.unwrap().revocations, 0);
    assert_eq!(store.snapshot().await, Ok(known));
    place.clock.advance(MICROSECOND);
    assert_eq!(store.snapshot().await.unwrap().len(), 2);
    assert_eq!(store.sweep_once().await.unwrap().revocations, 1);
    store.end_sessions(account.id, operator()).await.unwrap();
    assert_eq!(log_numbers(&store).await, [2]);
}
