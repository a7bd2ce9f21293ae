use countersign_domain::session::{End, SessionState};
use countersign_domain::{AccountId, Epoch, Reason, Scopes};

use super::super::{AccountFilter, AccountUpdate, CreateError};
use countersign_domain::ApiScope;

use super::*;

fn id(number: u64) -> AccountId {
    AccountId::new(number).unwrap()
}

async fn create_as(store: &Store, login: &str, number: u64) -> Result<AccountId, CreateError> {
    let new = NewAccount {
        id: Some(id(number)),
        ..partner(login)
    };
    store
        .create_account(new, operator())
        .await
        .map(|(account, _)| account.id)
}

#[tokio::test]
async fn a_new_account_comes_with_its_first_credential_and_one_audit_entry() {
    let place = Place::new();
    let store = place.open();
    let new = NewAccount {
        allow: Allowlist::parse(&["10.0.0.0/8", "::1"]).unwrap(),
        ..partner("p")
    };
    let (made, actions) = audited(&store, store.create_account(new, operator())).await;
    let (account, credential) = made.unwrap();

    assert_eq!(actions, ["account_created"]);
    assert_eq!((account.id, account.name.as_str()), (id(100_001), "p"));
    assert_eq!(store.account(account.id).await, Ok(Some(account.clone())));
    assert_eq!(
        store.credentials(account.id).await,
        Ok(vec![credential.clone()])
    );
    let found = store.credential_by_login(&api(), "p").await;
    assert_eq!(found, Ok(Some((account.clone(), credential.clone()))));
    assert_eq!(
        place.told(),
        [
            RevocationNotice::Account(account),
            RevocationNotice::Credential(credential)
        ]
    );
    assert_eq!(audit(&store).await[0].actor, "operator:alice");
}

#[tokio::test]
async fn a_login_is_unique_within_its_api_and_is_not_normalised() {
    let place = Place::new();
    let store = place.open();
    let (account, _) = create(&store, "p").await;
    let again = store.create_account(partner("p"), operator()).await;
    assert_eq!(again, Err(CreateError::LoginTaken));
    let secret = StoredSecret::Password("$argon2id$".to_owned());
    let more = |login: &str| {
        store.create_credential(
            account.id,
            NewCredential::new(login, secret.clone()),
            operator(),
        )
    };
    assert_eq!(more("p").await, Err(CreateError::LoginTaken));
    assert!(more("P").await.is_ok());
    let elsewhere = NewAccount {
        api: "gift".parse().unwrap(),
        ..partner("p")
    };
    assert!(store.create_account(elsewhere, operator()).await.is_ok());
    assert_eq!(store.credential_by_login(&api(), "q").await, Ok(None));
}

#[tokio::test]
async fn ids_that_operators_chose_are_stepped_over() {
    let place = Place::new();
    let store = place.open();
    for (login, number) in [
        ("a", 100_002),
        ("b", 100_003),
        ("c", 7),
        ("d", AccountId::MAX),
    ] {
        assert_eq!(create_as(&store, login, number).await, Ok(id(number)));
    }
    assert_eq!(create(&store, "e").await.0.id, id(100_001));
    assert_eq!(create(&store, "f").await.0.id, id(100_004));
    assert_eq!(
        create_as(&store, "g", 100_004).await,
        Err(CreateError::IdTaken)
    );
    assert_eq!(create(&store, "h").await.0.id, id(100_005));
}

#[tokio::test]
async fn the_id_of_a_deleted_account_is_never_given_again() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    assert_eq!(store.delete_account(account.id, operator()).await, Ok(true));
    let (next, fresh) = create(&store, "p").await;
    assert_eq!(next.id, id(100_002));
    assert!(fresh.id > credential.id);
    let number = account.id.number();
    assert_eq!(
        create_as(&store, "q", number).await,
        Err(CreateError::IdTaken)
    );
}

#[tokio::test]
async fn disabling_an_account_ends_its_sessions_and_enabling_brings_none_back() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    let session = login(&store, &credential).await;
    place.told();
    let set = |active| AccountUpdate {
        active: Some(active),
        ..AccountUpdate::default()
    };
    let disable = || store.update_account(account.id, set(false), operator());

    let (disabled, actions) = audited(&store, disable()).await;
    let disabled = disabled.unwrap().unwrap();
    assert_eq!(actions, ["account_disabled"]);
    assert_eq!((disabled.active, disabled.epoch), (false, Epoch(1)));
    assert_eq!(store.account(account.id).await, Ok(Some(disabled.clone())));
    let until = session.access_expires_at;
    let revocation = Revocation::Account {
        account: account.id,
        epoch: Epoch(1),
        until,
    };
    assert_eq!(
        place.told(),
        [
            RevocationNotice::Revoked(revocation),
            RevocationNotice::Account(disabled)
        ]
    );
    let state = SessionState::Ended {
        end: End::AccountDisabled,
        at: start(),
    };
    assert_eq!(row_of(&store, &session).await.state, state);
    assert_eq!(
        audited(&store, disable()).await.1,
        Vec::<String>::new(),
        "it was disabled already"
    );

    let enable = store.update_account(account.id, set(true), operator());
    assert_eq!(audited(&store, enable).await.1, ["account_enabled"]);
    let refused = refresh(&store, refresh_token(&session))
        .await
        .decision
        .outcome;
    assert_eq!(refused, Err(Reason::SessionRevoked));
    rotate(&store, &login(&store, &credential).await).await;
}

#[tokio::test]
async fn an_update_writes_an_entry_for_each_thing_that_changed() {
    let place = Place::new();
    let store = place.open();
    let (account, _) = create(&store, "p").await;
    let allow = Allowlist::parse(&["10.0.0.0/8"]).unwrap();
    let limits = AccountLimits {
        budget: Some(40),
        ..AccountLimits::default()
    };
    let update = AccountUpdate {
        active: Some(false),
        allow: Some(allow.clone()),
        limits: Some(limits),
    };
    let change = || store.update_account(account.id, update.clone(), operator());

    let (changed, actions) = audited(&store, change()).await;
    assert_eq!(
        actions,
        ["allowlist_changed", "limits_changed", "account_disabled"]
    );
    let expected = Account {
        active: false,
        allow,
        limits,
        epoch: Epoch(1),
        ..account.clone()
    };
    assert_eq!(changed, Ok(Some(expected.clone())));
    assert_eq!(store.account(account.id).await, Ok(Some(expected)));
    assert_eq!(audited(&store, change()).await.1, Vec::<String>::new());
    assert_eq!(
        store.update_account(id(5), update, operator()).await,
        Ok(None)
    );
}

#[tokio::test]
async fn a_deleted_account_leaves_only_its_history() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    let session = login(&store, &credential).await;
    place.told();
    let (gone, actions) = audited(&store, store.delete_account(account.id, operator())).await;

    assert_eq!(
        (gone, actions),
        (Ok(true), vec!["account_deleted".to_owned()])
    );
    let told = place.told();
    let until = session.access_expires_at;
    let epoch = Epoch(1);
    let revocation = Revocation::Account {
        account: account.id,
        epoch,
        until,
    };
    assert_eq!(told[0], RevocationNotice::Revoked(revocation));
    let last = [
        RevocationNotice::CredentialGone(credential.id),
        RevocationNotice::AccountGone(account.id),
    ];
    assert_eq!(told[told.len() - 2..], last);
    assert_eq!(store.account(account.id).await, Ok(None));
    assert_eq!(store.credential(credential.id).await, Ok(None));
    let refused = refresh(&store, refresh_token(&session))
        .await
        .decision
        .outcome;
    assert_eq!(refused, Err(Reason::SessionUnknown));
    assert_eq!(audit(&store).await.len(), 3);
    assert_eq!(
        store.delete_account(account.id, operator()).await,
        Ok(false)
    );
    assert_eq!(store.end_sessions(account.id, operator()).await, Ok(None));
}

#[tokio::test]
async fn a_credential_takes_only_its_own_sessions_with_it() {
    let place = Place::new();
    let store = place.open();
    let (account, old) = create(&store, "old").await;
    let secret = StoredSecret::Key([8; 32]);
    let new = store
        .create_credential(account.id, NewCredential::new("new", secret), operator())
        .await
        .unwrap();
    let (dying, staying) = (login(&store, &old).await, login(&store, &new).await);
    place.told();

    let disable = store.set_credential_active(old.id, false, operator());
    let (disabled, actions) = audited(&store, disable).await;
    assert_eq!(actions, ["credential_disabled"]);
    let disabled = disabled.unwrap().unwrap();
    assert!(!disabled.active);
    let until = dying.access_expires_at;
    let revoked = RevocationNotice::Revoked(Revocation::Session {
        session: dying.id,
        until,
    });
    assert_eq!(
        place.told(),
        [RevocationNotice::Credential(disabled), revoked]
    );
    let state = SessionState::Ended {
        end: End::CredentialRevoked,
        at: start(),
    };
    assert_eq!(row_of(&store, &dying).await.state, state);

    let enable = store.set_credential_active(old.id, true, operator());
    assert_eq!(audited(&store, enable).await.1, ["credential_enabled"]);
    place.told();
    let (gone, actions) = audited(&store, store.delete_credential(old.id, operator())).await;
    assert_eq!(
        (gone, actions),
        (Ok(true), vec!["credential_deleted".to_owned()])
    );
    assert_eq!(place.told(), [RevocationNotice::CredentialGone(old.id)]);
    assert_eq!(store.delete_credential(old.id, operator()).await, Ok(false));
    rotate(&store, &staying).await;
}

#[tokio::test]
async fn a_secret_in_another_form_is_no_operators_change() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    place.told();
    let secret = StoredSecret::Password("$argon2id$new".to_owned());
    let replace = store.replace_secret(credential.id, secret.clone());
    assert_eq!(audited(&store, replace).await, (Ok(true), vec![]));
    let upgraded = Credential {
        secret: secret.clone(),
        ..credential.clone()
    };
    assert_eq!(
        store.credential(credential.id).await,
        Ok(Some(upgraded.clone()))
    );
    assert_eq!(place.told(), [RevocationNotice::Credential(upgraded)]);
    store
        .delete_credential(credential.id, operator())
        .await
        .unwrap();
    assert_eq!(store.replace_secret(credential.id, secret).await, Ok(false));
}

#[tokio::test]
async fn the_scopes_of_a_credential_are_replaced_whole() {
    let place = Place::new();
    let store = place.open();
    let (account, _) = create(&store, "p").await;
    let scopes = |tokens: &[&str]| Scopes::parse(tokens).unwrap();
    let new = NewCredential {
        scopes: scopes(&["read"]),
        ..NewCredential::new("q", StoredSecret::Key([8; 32]))
    };
    let made = store.create_credential(account.id, new, operator()).await;
    let made = made.unwrap();
    place.told();

    let change = || store.set_credential_scopes(made.id, scopes(&["b", "a"]), operator());
    let (changed, actions) = audited(&store, change()).await;
    let expected = Credential {
        scopes: scopes(&["a", "b"]),
        ..made.clone()
    };
    assert_eq!(changed, Ok(Some(expected.clone())));
    assert_eq!(actions, ["scopes_changed"]);
    assert_eq!(
        place.told(),
        [RevocationNotice::Credential(expected.clone())]
    );
    assert_eq!(store.credential(made.id).await, Ok(Some(expected)));
    assert_eq!(
        audited(&store, change()).await.1,
        [""; 0],
        "it is so already"
    );
}

#[tokio::test]
async fn accounts_are_listed_by_api_and_login() {
    let place = Place::new();
    let store = place.open();
    let gift: ApiName = "gift".parse().unwrap();
    let mut ids = Vec::new();
    for login in ["a", "b", "c"] {
        ids.push(create(&store, login).await.0.id);
    }
    let new = NewAccount {
        api: gift.clone(),
        ..partner("a")
    };
    ids.push(store.create_account(new, operator()).await.unwrap().0.id);
    let list = async |api: Option<&ApiName>, login: Option<&str>, after, limit| {
        let filter = AccountFilter {
            scope: ApiScope::All,
            api: api.cloned(),
            login: login.map(str::to_owned),
        };
        let accounts = store.accounts(filter, after, limit).await.unwrap();
        accounts
            .into_iter()
            .map(|account| account.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, None, 10).await, ids);
    assert_eq!(list(None, None, Some(ids[0]), 2).await, ids[1..3]);
    assert_eq!(list(Some(&gift), None, None, 10).await, ids[3..]);
    assert_eq!(list(None, Some("a"), None, 10).await, [ids[0], ids[3]]);
    assert_eq!(list(Some(&gift), Some("b"), None, 10).await, []);
    for (scope, seen) in [([gift].into(), &ids[3..]), ([].into(), &[])] {
        let filter = AccountFilter {
            scope: ApiScope::Only(scope),
            api: None,
            login: None,
        };
        let accounts = store.accounts(filter, None, 10).await.unwrap();
        assert!(
            accounts
                .iter()
                .map(|account| account.id)
                .eq(seen.iter().copied())
        );
    }
}
