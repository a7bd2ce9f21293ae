use countersign_domain::AccountLimits;
use countersign_domain::session::{End, SessionState};

use super::super::AccountUpdate;
use super::*;

fn at_most(sessions: u32) -> SessionSuccession {
    let mut older = keeps();
    older.limits.sessions = sessions;
    older
}

async fn login_beside(store: &Store, credential: &Credential, most: u32) -> Session {
    let opened = store.open_session(opening(), credential.id, terms(), at_most(most));
    opened.await.unwrap()
}

/// How many of these live.
async fn living(store: &Store, sessions: &[Session]) -> Vec<bool> {
    let mut living = Vec::new();
    for session in sessions {
        living.push(row_of(store, session).await.state == SessionState::Active);
    }
    living
}

#[tokio::test]
async fn a_login_beyond_the_limit_ends_the_session_that_was_idle_the_longest() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(login_beside(&store, &credential, 3).await);
        place.clock.advance(SECOND);
    }
    let first = rotate(&store, &sessions[0]).await;
    place.told();
    let login = login_beside(&store, &credential, 3);
    let (newest, actions) = audited(&store, login).await;
    assert_eq!(actions, ["session_displaced", "login"]);
    assert_eq!(living(&store, &sessions).await, [true, false, true]);
    let state = SessionState::Ended {
        end: End::Displaced,
        at: place.clock.now(),
    };
    assert_eq!(row_of(&store, &sessions[1]).await.state, state);
    let revocation = Revocation::Session {
        session: sessions[1].id,
        until: sessions[1].access_expires_at,
    };
    assert_eq!(place.revoked(), [revocation]);
    let entries = audit(&store).await;
    let displaced = &entries[entries.len() - 2];
    assert_eq!(displaced.session, Some(sessions[1].id));
    assert_eq!(displaced.account, Some(account.id));
    assert_eq!(displaced.detail, r#"{"limit":3}"#);
    rotate(&store, &first).await;
    rotate(&store, &newest).await;
}

#[tokio::test]
async fn sessions_that_ended_or_ran_out_take_no_place() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    let early = login_beside(&store, &credential, 2).await;
    place.clock.set(early.refresh_expires_at);
    let ended = login_beside(&store, &credential, 2).await;
    store.end_session(ended.id, operator()).await.unwrap();
    let live = login_beside(&store, &credential, 2).await;
    login_beside(&store, &credential, 2).await;
    assert_eq!(row_of(&store, &live).await.state, SessionState::Active);
}

#[tokio::test]
async fn other_accounts_and_an_account_s_own_limit_count() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    let (_, guest) = create(&store, "q").await;
    let limits = AccountLimits {
        sessions: Some(3),
        ..AccountLimits::default()
    };
    let update = AccountUpdate {
        limits: Some(limits),
        ..AccountUpdate::default()
    };
    store
        .update_account(account.id, update, operator())
        .await
        .unwrap();
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(login_beside(&store, &credential, 1).await);
        login_beside(&store, &guest, 4).await;
        place.clock.advance(SECOND);
    }
    assert_eq!(living(&store, &sessions).await, [false, true, true, true]);
}

#[tokio::test]
async fn a_limit_that_is_lowered_is_reached_in_bounded_steps() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    for _ in 0..250 {
        login(&store, &credential).await;
    }
    let mut left = Vec::new();
    for _ in 0..4 {
        login_beside(&store, &credential, 10).await;
        let sessions = store.sessions(account.id, None, 1_000).await.unwrap();
        let live = sessions
            .iter()
            .filter(|it| it.state == SessionState::Active);
        left.push(live.count());
    }
    assert_eq!(left, [151, 52, 10, 10]);
}
