//! Logging out, and what happens beside it.

use std::time::Duration;

use countersign_client::{ErrorKind, LogoutOutcome};
use countersign_domain::{Refusal, TokenOperation};

use crate::stores::Moody;
use crate::vendor::{Play, Vendor, access, at_once, token, until};

#[tokio::test]
async fn a_session_is_ended_with_the_vendor_and_then_forgotten() {
    let vendor = Vendor::speaking("mypopup");
    let store = Moody::default();
    let source = vendor.client().store(store.clone()).build().unwrap();
    token(&source).await.unwrap();
    assert_eq!(source.logout().await, Ok(LogoutOutcome::Done));
    assert_eq!(store.record().await.tokens, None);
    assert_eq!(source.logout().await, Ok(LogoutOutcome::NotLoggedIn));
    assert_eq!(
        vendor.asked(),
        [TokenOperation::Login, TokenOperation::Logout]
    );
    assert_eq!(
        token(&source).await,
        Ok(access(20)),
        "who asks later logs in"
    );
}

#[tokio::test]
async fn who_waits_for_a_token_meanwhile_is_told() {
    let vendor = Vendor::speaking("mypopup");
    let source = vendor.client().build().unwrap();
    token(&source).await.unwrap();
    vendor.hold();
    let leaving = tokio::spawn({
        let source = source.clone();
        async move { source.logout().await }
    });
    until(|| vendor.asked().len() == 2).await;
    let waiting = tokio::spawn({
        let source = source.clone();
        async move { token(&source).await }
    });
    tokio::task::yield_now().await;
    vendor.go_on();
    assert_eq!(leaving.await.unwrap(), Ok(LogoutOutcome::Done));
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::LoggedOut);
    assert_eq!(
        vendor.asked(),
        [TokenOperation::Login, TokenOperation::Logout]
    );
}

#[tokio::test]
async fn a_logout_waits_for_the_renewal_that_runs() {
    let vendor = Vendor::speaking("mypopup");
    let source = vendor.client().build().unwrap();
    token(&source).await.unwrap();
    vendor.clock.advance(Duration::from_secs(700));
    vendor.hold();
    let waiting = tokio::spawn({
        let source = source.clone();
        async move { token(&source).await }
    });
    until(|| vendor.asked().len() == 2).await;
    let leaving = tokio::spawn({
        let source = source.clone();
        async move { source.logout().await }
    });
    tokio::task::yield_now().await;
    vendor.go_on();
    assert_eq!(leaving.await.unwrap(), Ok(LogoutOutcome::Done));
    let waited = waiting.await.unwrap();
    let ends_clearly = match &waited {
        Ok(token) => *token == access(11),
        Err(error) => error.kind == ErrorKind::LoggedOut,
    };
    assert!(ends_clearly, "{waited:?}");
    let asked = [
        TokenOperation::Login,
        TokenOperation::Refresh,
        TokenOperation::Logout,
    ];
    assert_eq!(vendor.asked(), asked);
}

#[tokio::test]
async fn a_session_whose_access_token_has_run_out_is_refreshed_to_be_ended() {
    let vendor = Vendor::speaking("mypopup");
    let source = vendor.client().build().unwrap();
    token(&source).await.unwrap();
    vendor.clock.advance(Duration::from_secs(700));
    assert_eq!(source.logout().await, Ok(LogoutOutcome::Done));
}

#[tokio::test]
async fn a_dead_session_is_forgotten() {
    let vendor = Vendor::speaking("mypopup");
    let store = Moody::default();
    let source = vendor.client().store(store.clone()).build().unwrap();
    token(&source).await.unwrap();
    vendor.play(Play::Refuse(Refusal::BadBearer));
    vendor.play(Play::Refuse(Refusal::BadRefresh));
    assert_eq!(source.logout().await, Ok(LogoutOutcome::Dead));
    assert_eq!(store.record().await.tokens, None);
}

#[tokio::test]
async fn where_the_vendor_knows_no_logout_the_tokens_are_forgotten_here() {
    let vendor = Vendor::speaking("b2binpay");
    let source = vendor.client().build().unwrap();
    token(&source).await.unwrap();
    assert_eq!(source.logout().await, Ok(LogoutOutcome::Forgotten));
    assert!(source.status().await.unwrap().tokens.is_none());
    assert_eq!(vendor.asked(), [TokenOperation::Login]);
}

#[tokio::test]
async fn while_it_runs_nobody_gets_the_token() {
    let vendor = Vendor::speaking("mypopup");
    let source = vendor.client().build().unwrap();
    token(&source).await.unwrap();
    vendor.hold();
    let leaving = tokio::spawn({
        let source = source.clone();
        async move { source.logout().await }
    });
    until(|| vendor.asked().len() == 2).await;
    assert!(at_once(source.token()).is_none());
    vendor.go_on();
    leaving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_logout_that_failed_leaves_the_newest_token() {
    let vendor = Vendor::speaking("mypopup");
    let source = vendor.client().build().unwrap();
    token(&source).await.unwrap();
    vendor.play(Play::Refuse(Refusal::BadBearer));
    vendor.play(Play::Act);
    vendor.play(Play::Absent);
    assert!(source.logout().await.unwrap_err().is_transient());
    assert_eq!(token(&source).await, Ok(access(11)));
    assert_eq!(vendor.asked().len(), 4);
}

#[tokio::test]
async fn a_refused_login_is_not_made_again_because_of_a_logout() {
    let vendor = Vendor::speaking("mypopup");
    vendor.play(Play::Refuse(Refusal::BadLogin));
    let store = Moody::default();
    for _ in 0..3 {
        let source = vendor.client().store(store.clone()).build().unwrap();
        let error = token(&source).await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Refused { .. }), "{error}");
        assert_eq!(source.logout().await, Ok(LogoutOutcome::NotLoggedIn));
    }
    assert_eq!(vendor.asked(), [TokenOperation::Login]);
}
