use countersign_domain::session::{End, SessionState};
use countersign_domain::{CredentialId, Epoch, Reason};

use super::super::{AccountUpdate, SessionError};
use super::*;

#[tokio::test]
async fn a_login_is_one_row_and_one_audit_entry() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    place.told();
    let (session, actions) = audited(&store, login(&store, &credential)).await;
    assert_eq!(actions, ["login"]);
    assert_eq!(row_of(&store, &session).await, session);
    assert_eq!(
        (session.account, session.credential),
        (account.id, credential.id)
    );
    assert_eq!(session.access_expires_at, start() + ACCESS);
    assert_eq!(place.told(), [], "a verifier needs no news of a login");
    let entry = audit(&store).await.pop().unwrap();
    assert_eq!((entry.at, entry.actor.as_str()), (start(), "partner"));
    assert_eq!(entry.detail, r#"{"address":"192.0.2.7","login":"p"}"#);
}

#[tokio::test]
async fn what_was_closed_after_the_secret_was_checked_opens_nothing() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    let open = |credential: CredentialId| {
        store.open_session(opening(), credential, terms(), NewLogin::Revokes)
    };
    let update = |active, allow: &[&str]| {
        let allow = Some(Allowlist::parse(allow).unwrap());
        store.update_account(
            account.id,
            AccountUpdate {
                active: Some(active),
                allow,
                limits: None,
            },
            operator(),
        )
    };
    let refused = |reason| Err(SessionError::Refused(reason));

    assert_eq!(
        open(CredentialId(99)).await,
        refused(Reason::CredentialRevoked)
    );
    update(true, &["198.51.100.1"]).await.unwrap();
    assert_eq!(open(credential.id).await, refused(Reason::AddressDenied));
    update(false, &[]).await.unwrap();
    assert_eq!(open(credential.id).await, refused(Reason::AccountDisabled));
    update(true, &[]).await.unwrap();
    store
        .set_credential_active(credential.id, false, operator())
        .await
        .unwrap();
    let before = everything(&store).await;
    assert_eq!(
        open(credential.id).await,
        refused(Reason::CredentialRevoked)
    );
    assert_eq!(everything(&store).await, before);
}

#[tokio::test]
async fn a_login_that_revokes_ends_the_older_ones_in_its_own_commit() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    let revoking = || store.open_session(opening(), credential.id, terms(), NewLogin::Revokes);
    let first = revoking().await.unwrap();
    assert_eq!(first.epoch, Epoch(0), "there was nothing to revoke");
    place.told();

    let (second, actions) = audited(&store, revoking()).await;
    let second = second.unwrap();
    assert_eq!(actions, ["login"]);
    assert_eq!(second.epoch, Epoch(1));
    let until = first.access_expires_at;
    let revocation = Revocation::Account {
        account: account.id,
        epoch: Epoch(1),
        until,
    };
    assert_eq!(place.revoked(), [revocation]);
    let state = SessionState::Ended {
        end: End::NewLogin,
        at: start(),
    };
    assert_eq!(row_of(&store, &first).await.state, state);
    rotate(&store, &second).await;
}

#[tokio::test]
async fn an_operator_ends_one_session_or_all_of_an_account() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(login(&store, &credential).await);
    }
    let end = store.end_session(sessions[0].id, operator());
    let (ended, actions) = audited(&store, end).await;
    let state = SessionState::Ended {
        end: End::Operator,
        at: start(),
    };
    assert_eq!(
        (ended.unwrap().unwrap().state, actions),
        (state, vec!["session_ended".into()])
    );
    assert_eq!(audit(&store).await.pop().unwrap().api, Some(api()));

    let again = store.end_session(sessions[0].id, operator());
    let (again, actions) = audited(&store, again).await;
    assert_eq!((again.unwrap().unwrap().state, actions), (state, vec![]));
    assert_eq!(
        store.end_session(SessionId([9; 16]), operator()).await,
        Ok(None)
    );

    let (ended, actions) = audited(&store, store.end_sessions(account.id, operator())).await;
    assert_eq!(
        (ended, actions),
        (Ok(Some(2)), vec!["sessions_ended".to_owned()])
    );
    for session in &sessions {
        assert_eq!(row_of(&store, session).await.state, state);
    }
}

#[tokio::test]
async fn the_sessions_of_an_account_are_listed_newest_first() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    let (_, guest) = create(&store, "q").await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, login(&store, &credential).await.id);
        login(&store, &guest).await;
    }
    let page = async |after, limit| {
        let sessions = store.sessions(account.id, after, limit).await.unwrap();
        sessions
            .into_iter()
            .map(|session| session.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(page(None, 1_000).await, ids);
    assert_eq!(page(None, 2).await, ids[..2]);
    assert_eq!(page(Some(ids[1]), 2).await, ids[2..4]);
    assert_eq!(page(Some(ids[4]), 2).await, []);
}
