//! The issuer over a real store, with a clock that the story moves: what the
//! hours and days between two requests do to a session.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod provider;
mod throttle;

use std::time::Duration;

use countersign_dialect::Secret;
use countersign_domain::Reason;
use countersign_domain::account::StoredSecret;
use countersign_domain::session::SessionLifetimes;
use countersign_server::issuer::Issuer;
use countersign_server::password::PasswordPool;
use countersign_store::{AuditActor, NewCredential};
use serde_json::json;

use crate::provider::{HOUR, LIFETIMES, MINUTE, Provider, SECRET, data};

#[tokio::test]
async fn a_reply_that_was_lost_is_given_again_over_a_restart_a_new_key_and_new_lifetimes() {
    let provider = Provider::begin().await;
    let first = provider.log_in().await;
    provider.clock.advance(50 * MINUTE);
    let lost = data(&provider.refresh(&first).await);

    provider.rotate_key().await;
    let shorter = SessionLifetimes {
        access: MINUTE,
        refresh: HOUR,
        ..LIFETIMES
    };
    let provider = provider.restart(shorter).await;
    provider.clock.advance(45 * Duration::from_secs(1));
    let again = provider.refresh(&first).await;
    assert_eq!(again.record.change, Some("replayed"));
    assert_eq!(data(&again), lost, "the same pair, to the byte");

    let next = data(&provider.refresh(&lost).await);
    assert_ne!(next["refresh_token"], lost["refresh_token"]);
    assert_eq!(
        next["access_expires_at"], "2024-06-12T18:39:29Z",
        "now plus a minute"
    );
}

#[tokio::test]
async fn a_stolen_token_ends_its_own_session_and_nobody_elses() {
    let provider = Provider::begin().await;
    let (robbed, other) = (provider.log_in().await, provider.log_in().await);
    let owner = data(&provider.refresh(&robbed).await);
    let owner = data(&provider.refresh(&owner).await);
    let thief = provider.refresh(&robbed).await;
    assert_eq!(thief.record.outcome, Err(Reason::Reuse));
    assert_eq!(
        provider.refresh(&owner).await.record.outcome,
        Err(Reason::SessionRevoked)
    );
    assert_eq!(provider.refresh(&other).await.record.outcome, Ok(()));

    let provider = provider.restart(LIFETIMES).await;
    assert_eq!(
        provider.refresh(&owner).await.record.outcome,
        Err(Reason::SessionRevoked)
    );
    let audit = provider.store.audit(None, 100).await.unwrap();
    assert_eq!(
        audit.iter().filter(|entry| entry.action == "reuse").count(),
        1
    );
}

#[tokio::test]
async fn a_session_that_is_refreshed_every_day_ends_after_thirty() {
    let provider = Provider::begin().await;
    let mut pair = provider.log_in().await;
    for _ in 0..29 {
        provider.clock.advance(24 * HOUR);
        pair = data(&provider.refresh(&pair).await);
    }
    assert_eq!(
        pair["refresh_expires_at"], "2024-07-12T17:47:44Z",
        "30 days after the login"
    );
    provider.clock.advance(24 * HOUR);
    assert_eq!(
        provider.refresh(&pair).await.record.outcome,
        Err(Reason::TokenExpired)
    );
    assert_eq!(provider.log_in_with(SECRET).await.record.outcome, Ok(()));
}

#[tokio::test]
async fn a_refresh_token_that_ran_out_is_refused_and_ends_nothing() {
    let provider = Provider::begin().await;
    let pair = provider.log_in().await;
    provider.clock.advance(LIFETIMES.refresh);
    let refused = provider.refresh(&pair).await;
    assert_eq!(refused.record.outcome, Err(Reason::TokenExpired));
    assert_eq!(refused.response.status(), 401);
}

#[tokio::test]
async fn a_password_opens_the_account_and_a_wrong_one_does_not() {
    let provider = Provider::begin().await;
    let passwords = PasswordPool::new(1, 1).unwrap();
    let phc = passwords.hash(Secret::from("hunter2")).await.unwrap();
    let secret = StoredSecret::Password(phc);
    let login = "by-password".to_owned();
    let created = provider.store.create_credential(
        provider.account,
        NewCredential::new(login, secret),
        AuditActor::System,
    );
    created.await.unwrap();
    let try_with = |password: &str| {
        let body = json!({ "username": "by-password", "password": password }).to_string();
        let provider = &provider;
        async move {
            let json = [("content-type", "application/json")];
            provider
                .ask("/auth/login", &json, &body)
                .await
                .record
                .outcome
        }
    };
    assert_eq!(try_with("hunter2").await, Ok(()));
    assert_eq!(try_with("Hunter2").await, Err(Reason::WrongSecret));
    assert_eq!(
        try_with(SECRET).await,
        Err(Reason::WrongSecret),
        "another credential's secret"
    );
}

#[tokio::test]
async fn an_api_without_passwords_lets_no_stored_password_in() {
    let mut provider = Provider::begin().await;
    provider.api.settings.passwords = false;
    provider.issuer = Issuer::new(provider.store.clone(), PasswordPool::new(0, 0).unwrap());
    let phc = PasswordPool::new(1, 1)
        .unwrap()
        .hash(Secret::from("hunter2"))
        .await
        .unwrap();
    let credential = StoredSecret::Password(phc);
    let login = "by-password".to_owned();
    let created = provider.store.create_credential(
        provider.account,
        NewCredential::new(login, credential),
        AuditActor::System,
    );
    created.await.unwrap();
    let body = json!({ "username": "by-password", "password": "hunter2" }).to_string();
    let json = [("content-type", "application/json")];
    let refused = provider.ask("/auth/login", &json, &body).await;
    assert_eq!(refused.record.outcome, Err(Reason::WrongSecret));
    assert_eq!(
        provider.log_in_with("wrong").await.record.outcome,
        Err(Reason::WrongSecret)
    );
    assert_eq!(provider.log_in_with(SECRET).await.record.outcome, Ok(()));
}

#[tokio::test]
async fn a_disabled_account_is_refused_wherever_it_comes() {
    let provider = Provider::begin().await;
    let pair = provider.log_in().await;
    provider.set_active(false).await;
    let login = provider.log_in_with(SECRET).await;
    assert_eq!(login.record.outcome, Err(Reason::AccountDisabled));
    let wrong = provider.log_in_with("wrong").await;
    assert_eq!(
        login.response.body(),
        wrong.response.body(),
        "the peer cannot tell"
    );
    assert!(provider.refresh(&pair).await.record.outcome.is_err());
    assert!(provider.log_out(&pair).await.record.outcome.is_err());

    provider.set_active(true).await;
    assert!(
        provider.refresh(&pair).await.record.outcome.is_err(),
        "the old session stays dead"
    );
    assert_eq!(provider.log_in_with(SECRET).await.record.outcome, Ok(()));
}

/// A pool without a place tells who would have hashed: whatever is wrong with a
/// login, it costs one hash, and a good generated key costs none.
#[tokio::test]
async fn every_failed_login_costs_a_hash_and_a_good_key_none() {
    let mut provider = Provider::begin().await;
    provider.issuer = Issuer::new(provider.store.clone(), PasswordPool::new(0, 0).unwrap());
    assert_eq!(provider.log_in_with(SECRET).await.record.outcome, Ok(()));
    let busy = Err(Reason::HashingBusy);
    assert_eq!(provider.log_in_with("wrong").await.record.outcome, busy);
    let unknown = json!({ "username": "nobody", "password": SECRET }).to_string();
    let json = [("content-type", "application/json")];
    let unknown = provider.ask("/auth/login", &json, &unknown).await;
    assert_eq!(unknown.record.outcome, busy);
    assert_eq!(unknown.response.status(), 503);
    provider.set_active(false).await;
    assert_eq!(
        provider.log_in_with(SECRET).await.record.outcome,
        busy,
        "disabled"
    );
}

#[tokio::test]
async fn a_logout_ends_every_session_of_the_client_and_cannot_be_said_twice() {
    let provider = Provider::begin().await;
    let (one, other) = (provider.log_in().await, provider.log_in().await);
    assert_eq!(provider.log_out(&one).await.record.outcome, Ok(()));
    for pair in [&one, &other] {
        let refused = provider.refresh(pair).await;
        assert_eq!(refused.response.status(), 401);
        assert_eq!(provider.log_out(pair).await.response.status(), 401);
    }
}

#[tokio::test]
async fn a_store_that_is_gone_is_503_and_never_401() {
    let provider = Provider::begin().await;
    let pair = provider.log_in().await;
    provider.store.clone().close().await;
    for answer in [
        provider.log_in_with(SECRET).await,
        provider.refresh(&pair).await,
        provider.log_out(&pair).await,
    ] {
        assert_eq!(answer.response.status(), 503);
        assert_eq!(answer.response.headers()["retry-after"], "1");
        assert_eq!(answer.record.outcome, Err(Reason::StoreUnavailable));
    }
}
