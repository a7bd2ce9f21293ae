use countersign_domain::{AccountLimits, Allowlist, Scopes};

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn id(number: u64) -> AccountId {
    AccountId::new(number).unwrap()
}

fn account(number: u64, epoch: u32) -> RevocationNotice {
    RevocationNotice::Account(Account {
        id: id(number),
        api: "pay".parse().unwrap(),
        name: format!("name-{number}"),
        active: true,
        epoch: Epoch(epoch),
        allow: Allowlist::default(),
        limits: AccountLimits::default(),
        created_at: at(0),
    })
}

fn credential(number: u64, account: u64, login: &str, key: Option<u8>) -> Credential {
    Credential {
        id: CredentialId(number),
        account: id(account),
        login: login.to_owned(),
        secret: key.map_or_else(
            || StoredSecret::Password("$argon2id$".to_owned()),
            |byte| StoredSecret::Key([byte; 32]),
        ),
        scopes: Scopes::default(),
        active: true,
        created_at: at(0),
    }
}

fn view(notices: &[RevocationNotice]) -> RevocationView {
    let view = RevocationView::new();
    for notice in notices {
        view.apply(notice, at(0));
    }
    view
}

fn key_of(view: &RevocationView, key: u8) -> Option<(u64, String)> {
    let found = view.static_key(&[key; 32], &"pay".parse().unwrap());
    found.map(|(known, holder)| (known.account.id.number(), holder.login))
}

fn logins_of(view: &RevocationView, account: u64) -> Vec<String> {
    view.account(id(account)).unwrap().logins.clone()
}

#[test]
fn a_session_is_remembered_until_its_last_token_has_run_out() {
    let session = SessionId([1; 16]);
    let ended = RevocationNotice::Revoked(Revocation::Session {
        session,
        until: at(100),
    });
    let view = view(std::slice::from_ref(&ended));
    view.prune(at(99));
    assert!(view.has_ended(session));
    view.prune(at(100));
    assert!(!view.has_ended(session));
    assert_eq!(view.ended.len(), 0);
    view.apply(&ended, at(100));
    assert_eq!(view.ended.len(), 0, "it no longer matters");
}

#[test]
fn an_epoch_never_goes_back() {
    let revoked = RevocationNotice::Revoked(Revocation::Account {
        account: id(7),
        epoch: Epoch(3),
        until: at(100),
    });
    let epoch = |view: &RevocationView| view.account(id(7)).unwrap().epoch;

    let told_after = view(&[account(7, 0), revoked.clone()]);
    assert_eq!(epoch(&told_after), Epoch(3));
    told_after.apply(&account(7, 2), at(0));
    assert_eq!(epoch(&told_after), Epoch(3));

    let told_before = view(&[revoked, account(7, 0)]);
    assert_eq!(epoch(&told_before), Epoch(3));
}

#[test]
fn a_dead_key_is_found_among_others() {
    let kid = |text: &str| Kid(text.to_owned());
    let view = view(&[RevocationNotice::Revoked(Revocation::Key {
        kid: kid("dead"),
        until: at(100),
    })]);
    assert!(view.is_dead(&kid("dead")) && !view.is_dead(&kid("alive")));
    view.prune(at(100));
    assert!(!view.is_dead(&kid("dead")));
}

#[test]
fn an_account_answers_to_its_name_and_its_active_logins() {
    let asleep = Credential {
        active: false,
        ..credential(3, 7, "asleep", None)
    };
    let view = view(&[
        RevocationNotice::Credential(credential(1, 7, "first", None)),
        account(7, 0),
        RevocationNotice::Credential(credential(2, 7, "second", Some(2))),
        RevocationNotice::Credential(asleep),
        RevocationNotice::Credential(credential(4, 8, "foreign", None)),
    ]);
    let known = view.account(id(7)).unwrap();
    for (login, answers) in [
        ("name-7", true),
        ("first", true),
        ("second", true),
        ("asleep", false),
        ("foreign", false),
        ("First", false),
        ("", false),
    ] {
        assert_eq!(known.answers_to(login), answers, "{login}");
    }
    view.apply(&RevocationNotice::CredentialGone(CredentialId(1)), at(0));
    assert_eq!(logins_of(&view, 7), ["second"]);
}

#[test]
fn only_generated_keys_of_active_credentials_are_static_keys() {
    let view = view(&[
        account(7, 0),
        RevocationNotice::Credential(credential(1, 7, "a", Some(1))),
        RevocationNotice::Credential(credential(2, 7, "b", None)),
    ]);
    assert_eq!(key_of(&view, 1), Some((7, "a".to_owned())));
    assert_eq!(view.static_keys.len(), 1);
    let elsewhere = view.static_key(&[1; 32], &"other".parse().unwrap());
    assert!(elsewhere.is_none());

    let asleep = Credential {
        active: false,
        ..credential(1, 7, "a", Some(1))
    };
    view.apply(&RevocationNotice::Credential(asleep), at(0));
    assert_eq!(key_of(&view, 1), None);
}

#[test]
fn a_changed_credential_has_its_new_key_and_login_and_not_the_old() {
    let view = view(&[
        account(7, 0),
        account(8, 0),
        RevocationNotice::Credential(credential(1, 7, "a", Some(1))),
        RevocationNotice::Credential(credential(1, 8, "b", Some(2))),
    ]);
    assert_eq!(key_of(&view, 1), None);
    assert_eq!(key_of(&view, 2), Some((8, "b".to_owned())));
    assert!(logins_of(&view, 7).is_empty());
    assert_eq!(logins_of(&view, 8), ["b"]);
}

#[test]
fn a_secret_that_two_credentials_have_opens_while_one_of_them_lives() {
    let view = view(&[
        account(7, 0),
        RevocationNotice::Credential(credential(1, 7, "a", Some(1))),
        RevocationNotice::Credential(credential(2, 7, "b", Some(1))),
        RevocationNotice::CredentialGone(CredentialId(1)),
    ]);
    assert_eq!(key_of(&view, 1), Some((7, "b".to_owned())));
    view.apply(&RevocationNotice::CredentialGone(CredentialId(2)), at(0));
    assert_eq!(key_of(&view, 1), None);
    assert_eq!(view.static_keys.len(), 0);
}

#[test]
fn a_deleted_account_takes_its_credentials_along() {
    let view = view(&[
        account(7, 0),
        RevocationNotice::Credential(credential(1, 7, "a", Some(1))),
        RevocationNotice::AccountGone(id(7)),
        account(7, 0),
    ]);
    assert_eq!(key_of(&view, 1), None);
    assert!(logins_of(&view, 7).is_empty());
    assert_eq!((view.accounts.len(), view.static_keys.len()), (1, 0));
}

#[test]
fn a_notice_that_comes_twice_changes_nothing() {
    let once = [
        account(7, 1),
        RevocationNotice::Credential(credential(1, 7, "a", Some(1))),
    ];
    let view = view(&[&once[..], &once[..]].concat());
    assert_eq!(logins_of(&view, 7), ["a"]);
    assert_eq!(key_of(&view, 1), Some((7, "a".to_owned())));
}

#[test]
fn a_credential_is_known_until_it_or_its_account_is_gone() {
    let scoped = Credential {
        scopes: Scopes::parse(&["read"]).unwrap(),
        ..credential(1, 7, "a", None)
    };
    let told = [account(7, 0), RevocationNotice::Credential(scoped.clone())];
    let view = view(&told);
    let known = view.credential(CredentialId(1)).unwrap();
    assert_eq!(*known, KnownCredential::from_credential(&scoped));
    assert!(view.credential(CredentialId(2)).is_none());
    view.apply(&RevocationNotice::CredentialGone(CredentialId(1)), at(0));
    assert!(view.credential(CredentialId(1)).is_none());
    view.apply(&told[1], at(0));
    view.apply(&RevocationNotice::AccountGone(id(7)), at(0));
    assert!(view.credential(CredentialId(1)).is_none());
}
