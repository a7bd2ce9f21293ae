//! The guard behind the real nginx, HAProxy, Caddy, Traefik and Envoy, with the
//! configurations of `docs/forward-auth`.
//!
//! Each test plays all cases with one proxy; the last to end prints the table
//! (`cargo test -p countersign --test proxies -- --nocapture`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may panic, and prints a table"
)]

mod allowed;
mod api;
mod between;
mod denied;
mod lists;
mod outage;
mod programs;
mod server;
mod spoofed;
mod stage;
#[path = "../support/mod.rs"]
mod support;
mod table;

use programs::Proxy;
use stage::{ELSEWHERE, PARTNER, Stage};
use table::Results;

/// All cases, in the order of the table.
async fn play(proxy: Proxy) {
    let stage = Stage::set(proxy).await;
    let mut results = Results::new(proxy);
    let partner = stage.account(&[]);
    let token = stage.token(&partner).await;
    results.add("token endpoint", "passed");
    allowed::play(&stage, &partner, &token, &mut results).await;
    denied::play(&stage, &partner, &token, &mut results).await;
    denied::expired(&Stage::set_with(proxy, "access = \"1s\"").await).await;
    results.add("expired bearer", "401");
    let bound = stage.account(&[ELSEWHERE, PARTNER]);
    stage.token(&bound).await;
    results.add("token endpoint sees the partner", "yes");
    spoofed::play(&stage, &partner, &token, &bound, &mut results).await;
    lists::play(&stage, &mut results).await;
    let log = outage::play(stage, &partner, &token, &mut results).await;
    assert!(log.contains(PARTNER), "nothing was logged");
    for secret in [&token, &partner.secret, &bound.secret] {
        assert!(!log.contains(secret.as_str()), "a secret is in the log");
    }
    results.add("secrets in its log", "none");
    results.tell();
}

#[tokio::test]
async fn nginx() {
    play(Proxy::Nginx).await;
}

#[tokio::test]
async fn haproxy() {
    play(Proxy::Haproxy).await;
}

#[tokio::test]
async fn caddy() {
    play(Proxy::Caddy).await;
}

#[tokio::test]
async fn traefik() {
    play(Proxy::Traefik).await;
}

#[tokio::test]
async fn envoy() {
    play(Proxy::Envoy).await;
}
