//! What `examples/` shows, against the sandbox.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use countersign_client::TokenSource;
use countersign_sandbox::Sandbox;

#[cfg(feature = "reqwest")]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "its `main` reads the command line"
)]
#[path = "../examples/with_reqwest.rs"]
mod with_reqwest;
#[allow(
    dead_code,
    unreachable_pub,
    reason = "its `main` reads the command line"
)]
#[path = "../examples/with_tower.rs"]
mod with_tower;

async fn vendor() -> (Sandbox, TokenSource, String) {
    let sandbox = Sandbox::shipped("mypopup").start().await.unwrap();
    let tokens = TokenSource::shipped("mypopup", sandbox.url())
        .unwrap()
        .login(sandbox.login())
        .secret(sandbox.secret().clone())
        .build()
        .unwrap();
    let url = format!("{}/api/v1/orders", sandbox.url());
    (sandbox, tokens, url)
}

#[tokio::test]
async fn a_tower_service_is_answered() {
    let (_sandbox, tokens, url) = vendor().await;
    let answer = with_tower::call(tokens, &url).await.unwrap();
    assert!(answer.contains("/api/v1/orders"), "{answer}");
}

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn a_reqwest_client_is_answered() {
    let (_sandbox, tokens, url) = vendor().await;
    let answer = with_reqwest::call(tokens, &url).await.unwrap();
    assert!(answer.contains("/api/v1/orders"), "{answer}");
}
