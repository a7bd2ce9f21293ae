//! What monitors see.

use countersign_domain::TokenOperation;
use countersign_sandbox::{Sandbox, VendorFault};
use countersign_sidecar::READY;
use countersign_testing::waiting::eventually;

use crate::program::Home;

#[tokio::test]
async fn it_is_ready_once_every_profile_has_a_token_and_says_why_not() {
    let pay = Sandbox::shipped("b2binpay").start().await.unwrap();
    let cards = Sandbox::shipped("mypopup").start().await.unwrap();
    cards.fault(VendorFault::forbid().on(TokenOperation::Login).times(1));
    let home = Home::new();
    home.profiles(&format!(
        "{}{}",
        home.profile("pay", &pay, ""),
        home.profile("cards", &cards, "")
    ));
    let running = home.start(&["pay", "cards", "--probe-listen", "127.0.0.1:0"]);
    assert_eq!(running.probe("/healthz").await.status, 200);
    eventually("the login is refused", async || cards.faults().is_empty()).await;
    let reply = running.probe("/readyz").await;
    assert_eq!(reply.status, 503);
    assert!(
        reply.text().contains("cards: ") && !reply.text().contains("pay: "),
        "{}",
        reply.text()
    );
    assert_eq!(running.get("pay", READY).await.status, 200);
    assert_eq!(running.get("cards", READY).await.status, 503);
    assert_eq!(running.get("pay", "/deposit/").await.status, 200);
    assert_eq!(running.get("pay", "/token/").await.status, 403);
    let metrics = running.probe("/metrics").await.text();
    for metric in [
        "countersign_client_token_expiry_seconds{profile=\"pay\"}",
        "countersign_client_failures_total{profile=\"cards\"",
        "countersign_upstream_up{api=\"pay\"} 1",
        "countersign_sidecar_requests_total{profile=\"pay\",status=\"2xx\",answered_by=\"vendor\"} 1",
        "countersign_sidecar_requests_total{profile=\"pay\",status=\"4xx\",answered_by=\"sidecar\"} 1",
        "countersign_sidecar_requests_total{profile=\"cards\",status=\"2xx\",answered_by=\"vendor\"} 0",
    ] {
        assert!(metrics.contains(metric), "{metric}: {metrics}");
    }
    assert!(!metrics.contains("guarded"), "it guards nothing: {metrics}");
}

#[tokio::test]
async fn without_reasons_it_is_ready() {
    let pay = Sandbox::shipped("b2binpay").start().await.unwrap();
    let home = Home::new();
    home.profiles(&home.profile("pay", &pay, ""));
    let running = home.start(&["pay", "--probe-listen", "127.0.0.1:0"]);
    assert_eq!(running.probe("/readyz").await.status, 200);
    assert_eq!(running.probe("/nothing").await.status, 404);
}
