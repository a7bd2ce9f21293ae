//! A thousand tasks on one source through two hundred expiries, against the real
//! issuer and its guard: one refresh for each expiry, and no request that fails.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Duration;

use countersign_client::{Clock, ManualClock, TokenSource};
use countersign_sandbox::{RequestCounts, RequestExpectations, Sandbox};
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;

const TASKS: usize = 1_000;
const EXPIRIES: u64 = 200;

/// Requests over real sockets are dear: of the tasks that take a token, these make
/// a request with it.
const CALLERS: usize = 20;

type Http = Client<HttpConnector, Empty<bytes::Bytes>>;

async fn call(http: Http, source: TokenSource, url: String) {
    let token = source.token().await.unwrap();
    let mut request = http::Request::get(url).body(Empty::new()).unwrap();
    source.present(&token, request.headers_mut());
    let answer = http.request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tasks_through_two_hundred_expiries_cause_one_refresh_each() {
    let life = Duration::from_secs(180);
    let sandbox = Sandbox::shipped("mypopup")
        .still()
        .lifetimes(life, Duration::from_secs(7 * 86_400))
        .start()
        .await
        .unwrap();
    let clock = Arc::new(ManualClock::at(sandbox.now()));
    let source = TokenSource::builder(sandbox.dialect().clone(), sandbox.url())
        .login(sandbox.login())
        .secret(sandbox.secret().clone())
        .clock(clock.clone())
        .build()
        .unwrap();
    let http: Http = Client::builder(TokioExecutor::new()).build_http();
    let url = format!("{}/api/v1/orders", sandbox.url());

    for _ in 0..=EXPIRIES {
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let source = source.clone();
            if task < CALLERS {
                tasks.spawn(call(http.clone(), source, url.clone()));
            } else {
                let clock = clock.clone();
                tasks.spawn(async move {
                    let token = source.token().await.unwrap();
                    assert!(clock.now() < token.expires_at());
                });
            }
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        clock.set(sandbox.advance(life));
    }

    let asked = RequestCounts::count_all(&sandbox.requests());
    assert_eq!(
        (asked.logins, asked.guarded),
        (1, (EXPIRIES + 1) * CALLERS as u64)
    );
    // The last move of the clock is one more expiry, which the background sees.
    assert!(
        (EXPIRIES..=EXPIRIES + 1).contains(&asked.refreshes),
        "{asked:?}"
    );
    let expected = RequestExpectations::new()
        .logins(1)
        .max_refused(0)
        .no_expired();
    assert_eq!(sandbox.check(&expected), Ok(()));
}
