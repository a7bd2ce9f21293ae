//! Tokens that end, and requests that are sent again.

use std::time::Duration;

use bytes::Bytes;
use countersign_domain::TokenOperation;
use countersign_sandbox::{RequestExpectations, RevocationTarget, VendorFault};
use countersign_testing::replies::request;
use http::Request;
use http_body_util::Channel;
use tokio::task::JoinSet;

use crate::vendor::Vendor;
use crate::world::{HOUR, Plan, World, outcome};

const KEPT: usize = 64 * 1024;

fn revoke() -> VendorFault {
    VendorFault::revoke(RevocationTarget::Session).on(TokenOperation::Guard)
}

/// The statuses that the vendor gave to guarded requests.
fn guarded(world: &World) -> Vec<u16> {
    let requests = world.sandbox.requests();
    let guarded = requests
        .iter()
        .filter(|it| it.operation == TokenOperation::Guard);
    guarded.map(|it| it.status).collect()
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_replaced_and_the_request_sent_again() {
    let world = World::open().await;
    assert_eq!(world.get("/deposit/").await.status, 200);
    world.sandbox.fault(revoke());
    let reply = world.send(request("POST", "/deposit/", &[], "again")).await;
    assert_eq!(outcome(&reply), (200, ""));
    assert!(
        reply.text().contains(r#""body":"again""#),
        "{}",
        reply.text()
    );
    assert_eq!(guarded(&world), [200, 401, 200]);
}

#[tokio::test]
async fn a_request_is_sent_again_once_and_then_answered_as_the_vendor_does() {
    let vendor = Vendor::answering(
        "HTTP/1.1 401 Unauthorized\r\nX-Trace: 7\r\nContent-Length: 4\r\n\r\nnope",
    );
    let plan = Plan {
        upstream: Some(vendor.url.clone()),
        ..Plan::default()
    };
    let world = plan.open().await;
    let reply = world.get("/deposit/").await;
    assert_eq!((outcome(&reply), &*reply.text()), ((401, ""), "nope"));
    assert_eq!(reply.header("x-trace"), "7");
    assert_eq!(vendor.heads().len(), 2);
}

#[tokio::test]
async fn a_vendor_that_takes_no_token_is_not_sent_everything_twice() {
    let vendor = Vendor::answering("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let plan = Plan {
        upstream: Some(vendor.url.clone()),
        ..Plan::default()
    };
    let world = plan.open().await;
    for _ in 0..40 {
        assert_eq!(world.get("/deposit/").await.status, 401);
    }
    // A few tokens in a row are replaced at once, the next ones after a while.
    let again = vendor.heads().len() - 40;
    assert!((1..=12).contains(&again), "{again}");
}

#[tokio::test]
async fn a_body_of_64_kib_is_kept_and_one_byte_more_is_not() {
    for (length, statuses, answered) in [
        (KEPT, &[200, 401, 200][..], 200),
        (KEPT + 1, &[200, 401], 401),
    ] {
        let world = World::open().await;
        assert_eq!(world.get("/deposit/").await.status, 200);
        world.sandbox.fault(revoke());
        let body = "x".repeat(length);
        let reply = world
            .send(request("POST", "/deposit/", &[], body.clone()))
            .await;
        assert_eq!(outcome(&reply), (answered, ""), "{length}");
        assert_eq!(guarded(&world), statuses, "{length}");
        assert_eq!(reply.text().contains(&body), answered == 200);
        // The next request has a token of its own all the same.
        assert_eq!(world.get("/deposit/").await.status, 200);
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_is_kept_like_any_other() {
    for (pieces, answered) in [(4, 200), (5, 401)] {
        let world = World::open().await;
        assert_eq!(world.get("/deposit/").await.status, 200);
        world.sandbox.fault(revoke());
        let (mut body, receiver) = Channel::<Bytes>::new(pieces);
        for _ in 0..pieces {
            let piece = Bytes::from(vec![b'x'; KEPT / 4]);
            body.send_data(piece).await.unwrap();
        }
        drop(body);
        let request = Request::post("/deposit/").body(receiver).unwrap();
        let reply = world.send_any(request).await;
        assert_eq!(outcome(&reply), (answered, ""), "{pieces}");
    }
}

/// Sends this many requests at once; the statuses.
async fn at_once(world: &std::sync::Arc<World>, count: usize) -> Vec<u16> {
    let mut sending = JoinSet::new();
    for _ in 0..count {
        let world = world.clone();
        sending.spawn(async move { world.get("/deposit/").await.status.as_u16() });
    }
    sending.join_all().await
}

#[tokio::test]
async fn at_an_expiry_64_callers_share_one_refresh_and_send_no_expired_token() {
    let world = std::sync::Arc::new(World::open().await);
    assert_eq!(world.get("/deposit/").await.status, 200);
    for _ in 0..3 {
        world.advance(HOUR + Duration::from_secs(1));
        assert_eq!(at_once(&world, 64).await, [200; 64]);
    }
    let expected = RequestExpectations::new()
        .logins(1)
        .refreshes(3)
        .no_expired();
    assert_eq!(world.sandbox.check(&expected), Ok(()));
}

#[tokio::test]
async fn where_the_vendors_clock_runs_ahead_64_callers_share_one_refresh_too() {
    let world = std::sync::Arc::new(World::open().await);
    assert_eq!(world.get("/deposit/").await.status, 200);
    world.sandbox.advance(HOUR + Duration::from_secs(1));
    assert_eq!(at_once(&world, 64).await, [200; 64]);
    let once = RequestExpectations::new().logins(1).refreshes(1);
    assert_eq!(world.sandbox.check(&once), Ok(()));
}

#[tokio::test]
async fn a_budget_is_never_overrun() {
    let plan = Plan {
        budget: Some(10),
        ..Plan::default()
    };
    let world = std::sync::Arc::new(plan.open().await);
    for _ in 0..10 {
        assert_eq!(at_once(&world, 5).await, [200; 5]);
    }
    let expected = RequestExpectations::new().logins(1).max_refused(0);
    assert_eq!(world.sandbox.check(&expected), Ok(()));
}
