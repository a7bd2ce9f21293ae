//! One clock decides everything.

use countersign_domain::{Reason, Timestamp, TokenOperation};
use countersign_sandbox::{RequestExpectations, Sandbox};

use crate::client::{Client, reply};
use crate::{HOUR, SECOND, start, still};

#[tokio::test]
async fn six_hours_pass_in_no_time() {
    let sandbox = still("b2binpay").await;
    let mut client = Client::logged_in(&sandbox).await;
    let began = sandbox.now();
    for minute in [3, 6, 9] {
        sandbox.advance(SECOND * 180);
        assert!(client.called().await.is_err(), "three minutes are over");
        client.refresh().await.unwrap();
        assert_eq!(client.called().await, Ok(200));
        assert_eq!(sandbox.now(), began + SECOND * 60 * minute);
    }
    sandbox.advance(HOUR * 6);
    assert!(client.refresh().await.is_err(), "six hours are over");
    client.login().await.unwrap();
    let expected = RequestExpectations::new().logins(2).refreshes(3);
    assert_eq!(sandbox.check(&expected), Ok(()));
    let expired = RequestExpectations::new().no_expired();
    assert_eq!(
        sandbox.check(&expired),
        Err(vec![
            "requests with an expired access token: 3, and at most 0 expected".to_owned()
        ])
    );
}

#[tokio::test]
async fn a_clock_that_stands_still_shows_the_same_time_to_everybody() {
    let noon = Timestamp::from_seconds(1_800_014_400);
    let sandbox = start(Sandbox::shipped("mypopup").still_at(noon)).await;
    let mut moves = sandbox.moves();
    let client = Client::logged_in(&sandbox).await;
    for expected in [
        "Fri, 15 Jan 2027 12:00:00 GMT",
        "Fri, 15 Jan 2027 12:30:00 GMT",
    ] {
        for answer in [
            client.call().await,
            client.send(TokenOperation::Login).await,
        ] {
            assert_eq!(reply(&answer).headers()["date"], expected);
        }
        sandbox.advance(SECOND * 1_800);
    }
    assert_eq!(*moves.borrow_and_update(), noon + HOUR);
    assert_eq!(sandbox.now(), noon + HOUR);
    assert_eq!(sandbox.requests()[0].at, noon);
}

#[tokio::test]
async fn time_does_not_go_back() {
    let sandbox = still("mypopup").await;
    let began = sandbox.now();
    sandbox.set(began + HOUR).unwrap();
    let error = sandbox.set(began).unwrap_err().to_string();
    assert!(error.contains("is not moved back to"), "{error}");
    assert_eq!(sandbox.now(), began + HOUR);
}

#[tokio::test]
async fn a_clock_that_runs_goes_on_from_where_it_was_moved_to() {
    let sandbox = start(Sandbox::shipped("mypopup")).await;
    let client = Client::logged_in(&sandbox).await;
    let moved = sandbox.advance(HOUR);
    assert!(client.called().await.is_err());
    assert!(sandbox.now() >= moved && sandbox.now().since(moved) < SECOND * 60);
    let refused = sandbox.requests().pop().unwrap();
    assert_eq!(refused.refusal, Some(Reason::TokenExpired));
}

#[tokio::test]
async fn the_throttle_keeps_the_same_time() {
    let sandbox = start(Sandbox::shipped("b2binpay").still()).await;
    let mut stranger = Client::of(&sandbox).with_secret("wrong");
    while stranger.login().await.unwrap_err().status != 429 {}
    assert_eq!(stranger.login().await.unwrap_err().status, 429);
    sandbox.advance(HOUR * 2);
    assert_eq!(stranger.login().await.unwrap_err().status, 400);
}

#[tokio::test]
async fn an_old_refresh_token_is_reuse_once_its_successor_was_used_and_the_window_is_over() {
    let window = SECOND * 10;
    let sandbox = start(Sandbox::shipped("b2binpay").still().replay_window(window)).await;
    let mut client = Client::logged_in(&sandbox).await;
    let old = client.held.clone();
    client.refresh().await.unwrap();
    assert_eq!(client.called().await, Ok(200));
    let mut thief = Client::of(&sandbox);
    thief.held = old.clone();
    assert!(
        thief.refresh().await.is_ok(),
        "it may be the owner's lost reply"
    );
    sandbox.advance(window + SECOND);
    thief.held = old;
    assert!(thief.refresh().await.is_err());
    let reuse = sandbox.requests().pop().unwrap();
    assert_eq!(
        (reuse.refusal, reuse.change),
        (Some(Reason::Reuse), Some("ended_for_reuse"))
    );
    assert!(client.called().await.is_err(), "the session is over");
}
