//! Who may pass, decided in memory.

use std::time::Duration;

use countersign_dialect::PresentedCredential;
use countersign_domain::account::StoredSecret;
use countersign_domain::revocation::{Revocation, RevocationNotice};
use countersign_domain::{
    Account, Allowlist, Credential, CredentialId, Epoch, Kid, Reason, Scopes, SessionId,
};
use countersign_gateway::{CallerProof, GuardDenial, GuardedRequest, Permit, authorize};
use countersign_token::Pepper;
use http::Method;

use crate::world::{
    ACCOUNT, APIRONE, B2BINPAY, KEY, LOGIN, MYPOPUP, NOW, OTHER_ACCOUNT, Plan, SCOPE, SECOND_LOGIN,
    SESSION, World, echo_upstream, fresh_tokens, id,
};

const NOWHERE: &str = "http://127.0.0.1:1";

fn world(dialect: &'static str) -> World {
    Plan::new(dialect, NOWHERE).build()
}

/// A path of each dialect that the usual account may ask for.
fn guarded(dialect: &str) -> String {
    match dialect {
        MYPOPUP => "/api/v1/orders".to_owned(),
        B2BINPAY => "/deposit/7".to_owned(),
        _ => format!("/api/v2/accounts/{LOGIN}/invoices"),
    }
}

fn ask(world: &World, token: &str, path: &str, address: &str) -> Result<Permit, GuardDenial> {
    let asked = GuardedRequest {
        method: &Method::GET,
        path,
        presented: PresentedCredential::Token(token),
        address: address.parse().unwrap(),
    };
    authorize(&world.api, &world.view, &asked, NOW)
}

fn reason(world: &World, token: &str) -> Option<Reason> {
    let path = guarded(world.api.name().as_str());
    ask(world, token, &path, "127.0.0.9")
        .err()
        .map(|denied| denied.reason)
}

#[tokio::test]
async fn a_caller_who_is_denied_is_denied_by_name() {
    let world = world(APIRONE);
    let path = "/api/v2/accounts/somebody-else/invoices";
    let denied = ask(&world, &world.token(), path, "127.0.0.9").unwrap_err();
    assert_eq!(denied.reason, Reason::ForeignPath);
    let who = (denied.account, denied.session);
    assert_eq!(who, (Some(id(ACCOUNT)), Some(SESSION)));
}

#[tokio::test]
async fn a_good_token_of_each_dialect_says_who_calls() {
    for dialect in [B2BINPAY, MYPOPUP, APIRONE] {
        let world = world(dialect);
        let permit = ask(&world, &world.token(), &guarded(dialect), "127.0.0.9").unwrap();
        let caller = permit.caller().unwrap();
        assert_eq!(caller.account, id(ACCOUNT), "{dialect}");
        assert_eq!(caller.login, LOGIN);
        assert_eq!(caller.session(), Some(SESSION));
        assert!(matches!(
            caller.proof,
            CallerProof::Token { generation: 4, .. }
        ));
    }
}

#[tokio::test]
async fn a_token_that_is_not_good_is_refused_for_its_own_reason() {
    for dialect in [B2BINPAY, MYPOPUP, APIRONE] {
        let world = world(dialect);
        let elsewhere = Plan::new(dialect, NOWHERE).build();
        let (access, refresh) = world.tokens_of(&world.session());
        let expired = world.tokens_of(&countersign_domain::Session {
            access_expires_at: NOW,
            ..world.session()
        });
        let parts: Vec<&str> = access.split('.').collect();
        // {"alg":"none"} and {"typ":"JWT","alg":"none"}, with and without the
        // signature.
        let none = [
            format!("eyJhbGciOiJub25lIn0.{}.", parts[1]),
            format!("eyJhbGciOiJub25lIn0.{}.{}", parts[1], parts[2]),
            format!(
                "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.{}.{}",
                parts[1], parts[2]
            ),
        ];
        for (token, expected) in [
            (elsewhere.token(), Reason::TokenForged),
            (refresh, Reason::TokenForged),
            (expired.0, Reason::TokenExpired),
            (none[0].clone(), Reason::TokenMalformed),
            (none[1].clone(), Reason::TokenForged),
            (none[2].clone(), Reason::TokenForged),
            (
                format!("{}.{}.", parts[0], parts[1]),
                Reason::TokenMalformed,
            ),
            (String::new(), Reason::TokenMalformed),
            ("x".repeat(10_000), Reason::TokenMalformed),
        ] {
            assert_eq!(
                reason(&world, &token),
                Some(expected),
                "{dialect}: {token:.60}"
            );
        }
    }
}

#[tokio::test]
async fn a_revocation_holds_for_the_next_request() {
    let world = world(MYPOPUP);
    let token = world.token();
    let until = NOW + Duration::from_secs(100);
    assert_eq!(reason(&world, &token), None);
    let session = |session| RevocationNotice::Revoked(Revocation::Session { session, until });
    world.tell(&[session(SessionId([1; 16]))]);
    assert_eq!(reason(&world, &token), None, "another session ended");
    world.tell(&[session(SESSION)]);
    assert_eq!(reason(&world, &token), Some(Reason::SessionRevoked));
    let denied = ask(&world, &token, "/api/v1/x", "127.0.0.9").unwrap_err();
    assert_eq!(
        (denied.account, denied.session),
        (Some(id(ACCOUNT)), Some(SESSION))
    );
}

#[tokio::test]
async fn everything_older_than_an_epoch_is_dead() {
    let world = world(MYPOPUP);
    let newer = world.tokens_of(&countersign_domain::Session {
        epoch: Epoch(1),
        ..world.session()
    });
    world.tell(&[RevocationNotice::Revoked(Revocation::Account {
        account: id(ACCOUNT),
        epoch: Epoch(1),
        until: NOW + Duration::from_secs(100),
    })]);
    assert_eq!(reason(&world, &world.token()), Some(Reason::EpochPassed));
    assert_eq!(reason(&world, &newer.0), None);
}

#[tokio::test]
async fn an_account_must_be_known_active_and_of_this_api() {
    let world = world(MYPOPUP);
    let token = world.token();
    let account = world.account(ACCOUNT, LOGIN);
    for (notice, expected) in [
        (
            RevocationNotice::Account(Account {
                active: false,
                ..account.clone()
            }),
            Some(Reason::AccountDisabled),
        ),
        (RevocationNotice::Account(account.clone()), None),
        (
            RevocationNotice::Account(Account {
                api: "other".parse().unwrap(),
                ..account.clone()
            }),
            Some(Reason::AccountUnknown),
        ),
        (RevocationNotice::Account(account), None),
        (
            RevocationNotice::AccountGone(id(ACCOUNT)),
            Some(Reason::AccountUnknown),
        ),
    ] {
        world.tell(std::slice::from_ref(&notice));
        assert_eq!(reason(&world, &token), expected, "{notice:?}");
    }
}

#[tokio::test]
async fn only_an_allowed_address_may_use_a_token() {
    let world = world(MYPOPUP);
    world.tell(&[RevocationNotice::Account(Account {
        allow: Allowlist::parse(&["192.0.2.0/24", "2001:db8::/32"]).unwrap(),
        ..world.account(ACCOUNT, LOGIN)
    })]);
    let token = world.token();
    for (address, allowed) in [
        ("192.0.2.7", true),
        ("::ffff:192.0.2.7", true),
        ("2001:db8::1", true),
        ("192.0.3.7", false),
        ("::ffff:192.0.3.7", false),
        ("::192.0.2.7", false),
        ("2001:db9::1", false),
    ] {
        let expected = (!allowed).then_some(Reason::AddressDenied);
        let asked = ask(&world, &token, "/api/v1/x", address);
        assert_eq!(
            asked.err().map(|denied| denied.reason),
            expected,
            "{address}"
        );
    }
}

#[tokio::test]
async fn a_path_must_name_a_login_of_the_caller() {
    let world = world(APIRONE);
    let token = world.token();
    for (path, allowed) in [
        (format!("/api/v2/accounts/{LOGIN}/invoices"), true),
        (format!("/api/v2/accounts/{LOGIN}"), true),
        (format!("/api/v2/wallets/{SECOND_LOGIN}/invoices"), true),
        (
            format!("/api/v2/accounts/%61{}/invoices", &LOGIN[1..]),
            true,
        ),
        (
            "/api/v2/accounts/apr-ffffffffffffffffffffffffffffffff/invoices".to_owned(),
            false,
        ),
        (
            format!("/api/v2/accounts/{}/invoices", LOGIN.to_uppercase()),
            false,
        ),
        (format!("/api/v2/accounts/{LOGIN}%20/invoices"), false),
        ("/api/v2/accounts/*/invoices".to_owned(), false),
    ] {
        let expected = (!allowed).then_some(Reason::ForeignPath);
        let asked = ask(&world, &token, &path, "127.0.0.9");
        assert_eq!(asked.err().map(|denied| denied.reason), expected, "{path}");
    }
    world.tell(&[RevocationNotice::CredentialGone(CredentialId(3))]);
    let path = format!("/api/v2/wallets/{SECOND_LOGIN}/invoices");
    let asked = ask(&world, &token, &path, "127.0.0.9");
    assert_eq!(
        asked.unwrap_err().reason,
        Reason::ForeignPath,
        "it is not a login of the account any more"
    );
}

#[tokio::test]
async fn an_address_is_told_only_after_the_token_is_good_and_the_path_last() {
    let world = world(APIRONE);
    world.tell(&[RevocationNotice::Account(Account {
        allow: Allowlist::parse(&["192.0.2.1"]).unwrap(),
        ..world.account(ACCOUNT, LOGIN)
    })]);
    let foreign = "/api/v2/accounts/apr-ffffffffffffffffffffffffffffffff/invoices";
    let bad = ask(&world, "a.b.c", foreign, "127.0.0.9").unwrap_err();
    assert_eq!(bad.reason, Reason::TokenForged);
    let good = ask(&world, &world.token(), foreign, "127.0.0.9").unwrap_err();
    assert_eq!(good.reason, Reason::AddressDenied);
}

#[tokio::test]
async fn tokens_of_a_dead_key_wait_for_the_api_to_be_given_others() {
    let world = world(APIRONE);
    world.tell(&[RevocationNotice::Revoked(Revocation::Key {
        kid: Kid("kid-HS256".to_owned()),
        until: NOW + Duration::from_secs(100),
    })]);
    assert_eq!(reason(&world, &world.token()), Some(Reason::KeyRetired));
}

#[tokio::test]
async fn replaced_tokens_hold_for_the_next_request() {
    let world = world(APIRONE);
    let token = world.token();
    assert_eq!(reason(&world, &token), None);
    world.keychain.replace(fresh_tokens(&world.dialect));
    assert_eq!(reason(&world, &token), Some(Reason::TokenForged));
}

#[tokio::test]
async fn the_first_use_of_a_generation_is_reported_once() {
    let echo = echo_upstream();
    let world = Plan::new(MYPOPUP, &echo.url).build();
    let front = world.serve();
    let bearer = world.bearer();
    for _ in 0..3 {
        front.get("/api/v1/x", &[("authorization", &bearer)]).await;
    }
    front
        .get("/api/v1/public", &[("authorization", &bearer)])
        .await;
    front
        .get("/api/v1/x", &[("authorization", "Bearer a.b.c")])
        .await;
    assert_eq!(*world.used.lock().unwrap(), [(SESSION, 4)]);
}

#[tokio::test]
async fn a_password_is_no_static_key() {
    let world = world(APIRONE);
    let password = StoredSecret::Password("hunter2hunter2hunter2hunter2hunt".to_owned());
    let credential = crate::world::credential(9, ACCOUNT, "apr-pw", password);
    world.tell(&[RevocationNotice::Credential(credential)]);
    let asked = GuardedRequest {
        method: &Method::GET,
        path: &format!("/api/v2/accounts/{LOGIN}/invoices"),
        presented: PresentedCredential::StaticKey("hunter2hunter2hunter2hunter2hunt".into()),
        address: "127.0.0.9".parse().unwrap(),
    };
    let denied = authorize(&world.api, &world.view, &asked, NOW).unwrap_err();
    assert_eq!(denied.reason, Reason::StaticKeyWrong);
}

/// The usual credential, changed.
fn held(change: impl FnOnce(&mut Credential)) -> RevocationNotice {
    let key = StoredSecret::Key(Pepper::new(&[7; 32]).hash(KEY));
    let mut credential = crate::world::credential(1, ACCOUNT, LOGIN, key);
    change(&mut credential);
    RevocationNotice::Credential(credential)
}

#[tokio::test]
async fn a_token_ends_with_its_credential() {
    let world = world(APIRONE);
    let token = world.token();
    assert_eq!(reason(&world, &token), None);
    world.tell(&[held(|it| it.active = false)]);
    assert_eq!(reason(&world, &token), Some(Reason::CredentialRevoked));
    world.tell(&[held(|_| {})]);
    assert_eq!(reason(&world, &token), None);
    world.tell(&[held(|it| it.account = id(OTHER_ACCOUNT))]);
    assert_eq!(reason(&world, &token), Some(Reason::CredentialRevoked));
    world.tell(&[RevocationNotice::CredentialGone(CredentialId(1))]);
    assert_eq!(reason(&world, &token), Some(Reason::CredentialRevoked));
}

#[tokio::test]
async fn a_route_asks_for_scopes_of_the_credential_behind_a_token_or_a_key() {
    let world = world(APIRONE);
    let token = world.token();
    let path = format!("/api/v2/accounts/{LOGIN}/payouts");
    let ask = |presented| {
        let asked = GuardedRequest {
            method: &Method::POST,
            path: &path,
            presented,
            address: "127.0.0.9".parse().unwrap(),
        };
        authorize(&world.api, &world.view, &asked, NOW)
    };
    let both = || {
        [
            PresentedCredential::Token(&token),
            PresentedCredential::StaticKey(KEY.into()),
        ]
    };
    for scopes in [&[][..], &["payout:read", "payout"]] {
        world.tell(&[held(|it| it.scopes = Scopes::parse(scopes).unwrap())]);
        for presented in both() {
            let denied = ask(presented).unwrap_err();
            assert_eq!(denied.reason, Reason::ScopeMissing);
            assert!(denied.detail.unwrap().contains(SCOPE));
            assert_eq!(denied.account, Some(id(ACCOUNT)));
        }
    }
    world.tell(&[held(|it| it.scopes = Scopes::parse(&["x", SCOPE]).unwrap())]);
    for presented in both() {
        assert!(ask(presented).is_ok());
    }
}
