//! A flood of logins over real sockets: each address of 127.0.0.0/8 is a network
//! of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may panic, and this one has figures to tell"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign_testing::replies::{Reply, request, send, send_from};
use countersign_testing::waiting::eventually;
use serde_json::json;
use support::{Account, Server};
use tokio::task::JoinSet;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const PAY: &str = "[apis.pay]\ndialect = 'mypopup'\n";
const HOME: &str = "127.0.0.1";
const NETWORKS: usize = 1_000;

fn login(login: &str, secret: &str) -> String {
    json!({ "username": login, "password": secret }).to_string()
}

async fn log_in(server: &Server, from: &str, partner: &Account) -> Reply {
    let body = login(&partner.login, &partner.secret);
    server.send(from, "POST", "/auth/login", &JSON, &body).await
}

/// A wrong secret from each of a thousand networks, some at a time; how often
/// each status was the answer.
async fn flood(server: &Server, variants: &'static [&'static str]) -> BTreeMap<u16, usize> {
    let (to, mut guesses, mut told) = (server.address(), JoinSet::new(), BTreeMap::new());
    for number in 0..NETWORKS {
        let from = format!("127.1.{}.{}", number / 250, number % 250 + 1);
        let body = login(variants[number % variants.len()], "guess");
        guesses.spawn(async move {
            let guess = request("POST", "/auth/login", &JSON, body);
            send_from(&from, to, guess).await.unwrap().status.as_u16()
        });
        if guesses.len() >= 32 {
            *told
                .entry(guesses.join_next().await.unwrap().unwrap())
                .or_default() += 1;
        }
    }
    for status in guesses.join_all().await {
        *told.entry(status).or_default() += 1;
    }
    told
}

/// Floods while the partner logs in from home without a pause.
async fn flood_beside_the_owner(server: &Server, partner: &Account) -> BTreeMap<u16, usize> {
    let over = Arc::new(AtomicBool::new(false));
    let (to, body) = (server.address(), login(&partner.login, &partner.secret));
    let owner = tokio::spawn({
        let over = over.clone();
        async move {
            let mut logins = 0;
            while !over.load(Ordering::SeqCst) {
                let login = request("POST", "/auth/login", &JSON, body.clone());
                let reply = send(to, login).await;
                assert_eq!(reply.status, 200, "{}", reply.text());
                logins += 1;
            }
            logins
        }
    });
    let told = flood(
        server,
        &["partner", "PARTNER", " Partner ", "ｐａｒｔｎｅｒ"],
    )
    .await;
    over.store(true, Ordering::SeqCst);
    let logins: usize = owner.await.unwrap();
    eprintln!("{NETWORKS} networks guessed: {told:?}; the owner logged in {logins} times");
    assert!(logins > 0);
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_from_a_thousand_networks_does_not_lock_the_owner_out() {
    let mut server = Server::start(PAY);
    let partner = server.account("pay", "partner", &[]);
    assert_eq!(log_in(&server, HOME, &partner).await.status, 200);
    for _ in 0..2 {
        let told = flood_beside_the_owner(&server, &partner).await;
        assert_eq!(told.values().sum::<usize>(), NETWORKS);
        assert_eq!(told.keys().copied().collect::<Vec<_>>(), [401, 429]);
        assert!(told[&401] <= 21, "20 at once, and one more in 45 seconds");
        server = server.kill_and_restart();
    }
}

#[tokio::test]
async fn who_is_throttled_is_told_when_to_come_again() {
    let server = Server::start(PAY);
    let partner = server.account("pay", "partner", &[]);
    flood(&server, &["partner"]).await;
    let refused = log_in(&server, "127.9.9.9", &partner).await;
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=45).contains(&wait), "{wait}");
    assert_eq!(refused.json()["error"]["code"], "TOO_MANY_REQUESTS");
    let stranger = server.account("pay", "stranger", &[]);
    assert_eq!(log_in(&server, "127.9.9.9", &stranger).await.status, 200);
    eventually("it is logged", async || {
        server.log().contains("login_throttled")
    })
    .await;
}

#[tokio::test]
async fn a_right_secret_from_a_forbidden_address_is_counted_as_an_alert() {
    let server = Server::start(PAY);
    let partner = server.account("pay", "partner", &["--allow", HOME]);
    assert_eq!(log_in(&server, "127.0.0.2", &partner).await.status, 403);
    let metrics = send(server.admin(), request("GET", "/metrics", &[], "")).await;
    let alert = "countersign_alerts_total{api=\"pay\",alert=\"address_denied\"} 1";
    assert!(metrics.text().contains(alert), "{}", metrics.text());
    eventually("it is a warning", async || {
        let log = server.log();
        log.contains("WARN") && log.contains("a correct secret came from an address")
    })
    .await;
}
