//! The budget of an access token over real sockets: an upstream of the test's
//! own counts what really arrives.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may panic, and this one has figures to tell"
)]

mod support;

use std::net::SocketAddr;

use countersign_testing::recording::RecordingServer;
use countersign_testing::replies::{Reply, request, send_from};
use countersign_testing::waiting::eventually;
use http::Response;
use serde_json::json;
use support::Server;
use tokio::task::JoinSet;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const CALLERS: usize = 64;

/// An API that counts what reaches it.
fn upstream() -> RecordingServer {
    RecordingServer::start(|_| Response::default())
}

/// The guard before it.
fn guarded(upstream: &RecordingServer, budget: usize) -> Server {
    Server::start(&format!(
        "[apis.pay]\ndialect = 'mypopup'\nbudget = {budget}\n\
         guards = ['/api/v1/*']\nupstream = '{}'\n",
        upstream.url
    ))
}

/// The access token of a partner who logs in.
async fn log_in(server: &Server) -> String {
    let partner = server.account("pay", "partner", &[]);
    let body = json!({ "username": partner.login, "password": partner.secret }).to_string();
    let reply = server.send("127.0.0.1", "POST", "/auth/login", &JSON, &body);
    let reply = reply.await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let token = reply.json()["data"]["access_token"].clone();
    token.as_str().unwrap().to_owned()
}

async fn call(to: SocketAddr, token: &str) -> Option<Reply> {
    let bearer = format!("Bearer {token}");
    let order = request("GET", "/api/v1/orders", &[("authorization", &bearer)], "");
    send_from("127.0.0.1", to, order).await.ok()
}

/// Sixty-four callers that go on until they are refused, or the server is gone.
fn callers(to: SocketAddr, token: &str) -> JoinSet<(usize, Option<Reply>)> {
    let one = |token: String| async move {
        let mut passed = 0;
        loop {
            match call(to, &token).await {
                Some(reply) if reply.status == 200 => passed += 1,
                last => return (passed, last),
            }
        }
    };
    (0..CALLERS).map(|_| one(token.to_owned())).collect()
}

/// Lets callers spend all that is left, and says how many passed.
async fn exhaust(server: &Server, token: &str) -> usize {
    let mut passed = 0;
    for (here, last) in callers(server.address(), token).join_all().await {
        let last = last.unwrap();
        assert_eq!(last.status, 401, "{}", last.text());
        assert!(last.header("ratelimit").starts_with("\"budget\";r=0;t="));
        passed += here;
    }
    passed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_callers_make_exactly_as_many_requests_as_the_token_has() {
    for budget in [1, 40, 2_000] {
        let upstream = upstream();
        let server = guarded(&upstream, budget);
        let token = log_in(&server).await;
        assert_eq!(exhaust(&server, &token).await, budget);
        assert_eq!(upstream.count(), budget);
        eprintln!("64 callers, a budget of {budget}: {budget} passed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_lets_no_request_too_many_through() {
    const BUDGET: usize = 4_000;
    const KILLS: usize = 5;
    let upstream = upstream();
    let mut server = guarded(&upstream, BUDGET);
    let token = log_in(&server).await;
    for kill in 1..=KILLS {
        let calling = callers(server.address(), &token);
        let enough = async || upstream.count() >= kill * BUDGET / 8;
        eventually("the callers are getting on", enough).await;
        server = server.kill_and_restart();
        calling.join_all().await;
    }
    exhaust(&server, &token).await;
    let lost = BUDGET - upstream.count();
    eprintln!("{KILLS} kills, a budget of {BUDGET}: {lost} lost, none too many");
    // What is in hand: a sixteenth of what is left, and half as much again.
    assert!(lost <= KILLS * BUDGET / 16 * 3 / 2, "{lost} lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_loses_nothing() {
    const BUDGET: usize = 500;
    let upstream = upstream();
    let mut server = guarded(&upstream, BUDGET);
    let token = log_in(&server).await;
    for _ in 0..3 {
        for _ in 0..50 {
            let reply = call(server.address(), &token).await.unwrap();
            assert_eq!(reply.status, 200);
        }
        server = server.stop_and_restart();
    }
    let reply = call(server.address(), &token).await.unwrap();
    assert!(reply.header("ratelimit").starts_with("\"budget\";r=349;t="));
    assert_eq!(reply.header("ratelimit-policy"), "\"budget\";q=500;w=3600");
    exhaust(&server, &token).await;
    assert_eq!(upstream.count(), BUDGET);
}

#[tokio::test]
async fn a_verdict_for_a_proxy_spends_what_a_request_through_the_proxy_would() {
    let server = Server::start(
        "[server]\ntrusted_proxies = ['127.0.0.1']\n\
         [apis.pay]\ndialect = 'mypopup'\nbudget = 2\n\
         guards = ['/api/v1/*']\nforward_auth = 'nginx'\n",
    );
    let bearer = format!("Bearer {}", log_in(&server).await);
    let verdict = async |path| {
        let original = [
            ("authorization", bearer.as_str()),
            ("x-original-method", "GET"),
            ("x-original-uri", path),
            ("x-forwarded-for", "192.0.2.7"),
        ];
        let reply = server.send("127.0.0.1", "GET", "/forward-auth/pay", &original, "");
        let reply = reply.await;
        (
            reply.status.as_u16(),
            reply
                .header("ratelimit")
                .split(";t=")
                .next()
                .unwrap()
                .to_owned(),
        )
    };
    assert_eq!(
        verdict("/api/v1/orders").await,
        (200, "\"budget\";r=1".to_owned())
    );
    assert_eq!(verdict("/elsewhere").await.1, "");
    assert_eq!(
        verdict("/api/v1/orders").await,
        (200, "\"budget\";r=0".to_owned())
    );
    assert_eq!(verdict("/api/v1/orders").await.0, 401);
}
