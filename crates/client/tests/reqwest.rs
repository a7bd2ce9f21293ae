//! The middleware for reqwest, against the real issuer and its guard.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Duration;

use countersign_client::{BearerMiddleware, ManualClock, TokenSource};
use countersign_sandbox::{RequestCounts, RevocationTarget, Sandbox, VendorFault};
use reqwest_middleware::ClientBuilder;

#[tokio::test]
async fn requests_get_tokens_and_one_that_is_refused_is_made_once_more() {
    let sandbox = Sandbox::shipped("mypopup").still().start().await.unwrap();
    let clock = Arc::new(ManualClock::at(sandbox.now()));
    let source = TokenSource::builder(sandbox.dialect().clone(), sandbox.url())
        .login(sandbox.login())
        .secret(sandbox.secret().clone())
        .clock(clock.clone())
        .build()
        .unwrap();
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(BearerMiddleware::new(source))
        .build();
    let url = format!("{}/api/v1/orders", sandbox.url());

    assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
    sandbox.fault(VendorFault::revoke(RevocationTarget::Session));
    let answer = client.post(&url).body("a body").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().contains("a body"));
    clock.set(sandbox.advance(Duration::from_secs(7200)));
    assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
    let asked = RequestCounts::count_all(&sandbox.requests());
    assert_eq!(
        (asked.logins, asked.refreshes, asked.guarded),
        (2, 1, 3),
        "{asked:?}"
    );
}
