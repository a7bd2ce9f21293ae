//! No token, no vendor: what a program is told then.

use std::time::Duration;

use countersign_domain::TokenOperation;
use countersign_relay::UpstreamTimeouts;
use countersign_sandbox::VendorFault;
use countersign_sidecar::READY;
use countersign_testing::replies::request;

use crate::vendor::Vendor;
use crate::world::{Plan, World, outcome};

#[tokio::test]
async fn a_vendor_that_is_not_there_is_told_and_then_not_asked_for_a_while() {
    let plan = Plan {
        // Nobody listens on the discard port of this address.
        upstream: Some("http://127.0.0.2:9".to_owned()),
        ..Plan::default()
    };
    let world = plan.open().await;
    for _ in 0..3 {
        let reply = world.get("/x").await;
        assert_eq!(outcome(&reply), (502, "unreachable"));
        assert!(reply.text().contains("refused"), "{}", reply.text());
    }
    let reply = world.get("/x").await;
    assert_eq!(outcome(&reply), (503, "down"));
    assert_eq!(reply.header("retry-after"), "1");
}

#[tokio::test]
async fn a_vendor_that_is_slow_is_given_up() {
    let vendor = Vendor::acting(|_, stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    });
    let plan = Plan {
        upstream: Some(vendor.url.clone()),
        timeouts: UpstreamTimeouts {
            response_head: Duration::from_millis(50),
            ..UpstreamTimeouts::default()
        },
        ..Plan::default()
    };
    let reply = plan.open().await.get("/x").await;
    assert_eq!(outcome(&reply), (504, "slow"));
}

#[tokio::test]
async fn a_login_that_is_refused_is_told_and_not_hammered() {
    let plan = Plan {
        secret: Some("WRONG-SECRET"),
        ..Plan::default()
    };
    let world = plan.open().await;
    for _ in 0..5 {
        let reply = world.get("/deposit/").await;
        assert_eq!(outcome(&reply), (502, "refused"), "{}", reply.text());
        assert_eq!(reply.header("retry-after"), "");
        assert!(!reply.text().contains("WRONG-SECRET"));
    }
    assert_eq!(world.sandbox.requests().len(), 1);
    assert_eq!(world.get(READY).await.status, 503);
}

#[tokio::test]
async fn a_login_that_cannot_be_had_now_says_when_to_come_again() {
    let world = World::open().await;
    let later = VendorFault::status(429).retry_after(Duration::from_secs(7));
    world
        .sandbox
        .fault(later.on(TokenOperation::Login).times(100));
    let reply = world.get("/deposit/").await;
    assert_eq!(outcome(&reply), (503, "no_token_now"), "{}", reply.text());
    let wait: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=9).contains(&wait), "{wait}");
}

#[tokio::test]
async fn ready_is_who_has_a_token_or_gets_one() {
    let world = World::open().await;
    let down = VendorFault::status(503)
        .on(TokenOperation::Login)
        .times(100);
    world.sandbox.fault(down);
    let reply = world.get(READY).await;
    assert_eq!(reply.status, 503);
    assert!(reply.text().contains("not ready"), "{}", reply.text());
    world.sandbox.clear_faults();
    world.advance(Duration::from_secs(120));
    assert_eq!(world.get(READY).await.text(), r#"{"status":"ready"}"#);
    assert!(world.sidecar.ready().await.is_ok());
    let page = request("GET", READY, &[("host", "evil.example")], "");
    assert_eq!(outcome(&world.send(page).await), (403, "foreign_host"));
    let guarded = world.sandbox.requests();
    assert!(
        guarded
            .iter()
            .all(|it| it.operation == TokenOperation::Login)
    );
}
