//! A vendor, a source of tokens, and a program that uses them. The clock of all
//! three stands still until it is moved.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign_client::{
    AccessToken, Error, HttpTransport, ManualClock, RequestDelivery, TokenSource, TokenVerdict,
    Transport,
};
use countersign_domain::{Timestamp, TokenOperation};
use countersign_outbound::TrustedRoots;
use countersign_sandbox::{RequestCounts, Sandbox, SandboxSetup};
use http::{Request, Response, StatusCode};

/// The dialects whose tokens can be refreshed: all that come with the program.
pub(crate) const DIALECTS: [&str; 4] = ["apirone", "b2binpay", "mypopup", "mypopup-flat"];

pub(crate) struct World {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) tokens: TokenSource,
    clock: Arc<ManualClock>,
    http: HttpTransport,
}

/// How a call ended that did not bring what was asked for.
#[derive(Debug)]
pub(crate) enum Failed {
    /// There was no token.
    NoToken(Error),
    /// There was no answer.
    NoAnswer(RequestDelivery),
    /// This was the answer.
    Status(StatusCode),
}

impl World {
    pub(crate) async fn of(setup: SandboxSetup) -> Self {
        let sandbox = setup.budget(None).still().start().await.unwrap();
        Self::on(Arc::new(sandbox))
    }

    /// A program that knows nothing yet, with a vendor that does.
    pub(crate) fn on(sandbox: Arc<Sandbox>) -> Self {
        sandbox.forget_requests();
        let clock = Arc::new(ManualClock::at(sandbox.now()));
        let tokens = TokenSource::builder(sandbox.dialect().clone(), sandbox.url())
            .login(sandbox.login())
            .secret(sandbox.secret().clone())
            .budget(None)
            .clock(clock.clone())
            .build()
            .unwrap();
        let vendor = sandbox.url().parse().unwrap();
        Self {
            http: HttpTransport::new(&vendor, &TrustedRoots::System).unwrap(),
            sandbox,
            tokens,
            clock,
        }
    }

    /// Time passes, and what waited for it is done.
    pub(crate) async fn later(&self, span: Duration) {
        self.clock.set(self.sandbox.advance(span));
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        self.tokens.settle().await;
    }

    /// What a program does: a request with a token, and once again with another
    /// one if the vendor did not take it.
    pub(crate) async fn call(&self) -> Result<(), Failed> {
        let token = self.tokens.token().await.map_err(Failed::NoToken)?;
        let first = self.send(&token).await?;
        let answer = if self.is_expired(&first) {
            self.tokens.report_refused(&token);
            let another = self.tokens.token().await.map_err(Failed::NoToken)?;
            self.send(&another).await?
        } else {
            first
        };
        match answer.status() {
            StatusCode::OK => Ok(()),
            status => Err(Failed::Status(status)),
        }
    }

    async fn send(&self, token: &AccessToken) -> Result<Response<Bytes>, Failed> {
        let url = format!("{}/deposit/7", self.sandbox.url());
        let mut request = Request::get(url).body(Bytes::new()).unwrap();
        token.present(request.headers_mut());
        let answer = self.http.send(request).await;
        answer.map_err(|error| Failed::NoAnswer(error.delivery))
    }

    fn is_expired(&self, answer: &Response<Bytes>) -> bool {
        match self.tokens.judge(answer.status()) {
            TokenVerdict::Refused => true,
            TokenVerdict::NotRefused => false,
            TokenVerdict::Unclear => self.tokens.says_token_refused(answer),
        }
    }

    /// A call, while time passes as soon as the client waits for that.
    pub(crate) async fn call_in_time(&self) -> Result<(), Failed> {
        let mut call = std::pin::pin!(self.call());
        loop {
            tokio::select! {
                biased;
                ended = &mut call => return ended,
                () = tokio::time::sleep(Duration::from_millis(1)) => self.until_next_try().await,
            }
        }
    }

    async fn until_next_try(&self) {
        let status = self.tokens.status().await.unwrap();
        let next = status.failure.map(|failure| failure.retry_at);
        if let Some(next) = next.filter(|next| *next > self.now()) {
            self.clock.set(self.sandbox.advance(next.since(self.now())));
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.sandbox.now()
    }

    pub(crate) fn asked(&self) -> RequestCounts {
        RequestCounts::count_all(&self.sandbox.requests())
    }

    /// How many requests for tokens the vendor got.
    pub(crate) fn asked_for_tokens(&self) -> usize {
        let for_tokens = [TokenOperation::Login, TokenOperation::Refresh];
        let requests = self.sandbox.requests();
        requests
            .iter()
            .filter(|request| for_tokens.contains(&request.operation))
            .count()
    }
}
