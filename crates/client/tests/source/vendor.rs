//! A vendor in memory, behind the client's own [`Transport`]: it speaks the issuer's
//! side of a dialect, and does what a test tells it to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use countersign_client::{
    BoxFuture, Clock, Error, ManualClock, RequestDelivery, TokenSource, TokenSourceBuilder,
    Transport, TransportError,
};
use countersign_dialect::{Dialect, RequestedForm, Secret, TokenCommand, TokenGrant, TokenRefusal};
use countersign_domain::{Refusal, Timestamp, TokenOperation};
use http::{Request, Response};
use tokio::sync::watch;

/// The login secret of every test.
pub(crate) const SECRET: &str = "planted-login-secret";

/// What the vendor does with one request instead of answering it.
pub(crate) enum Play {
    /// Refuses it.
    Refuse(Refusal),
    /// Answers it.
    Act,
    /// Acts upon it, and does not answer.
    Lose,
    /// Is not there.
    Absent,
    /// Answers something else.
    Say(Response<Bytes>),
}

pub(crate) struct Vendor {
    dialect: Arc<Dialect>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) life: Duration,
    state: Mutex<State>,
    tokens: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    asked: Vec<TokenOperation>,
    plays: VecDeque<Play>,
    generation: u32,
    logged_out: bool,
    secret: Option<String>,
}

/// The instant at which every test begins.
pub(crate) const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

impl Vendor {
    pub(crate) fn speaking(dialect: &str) -> Arc<Self> {
        let source = Dialect::shipped(dialect).unwrap();
        Arc::new(Self {
            dialect: Arc::new(Dialect::compile(source, dialect).unwrap()),
            clock: Arc::new(ManualClock::at(START)),
            life: Duration::from_secs(600),
            state: Mutex::default(),
            tokens: watch::Sender::new(false),
        })
    }

    /// A source of this vendor's tokens, to be finished.
    pub(crate) fn client(self: &Arc<Self>) -> TokenSourceBuilder {
        TokenSource::builder(self.dialect.clone(), "http://127.0.0.1:9")
            .login("shop")
            .secret(Secret::from(SECRET))
            .clock(self.clock.clone())
            .transport(Line(self.clone()))
    }

    /// What it was asked for.
    pub(crate) fn asked(&self) -> Vec<TokenOperation> {
        self.state().asked.clone()
    }

    /// Does this with the next request that has no other play.
    pub(crate) fn play(&self, play: Play) {
        self.state().plays.push_back(play);
    }

    /// Takes its time over answers, until it is let go on.
    pub(crate) fn hold(&self) {
        self.tokens.send_replace(true);
    }

    pub(crate) fn go_on(&self) {
        self.tokens.send_replace(false);
    }

    pub(crate) fn takes_secret(&self, secret: &str) {
        self.state().secret = Some(secret.to_owned());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn answer(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let (head, body) = request.into_parts();
        let command = self
            .dialect
            .read_request(&head, &body)
            .expect("it is of the dialect");
        let play = {
            let mut state = self.state();
            state.asked.push(operation(&command));
            state.plays.pop_front()
        };
        let mut tokens = self.tokens.subscribe();
        tokens.wait_for(|tokens| !tokens).await.unwrap();
        match play {
            None | Some(Play::Act) => Ok(self.act(command)),
            Some(Play::Refuse(refusal)) => Ok(self.no(operation(&command), refusal)),
            Some(Play::Absent) => Err(lost(RequestDelivery::NotSent)),
            Some(Play::Say(answer)) => Ok(answer),
            Some(Play::Lose) => {
                self.act(command);
                Err(lost(RequestDelivery::MaybeSent))
            }
        }
    }

    fn act(&self, command: TokenCommand) -> Response<Bytes> {
        let mut state = self.state();
        match command {
            TokenCommand::Login { asked, secret, .. } => {
                let right = state.secret.as_deref().unwrap_or(SECRET);
                if secret.expose() != right {
                    return self.no(TokenOperation::Login, Refusal::BadLogin);
                }
                state.logged_out = false;
                state.generation += 10;
                self.grant(&asked, state.generation)
            }
            // The successor of the token before the last is repeated.
            TokenCommand::Refresh {
                asked,
                refresh_token,
                ..
            } => match refresh_token.expose() {
                _ if state.logged_out => self.no(TokenOperation::Refresh, Refusal::BadRefresh),
                token if token == refresh(state.generation) => {
                    state.generation += 1;
                    self.grant(&asked, state.generation)
                }
                token if token == refresh(state.generation - 1) => {
                    self.grant(&asked, state.generation)
                }
                _ => self.no(TokenOperation::Refresh, Refusal::BadRefresh),
            },
            TokenCommand::Logout {
                asked,
                access_token,
            } => {
                if access_token.expose() != access(state.generation) || state.logged_out {
                    return self.no(TokenOperation::Logout, Refusal::BadBearer);
                }
                state.logged_out = true;
                self.dialect.write_done(&asked)
            }
        }
    }

    fn grant(&self, asked: &RequestedForm, generation: u32) -> Response<Bytes> {
        let now = self.clock.now();
        self.dialect.write_grant(
            asked,
            &TokenGrant {
                login: "shop",
                client_id: 7,
                access_token: &access(generation),
                refresh_token: Some(&refresh(generation)),
                access_expires_at: now + self.life,
                refresh_expires_at: now + self.life * 100,
                now,
                secret: Some(&Secret::from(SECRET)),
            },
        )
    }

    fn no(&self, operation: TokenOperation, refusal: Refusal) -> Response<Bytes> {
        self.dialect
            .write_refusal(&TokenRefusal::new(operation, refusal))
    }
}

/// How tokens are spelled.
pub(crate) fn access(generation: u32) -> String {
    format!("planted-access-{generation}")
}

pub(crate) fn refresh(generation: u32) -> String {
    format!("planted-refresh-{generation}")
}

fn operation(command: &TokenCommand) -> TokenOperation {
    match command {
        TokenCommand::Login { .. } => TokenOperation::Login,
        TokenCommand::Refresh { .. } => TokenOperation::Refresh,
        TokenCommand::Logout { .. } => TokenOperation::Logout,
    }
}

fn lost(delivery: RequestDelivery) -> TransportError {
    let message = "the line is dead".to_owned();
    TransportError {
        delivery,
        message,
        help: None,
    }
}

/// The way to the vendor.
struct Line(Arc<Vendor>);

impl Transport for Line {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(self.0.answer(request))
    }
}

/// The text of a token.
pub(crate) async fn token(source: &TokenSource) -> Result<String, Error> {
    source.token().await.map(|token| token.expose().to_owned())
}

/// What a future gives when it is polled once.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let polled = std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop()));
    match polled {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Lets the other tasks of this runtime go on until it is so.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if is_so() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it does not come to that");
}
