//! What each fault does, as a client sees it on its socket, and what the vendor
//! has done all the same.

use countersign_dialect::UnderstoodReply;
use countersign_domain::{Reason, Refusal, TokenOperation};
use countersign_sandbox::{ClockSkew, RecordedRequest, RevocationTarget, Sandbox, VendorFault};
use countersign_testing::raw::content_length;

use crate::client::{Client, call_with, reply, split};
use crate::{HOUR, SECOND, start, still};

/// The last request.
fn last(sandbox: &Sandbox) -> RecordedRequest {
    sandbox.requests().pop().unwrap()
}

#[tokio::test]
async fn a_lost_reply_was_acted_upon_and_not_a_byte_of_it_is_sent() {
    let sandbox = still("mypopup").await;
    let mut client = Client::logged_in(&sandbox).await;
    sandbox.fault(VendorFault::lost_reply().on(TokenOperation::Refresh));
    assert_eq!(client.send(TokenOperation::Refresh).await, b"");
    let lost = last(&sandbox);
    assert_eq!((lost.status, lost.change), (200, Some("rotated")));
    assert_eq!(lost.faults, ["lost_reply"]);
    client.refresh().await.unwrap();
    assert_eq!(last(&sandbox).change, Some("replayed"));
    assert_eq!(client.called().await, Ok(200));
}

#[tokio::test]
async fn a_guarded_reply_is_lost_too() {
    let sandbox = still("b2binpay").await;
    let client = Client::logged_in(&sandbox).await;
    sandbox.fault(VendorFault::lost_reply());
    assert_eq!(client.call().await, b"");
    assert_eq!(client.called().await, Ok(200));
}

#[tokio::test]
async fn a_client_that_goes_away_has_asked_all_the_same() {
    let sandbox = still("mypopup").await;
    let mut client = Client::logged_in(&sandbox).await;
    client.hang_up(TokenOperation::Refresh).await;
    until_asked(&sandbox, 2).await;
    assert_eq!(last(&sandbox).change, Some("rotated"));
    client.refresh().await.unwrap();
    assert_eq!(last(&sandbox).change, Some("replayed"));
}

#[tokio::test]
async fn a_client_that_goes_away_before_it_can_be_answered_has_asked_too() {
    let sandbox = still("b2binpay").await;
    // The keys of v3 are made when they are needed first, which takes long.
    let client = Client::of(&sandbox).in_variant("v3");
    client.hang_up(TokenOperation::Login).await;
    until_asked(&sandbox, 1).await;
    assert_eq!(last(&sandbox).change, Some("opened"));
}

async fn until_asked(sandbox: &Sandbox, times: usize) {
    let asked = async {
        while sandbox.requests().len() < times {
            tokio::task::yield_now().await;
        }
    };
    let asked = tokio::time::timeout(SECOND * 30, asked).await;
    asked.expect("what was asked is done");
}

#[tokio::test]
async fn a_status_is_spelled_by_the_dialect_and_nothing_is_acted_upon() {
    let cases = [
        (429, Refusal::Throttled),
        (503, Refusal::Unavailable),
        (500, Refusal::Internal),
        (401, Refusal::BadRefresh),
        (403, Refusal::Forbidden),
    ];
    for dialect in ["mypopup", "b2binpay"] {
        let sandbox = still(dialect).await;
        let mut client = Client::logged_in(&sandbox).await;
        for (status, refusal) in cases {
            let fault = VendorFault::status(status).retry_after(SECOND * 7);
            sandbox.fault(fault.on(TokenOperation::Refresh));
            let refused = client.refresh().await.unwrap_err();
            assert_eq!((refused.status, refused.refusal), (status, refusal));
            assert_eq!(refused.retry_after, Some(SECOND * 7), "{dialect} {status}");
            assert_eq!(last(&sandbox).change, None);
        }
        client.refresh().await.unwrap();
        assert_eq!(last(&sandbox).change, Some("rotated"));
    }
}

#[tokio::test]
async fn a_status_that_no_dialect_spells_is_told_all_the_same() {
    let sandbox = still("apirone").await;
    let client = Client::logged_in(&sandbox).await;
    for status in [418, 507] {
        sandbox.fault(VendorFault::status(status));
        assert_eq!(reply(&client.call().await).status(), status);
    }
}

#[tokio::test]
async fn a_delayed_reply_was_acted_upon_at_once() {
    let sandbox = still("mypopup").await;
    let mut client = Client::logged_in(&sandbox).await;
    let late = SECOND / 10;
    sandbox.fault(VendorFault::delay(late).on(TokenOperation::Refresh));
    let began = std::time::Instant::now();
    client.refresh().await.unwrap();
    assert!(began.elapsed() >= late);
    assert_eq!(last(&sandbox).faults, ["delay"]);
}

#[tokio::test]
async fn every_reply_is_late_where_there_is_latency() {
    let late = SECOND / 20;
    let sandbox = start(Sandbox::shipped("mypopup").latency(late)).await;
    let began = std::time::Instant::now();
    let client = Client::logged_in(&sandbox).await;
    assert_eq!(client.called().await, Ok(200));
    assert!(began.elapsed() >= late * 2);
}

#[tokio::test]
async fn a_cut_reply_has_its_head_and_half_of_its_body() {
    let sandbox = still("mypopup").await;
    let mut client = Client::logged_in(&sandbox).await;
    for operation in [
        TokenOperation::Login,
        TokenOperation::Refresh,
        TokenOperation::Guard,
    ] {
        sandbox.fault(VendorFault::cut().on(operation));
        let received = match operation {
            TokenOperation::Guard => client.call().await,
            _ => client.send(operation).await,
        };
        let (head, body) = split(&received).unwrap();
        let whole: usize = content_length(head);
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(body.len(), whole / 2, "{operation}");
        client.refresh().await.unwrap();
    }
}

#[tokio::test]
async fn a_skewed_reply_tells_other_times_and_its_signature_is_good() {
    for (dialect, by) in [("b2binpay", HOUR), ("mypopup", SECOND * 90)] {
        let sandbox = still(dialect).await;
        let client = Client::of(&sandbox);
        let honest = reply(&client.send(TokenOperation::Login).await);
        for (skew, ahead) in [(ClockSkew::Ahead(by), true), (ClockSkew::Behind(by), false)] {
            sandbox.fault(VendorFault::skew(skew));
            let wrong = reply(&client.send(TokenOperation::Login).await);
            let [honest, wrong] = [&honest, &wrong].map(|answer| {
                let date = answer.headers()["date"].to_str().unwrap().to_owned();
                match client.understand(TokenOperation::Login, answer) {
                    UnderstoodReply::Granted(granted) => (date, granted),
                    other => panic!("{other:?}"),
                }
            });
            let shift = |from, to| {
                if ahead {
                    from + by == to
                } else {
                    to + by == from
                }
            };
            assert_ne!(honest.0, wrong.0);
            assert!(shift(honest.1.access_expires_at, wrong.1.access_expires_at));
            assert_eq!(honest.1.now.is_some(), wrong.1.now.is_some());
            let token = &wrong.1.access_token;
            assert_eq!(reply(&call_with(&sandbox, token).await).status(), 200);
        }
    }
}

#[tokio::test]
async fn what_is_revoked_just_before_a_request_is_dead() {
    for (what, other_lives) in [
        (RevocationTarget::Session, true),
        (RevocationTarget::Account, false),
    ] {
        let sandbox = still("b2binpay").await;
        let mut client = Client::logged_in(&sandbox).await;
        let other = Client::logged_in(&sandbox).await;
        sandbox.fault(VendorFault::revoke(what).on(TokenOperation::Guard));
        assert!(client.called().await.is_err());
        let refused = last(&sandbox);
        assert!(refused.refusal.is_some() && refused.is_sabotaged());
        assert!(client.refresh().await.is_err(), "the refresh token too");
        assert_eq!(other.called().await.is_ok(), other_lives, "{what:?}");
        client.login().await.unwrap();
        assert_eq!(client.called().await, Ok(200));
    }
}

#[tokio::test]
async fn a_session_is_revoked_before_its_refresh() {
    let sandbox = still("mypopup").await;
    let mut client = Client::logged_in(&sandbox).await;
    let other = Client::logged_in(&sandbox).await;
    sandbox.fault(VendorFault::revoke(RevocationTarget::Session).on(TokenOperation::Refresh));
    let refused = client.refresh().await.unwrap_err();
    assert_eq!(refused.refusal, Refusal::BadRefresh);
    assert_eq!(last(&sandbox).refusal, Some(Reason::SessionRevoked));
    assert_eq!(other.called().await, Ok(200));
}

#[tokio::test]
async fn who_is_forbidden_is_told_that_its_address_is_not_allowed() {
    let sandbox = still("b2binpay").await;
    let mut client = Client::logged_in(&sandbox).await;
    sandbox.fault(VendorFault::forbid().times(2));
    let refused = client.refresh().await.unwrap_err();
    assert_eq!(
        (refused.refusal, refused.code.as_deref()),
        (Refusal::AddressDenied, Some("2016"))
    );
    assert_eq!(client.called().await, Err(Refusal::AddressDenied));
    assert_eq!(client.called().await, Ok(200));
    client.refresh().await.unwrap();
}

#[tokio::test]
async fn what_is_cleared_strikes_nobody() {
    let sandbox = still("mypopup").await;
    sandbox.fault(VendorFault::status(500).rate(1.0));
    let mut client = Client::of(&sandbox);
    assert!(client.login().await.is_err());
    assert_eq!(sandbox.faults(), [VendorFault::status(500).rate(1.0)]);
    sandbox.clear_faults();
    assert!(client.login().await.is_ok());
}
