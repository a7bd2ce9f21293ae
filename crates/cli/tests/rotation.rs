//! Rotation over real sockets: races have one successor, and a server that is
//! killed in the middle of it all refuses no honest client.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may panic, and this one has a figure to tell"
)]

mod support;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_testing::replies::{Reply, request, send, send_from};
use countersign_testing::waiting::eventually;
use serde_json::{Value, json};
use support::{Account, Demo};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

async fn login(to: SocketAddr, account: &Account) -> Value {
    let body = json!({ "username": account.login, "password": account.secret });
    let reply = send(to, request("POST", "/auth/login", &JSON, body.to_string())).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["data"].clone()
}

fn refresh_request(pair: &Value) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    let body = json!({ "refresh_token": pair["refresh_token"] });
    request("POST", "/auth/refresh", &JSON, body.to_string())
}

async fn refresh(to: SocketAddr, pair: &Value) -> Reply {
    send(to, refresh_request(pair)).await
}

/// 64 callers at once, 100 times over: each round has one successor, and every
/// caller has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_race_has_one_successor_that_everybody_gets() {
    const CALLERS: usize = 64;
    const ROUNDS: usize = 100;
    let demo = Demo::start();
    let to = demo.address();
    let mut pair = Arc::new(login(to, &demo.account("mypopup", "demo")).await);
    let mut generations = BTreeSet::new();
    for round in 0..ROUNDS {
        let start = Arc::new(Barrier::new(CALLERS));
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (start, pair) = (start.clone(), pair.clone());
            callers.spawn(async move {
                start.wait().await;
                refresh(to, &pair).await
            });
        }
        let mut successors = BTreeSet::new();
        while let Some(reply) = callers.join_next().await {
            let reply = reply.unwrap();
            assert_eq!(reply.status, 200, "round {round}: {}", reply.text());
            successors.insert(reply.text());
        }
        assert_eq!(successors.len(), 1, "round {round}");
        let next: Value = serde_json::from_str(successors.first().unwrap()).unwrap();
        pair = Arc::new(next["data"].clone());
        generations.insert(pair["refresh_token"].as_str().unwrap().to_owned());
    }
    assert_eq!(generations.len(), ROUNDS, "each round rotated once");
}

/// A client that keeps its last pair, and sends the same refresh again if it
/// got no answer.
struct Client {
    pair: Value,
    refreshed: usize,
    retried: usize,
}

impl Client {
    /// Refreshes until the server is gone.
    async fn run(&mut self, to: SocketAddr, done: &AtomicUsize) {
        loop {
            match send_from("127.0.0.1", to, refresh_request(&self.pair)).await {
                Ok(reply) => self.keep(&reply),
                Err(_) => return,
            }
            done.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The first refresh after a restart: with what it kept, which is a retry if
    /// the server had rotated already.
    async fn resume(&mut self, to: SocketAddr) {
        let reply = refresh(to, &self.pair).await;
        self.keep(&reply);
        self.retried += 1;
    }

    fn keep(&mut self, reply: &Reply) {
        assert_eq!(
            reply.status,
            200,
            "an honest client was refused: {}",
            reply.text()
        );
        self.pair = reply.json()["data"].clone();
        self.refreshed += 1;
    }
}

/// kill -9 in the middle of some thousand refreshes, five times: nobody is
/// refused who kept his last reply or retries his last request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_in_the_middle_of_refreshes_refuses_no_honest_client() {
    const CLIENTS: usize = 16;
    const KILLS: usize = 5;
    const REFRESHES: usize = 1_000;
    let mut demo = Demo::start();
    let account = demo.account("mypopup", "demo");
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let pair = login(demo.address(), &account).await;
        clients.push(Client {
            pair,
            refreshed: 0,
            retried: 0,
        });
    }
    for _ in 0..KILLS {
        let (to, done) = (demo.address(), Arc::new(AtomicUsize::new(0)));
        let mut running = JoinSet::new();
        for mut client in clients.drain(..) {
            let done = done.clone();
            running.spawn(async move {
                client.run(to, &done).await;
                client
            });
        }
        let enough = || async { done.load(Ordering::SeqCst) >= REFRESHES };
        eventually("a thousand refreshes", enough).await;
        demo = demo.kill_and_restart();
        while let Some(client) = running.join_next().await {
            clients.push(client.unwrap());
        }
        for client in &mut clients {
            client.resume(demo.address()).await;
        }
    }
    let refreshed: usize = clients.iter().map(|client| client.refreshed).sum();
    assert!(refreshed >= KILLS * REFRESHES, "{refreshed} refreshes");
    eprintln!("{refreshed} refreshes over {KILLS} kills by {CLIENTS} clients, none refused");
}

/// A logout is durable before it is answered: a server that is killed right
/// after it does not forget.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_survives_kill_9() {
    let demo = Demo::start();
    let pair = login(demo.address(), &demo.account("mypopup", "demo")).await;
    let bearer = format!("Bearer {}", pair["access_token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    let logout = send(
        demo.address(),
        request("POST", "/auth/logout", &headers, ""),
    )
    .await;
    assert_eq!(logout.status, 200);
    let demo = demo.kill_and_restart();
    let called = send(
        demo.address(),
        request("GET", "/api/v1/products", &headers, ""),
    )
    .await;
    assert_eq!(called.status, 401);
    assert_eq!(refresh(demo.address(), &pair).await.status, 401);
}
