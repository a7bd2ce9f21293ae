use countersign_domain::session::{End, MAX_REPLAYS, SessionChange, SessionState};
use countersign_domain::{LogoutScope, Reason};
use rusqlite::StatementStatus;

use super::super::AccountUpdate;
use super::super::rotation::LOAD;
use super::super::work::WriteTransaction;

use super::*;

#[tokio::test]
async fn a_refresh_moves_the_row_and_nothing_else_is_written_about_it() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    let session = login(&store, &credential).await;
    place.clock.advance(SECOND);
    let claims = refresh_token(&session);
    let (refreshed, actions) = audited(&store, refresh(&store, claims)).await;

    assert_eq!(refreshed.decision.change, SessionChange::Rotated);
    assert_eq!(
        (refreshed.account, refreshed.credential),
        (Some(account), Some(credential))
    );
    let next = refreshed.decision.session.unwrap();
    assert_eq!((next.generation, next.rotated_at), (1, start() + SECOND));
    assert_eq!(row_of(&store, &session).await, next);
    assert_eq!(actions, Vec::<String>::new());
    assert_eq!(store.stats().await.unwrap().sessions, 1);
}

#[tokio::test]
async fn a_client_that_lost_the_reply_gets_the_same_pair_again() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    let session = login(&store, &credential).await;
    let first = rotate(&store, &session).await;
    place.clock.advance(WINDOW);
    let again = refresh(&store, refresh_token(&session)).await.decision;

    assert_eq!(
        (again.change, again.outcome),
        (SessionChange::Replayed, Ok(()))
    );
    let again = again.session.unwrap();
    assert_eq!(
        Session {
            replays: 0,
            ..again.clone()
        },
        first
    );
    assert_eq!(row_of(&store, &session).await, again);
}

#[tokio::test]
async fn an_old_token_ends_its_session_with_one_revocation_and_one_audit_entry() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    let (session, other) = (
        login(&store, &credential).await,
        login(&store, &credential).await,
    );
    let next = rotate(&store, &rotate(&store, &session).await).await;
    place.told();
    let (thief, actions) = audited(&store, refresh(&store, refresh_token(&session))).await;

    assert_eq!(thief.decision.outcome, Err(Reason::Reuse));
    assert_eq!(actions, ["reuse"]);
    let until = next.access_expires_at;
    assert_eq!(
        place.revoked(),
        [Revocation::Session {
            session: session.id,
            until
        }]
    );
    let ended = SessionState::Ended {
        end: End::Reuse,
        at: store.now(),
    };
    assert_eq!(row_of(&store, &session).await.state, ended);
    let entry = audit(&store).await.pop().unwrap();
    assert_eq!(
        (entry.account, entry.session),
        (Some(account.id), Some(session.id))
    );
    assert_eq!(entry.api, Some(api()));
    assert_eq!(
        entry.detail,
        r#"{"address":"192.0.2.7","generation":2,"presented":0}"#
    );

    let owner = refresh(&store, refresh_token(&next)).await;
    assert_eq!(owner.decision.outcome, Err(Reason::SessionRevoked));
    rotate(&store, &other).await;
}

#[tokio::test]
async fn a_token_from_the_future_ends_its_session_as_a_restored_backup() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    let session = login(&store, &credential).await;
    place.told();
    let claims = RefreshClaims {
        generation: 1,
        ..refresh_token(&session)
    };
    let (decision, actions) = audited(&store, refresh(&store, claims)).await;

    assert_eq!(decision.decision.outcome, Err(Reason::StateRegression));
    assert_eq!(actions, ["state_regression"]);
    assert_eq!(place.revoked().len(), 1);
    let at = store.now();
    let state = row_of(&store, &session).await.state;
    assert_eq!(
        state,
        SessionState::Ended {
            end: End::StateRegression,
            at
        }
    );
}

#[tokio::test]
async fn a_refused_refresh_changes_no_row() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    let (guest, _) = create(&store, "q").await;
    let session = login(&store, &credential).await;
    let dead = login(&store, &credential).await;
    store.end_session(dead.id, operator()).await.unwrap();
    let good = refresh_token(&session);
    let cases = [
        (
            RefreshClaims {
                session: SessionId([9; 16]),
                ..good
            },
            Reason::SessionUnknown,
        ),
        (
            RefreshClaims {
                seed_hash: SeedHash([9; 32]),
                ..good
            },
            Reason::SeedMismatch,
        ),
        (
            RefreshClaims {
                account: guest.id,
                ..good
            },
            Reason::TokenForged,
        ),
        (
            RefreshClaims {
                expires_at: start(),
                ..good
            },
            Reason::TokenExpired,
        ),
        (refresh_token(&dead), Reason::SessionRevoked),
    ];
    place.clock.advance(SECOND);
    let before = everything(&store).await;
    place.told();
    for (claims, reason) in cases {
        assert_eq!(refresh(&store, claims).await.decision.outcome, Err(reason));
        assert_eq!(everything(&store).await, before, "{reason}");
    }

    let allow = Allowlist::parse(&["198.51.100.0/24"]).unwrap();
    let update = AccountUpdate {
        allow: Some(allow),
        ..AccountUpdate::default()
    };
    store
        .update_account(account.id, update, operator())
        .await
        .unwrap();
    let before = everything(&store).await;
    place.told();
    assert_eq!(
        refresh(&store, good).await.decision.outcome,
        Err(Reason::AddressDenied)
    );
    place.clock.advance(REFRESH);
    assert_eq!(
        refresh(&store, good).await.decision.outcome,
        Err(Reason::SessionExpired)
    );
    assert_eq!(everything(&store).await, before);
    assert_eq!(place.told(), []);
}

#[tokio::test]
async fn a_replay_past_the_limit_is_throttled_and_written_nowhere() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    let session = login(&store, &credential).await;
    for _ in 0..=MAX_REPLAYS {
        rotate(&store, &session).await;
    }
    let before = everything(&store).await;
    let refused = refresh(&store, refresh_token(&session)).await;
    assert_eq!(refused.decision.outcome, Err(Reason::ReplayLimit));
    assert_eq!(everything(&store).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_callers_with_one_token_make_one_rotation() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    let mut session = login(&store, &credential).await;
    for round in 1..=8 {
        let claims = refresh_token(&session);
        let callers: Vec<_> = (0..64)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { refresh(&store, claims).await.decision })
            })
            .collect();
        let mut rotations = 0;
        for caller in callers {
            let decision = caller.await.unwrap();
            rotations += usize::from(decision.change == SessionChange::Rotated);
            session = Session {
                replays: 0,
                ..decision.session.unwrap()
            };
            let row = Session {
                replays: 0,
                ..row_of(&store, &session).await
            };
            assert_eq!((decision.outcome, &session), (Ok(()), &row));
        }
        assert_eq!((rotations, session.generation), (1, round));
    }
    assert_eq!(log_numbers(&store).await, [0; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_beats_the_refreshes_beside_it() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    for _ in 0..10 {
        let session = login(&store, &credential).await;
        let claims = refresh_token(&session);
        let refreshes: Vec<_> = (0..16)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { refresh(&store, claims).await })
            })
            .collect();
        store.end_session(session.id, operator()).await.unwrap();
        let ended = row_of(&store, &session).await;
        for refresh in refreshes {
            let decision = refresh.await.unwrap().decision;
            assert!(matches!(
                decision.outcome,
                Ok(()) | Err(Reason::SessionRevoked)
            ));
        }
        assert_eq!(
            row_of(&store, &session).await,
            ended,
            "nothing moves a dead row"
        );
        let late = refresh(&store, refresh_token(&ended)).await;
        assert_eq!(late.decision.outcome, Err(Reason::SessionRevoked));
    }
}

#[tokio::test]
async fn a_revocation_lasts_as_long_as_the_longest_access_token_of_any_generation() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    let session = login(&store, &credential).await;
    let mut shorter = terms();
    shorter.lifetimes.access = SECOND;
    let next = store
        .refresh(refresh_token(&session), home(), shorter)
        .await
        .unwrap();
    assert_eq!(
        next.decision.session.unwrap().access_expires_at,
        start() + SECOND
    );
    place.told();
    store.end_session(session.id, operator()).await.unwrap();
    let until = session.access_expires_at;
    assert_eq!(
        place.revoked(),
        [Revocation::Session {
            session: session.id,
            until
        }]
    );
}

#[tokio::test]
async fn a_logout_ends_its_session_and_works_once() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    let (session, other) = (
        login(&store, &credential).await,
        login(&store, &credential).await,
    );
    place.told();
    let token = access_token(&session);
    let logout = |scope| store.logout(token, home(), scope);

    let (done, actions) = audited(&store, logout(LogoutScope::Session)).await;
    assert_eq!((done, actions), (Ok(Ok(())), vec!["logout".to_owned()]));
    let until = session.access_expires_at;
    assert_eq!(
        place.revoked(),
        [Revocation::Session {
            session: session.id,
            until
        }]
    );

    let before = everything(&store).await;
    assert_eq!(
        logout(LogoutScope::Account).await,
        Ok(Err(Reason::SessionRevoked))
    );
    assert_eq!(everything(&store).await, before);
    rotate(&store, &other).await;
}

#[tokio::test]
async fn a_logout_of_the_account_ends_everything_older() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    let (_, guest) = create(&store, "q").await;
    let (session, other) = (
        login(&store, &credential).await,
        login(&store, &credential).await,
    );
    let stranger = login(&store, &guest).await;
    place.clock.advance(SECOND);
    let longest = rotate(&store, &other).await;
    place.told();

    let logout = store.logout(access_token(&session), home(), LogoutScope::Account);
    let (done, actions) = audited(&store, logout).await;
    assert_eq!((done, actions), (Ok(Ok(())), vec!["logout".to_owned()]));
    let epoch = account.epoch.next();
    let revocation = Revocation::Account {
        account: account.id,
        epoch,
        until: longest.access_expires_at,
    };
    let told = [
        RevocationNotice::Revoked(revocation),
        RevocationNotice::Account(Account { epoch, ..account }),
    ];
    assert_eq!(place.told(), told);
    for dead in [&session, &longest] {
        let state = SessionState::Ended {
            end: End::Logout,
            at: store.now(),
        };
        assert_eq!(row_of(&store, dead).await.state, state);
        let refused = refresh(&store, refresh_token(dead)).await.decision.outcome;
        assert_eq!(refused, Err(Reason::SessionRevoked));
    }
    rotate(&store, &stranger).await;
    rotate(&store, &login(&store, &credential).await).await;
}

#[tokio::test]
async fn a_refresh_is_planned_once_and_not_for_each_token() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    for _ in 0..10 {
        rotate(&store, &login(&store, &credential).await).await;
    }
    let planned = |work: &mut WriteTransaction<'_>| {
        Ok(work
            .connection
            .prepare_cached(&LOAD)?
            .get_status(StatementStatus::RePrepare))
    };
    assert_eq!(store.write(planned).await, Ok(0));
}

#[tokio::test]
async fn a_used_generation_is_noted_later_and_only_for_itself() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    let session = login(&store, &credential).await;
    let next = rotate(&store, &session).await;
    store.mark_used(session.id, session.generation);
    flush(&store).await;
    assert!(
        !row_of(&store, &session).await.used,
        "an old generation says nothing of this one"
    );
    store.mark_used(session.id, next.generation);
    store.mark_used(session.id, session.generation);
    store.mark_used(SessionId([9; 16]), 0);
    assert!(!row_of(&store, &session).await.used, "nobody waits for it");
    flush(&store).await;
    assert!(row_of(&store, &session).await.used);

    place.clock.advance(WINDOW + SECOND);
    let late = refresh(&store, refresh_token(&session)).await;
    assert_eq!(late.decision.outcome, Err(Reason::Reuse));
}

#[tokio::test]
async fn a_flood_of_uses_is_cut_and_not_kept() {
    let place = Place::new();
    let store = place.open();
    for number in 0..100_000_u128 {
        store.mark_used(SessionId(number.to_be_bytes()), 0);
    }
    assert!(store.used_generations().len() <= 16_384);
    flush(&store).await;
    assert_eq!(store.used_generations().len(), 0);
}

pub(super) async fn flush(store: &Store) {
    let store = store.clone();
    tokio::task::spawn_blocking(move || store.flush_used_generations())
        .await
        .unwrap()
        .unwrap();
}
