//! A working day with B2BINPAY, whose access tokens live for 3 minutes and 40
//! requests, and whose refresh tokens live for 6 hours: played in a moment,
//! against a sandbox whose clock stands still until it is moved.
//!
//! To be copied: put your own client in the place of `get`. It needs the crates
//! `countersign-client`, `bytes`, `http` and `tokio`, and `countersign-sandbox`
//! among the dev-dependencies.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign_client::{
    HttpTransport, ManualClock, TokenOperation, TokenSource, Transport, TrustedRoots,
};
use countersign_sandbox::{RequestCounts, RequestExpectations, Sandbox, VendorFault};
use http::{Request, StatusCode};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The vendor, a source of tokens for it, and the clock of both.
struct Day {
    sandbox: Sandbox,
    clock: Arc<ManualClock>,
    tokens: TokenSource,
    http: HttpTransport,
}

impl Day {
    async fn begin() -> Self {
        let sandbox = Sandbox::shipped("b2binpay").still().start().await.unwrap();
        let clock = Arc::new(ManualClock::at(sandbox.now()));
        let tokens = TokenSource::builder(sandbox.dialect().clone(), sandbox.url())
            .login(sandbox.login())
            .secret(sandbox.secret().clone())
            .clock(clock.clone())
            .build()
            .unwrap();
        let vendor = sandbox.url().parse().unwrap();
        Self {
            sandbox,
            clock,
            tokens,
            http: HttpTransport::new(&vendor, &TrustedRoots::System).unwrap(),
        }
    }

    fn later(&self, span: Duration) {
        self.clock.set(self.sandbox.advance(span));
    }

    /// What your program does with a token.
    async fn get(&self, path: &str) -> StatusCode {
        let token = self.tokens.token().await.unwrap();
        let url = format!("{}{path}", self.sandbox.url());
        let mut request = Request::get(url).body(Bytes::new()).unwrap();
        self.tokens.present(&token, request.headers_mut());
        self.http.send(request).await.unwrap().status()
    }

    /// The same, while time goes on: the client may have to wait before it asks
    /// the vendor again.
    async fn get_in_time(&self, path: &str) -> StatusCode {
        let mut answer = pin!(self.get(path));
        loop {
            tokio::select! {
                status = &mut answer => return status,
                () = tokio::time::sleep(Duration::from_millis(5)) => self.later(SECOND),
            }
        }
    }

    fn asked(&self) -> RequestCounts {
        RequestCounts::count_all(&self.sandbox.requests())
    }
}

#[tokio::test]
async fn a_day_of_six_hours_is_over_in_a_moment() {
    let day = Day::begin().await;

    // The first call logs in, and the next ones use the same token.
    for _ in 0..10 {
        assert_eq!(day.get("/deposit/1").await, StatusCode::OK);
    }
    assert_eq!((day.asked().logins, day.asked().refreshes), (1, 0));

    // A busy minute: a token is good for 40 requests, and is swapped before its
    // last one.
    for _ in 0..50 {
        assert_eq!(day.get("/deposit/1").await, StatusCode::OK);
    }
    let busy = day.asked();
    assert_eq!((busy.logins, busy.guarded), (1, 60));
    assert!((1..=2).contains(&busy.refreshes), "{busy:?}");

    // A call every three minutes for six hours: each finds a token that is over.
    for _ in 0..6 * 20 {
        day.later(3 * MINUTE);
        assert_eq!(day.get("/payout/2").await, StatusCode::OK);
    }
    let worked = day.asked();
    assert_eq!(worked.logins, 1);
    assert_eq!(worked.refreshes - busy.refreshes, 6 * 20);

    // Six hours of sleep: the refresh token has run out too, and is not tried.
    day.later(6 * HOUR);
    assert_eq!(day.get("/wallet/3").await, StatusCode::OK);

    let expected = RequestExpectations::new()
        .logins(2)
        .max_refused(0)
        .no_expired();
    assert_eq!(day.sandbox.check(&expected), Ok(()));
}

#[tokio::test]
async fn a_lost_reply_costs_neither_a_call_nor_a_login() {
    let day = Day::begin().await;
    assert_eq!(day.get("/deposit/1").await, StatusCode::OK);

    // The vendor trades the refresh token, and the client never hears of it.
    let fault = VendorFault::lost_reply().on(TokenOperation::Refresh);
    day.sandbox.fault(fault);
    day.later(3 * MINUTE);
    assert_eq!(day.get_in_time("/deposit/1").await, StatusCode::OK);

    assert!(day.sandbox.faults().is_empty(), "it has struck");
    let expected = RequestExpectations::new()
        .logins(1)
        .max_refused(0)
        .no_expired();
    assert_eq!(day.sandbox.check(&expected), Ok(()));
}
