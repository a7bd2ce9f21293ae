//! The source of tokens for one profile.
//!
//! A caller takes a fresh token from memory: no lock, no waiting, no allocation. If
//! there is none, one renewal runs, in a task of its own, for all callers that wait:
//! dropping one of them ends nothing, and all get the same outcome.

mod acquire;
mod background_refresh;
mod builder;
mod credential_parts;
mod events;
mod exchange;
mod failures;
mod login;
mod logout;
mod peek;
mod renewal;
mod setup;
mod single_flight;
mod state;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign_dialect::Dialect;
use http::{HeaderMap, Response, StatusCode};

pub use self::builder::TokenSourceBuilder;
pub use self::logout::LogoutOutcome;
use self::state::SourceState;
use crate::{AccessToken, Error, RequestCredential, SessionStatus, TokenVerdict};

/// Hands out fresh access tokens. Cloning it is cheap, and all clones share one
/// session.
#[derive(Clone)]
pub struct TokenSource(Arc<SourceState>);

/// How long [`TokenSource::credential`] waits for a token if a static key would do as
/// well.
const KEY_PATIENCE: Duration = Duration::from_secs(5);

impl TokenSource {
    /// Begins to build a source of tokens for an API at `url` that speaks `dialect`.
    pub fn builder(dialect: Arc<Dialect>, url: &str) -> TokenSourceBuilder {
        TokenSourceBuilder::new(dialect, url)
    }

    /// Begins to build a source of tokens for an API at `url` that speaks a dialect
    /// which comes with the program.
    ///
    /// # Errors
    ///
    /// There is no such dialect: [`crate::ErrorKind::Setup`].
    pub fn shipped(dialect: &str, url: &str) -> Result<TokenSourceBuilder, Error> {
        let compiled = Dialect::shipped(dialect).map(|text| Dialect::compile(text, dialect));
        match compiled {
            Some(Ok(dialect)) => Ok(TokenSourceBuilder::new(Arc::new(dialect), url)),
            _ => Err(no_such_dialect(dialect)),
        }
    }

    /// An access token for one request.
    ///
    /// A fresh one is handed out at once. Otherwise the call waits for one, no longer
    /// than the source's patience. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// No token can be obtained; [`Error::is_transient`] says whether a later call
    /// may succeed.
    pub async fn token(&self) -> Result<AccessToken, Error> {
        match self.0.take_fresh() {
            Some(token) => Ok(token),
            None => Box::pin(acquire::wait_for_token(&self.0, self.0.setup.patience)).await,
        }
    }

    /// An access token, or the static key, if the source has one and no token can be
    /// obtained for now.
    ///
    /// # Errors
    ///
    /// As [`TokenSource::token`], and if the static key cannot be read.
    pub async fn credential(&self) -> Result<RequestCredential, Error> {
        let setup = &self.0.setup;
        if !setup.static_key {
            return self.token().await.map(RequestCredential::Token);
        }
        if let Some(token) = self.0.take_fresh() {
            return Ok(RequestCredential::Token(token));
        }
        let patience = setup.patience.min(KEY_PATIENCE);
        match Box::pin(acquire::wait_for_token(&self.0, patience)).await {
            Ok(token) => Ok(RequestCredential::Token(token)),
            Err(error) if error.is_transient() => setup
                .secret
                .secret()
                .await
                .map(RequestCredential::StaticKey),
            Err(error) => Err(error),
        }
    }

    /// An access token with this many requests of its budget set aside, for a process
    /// that ends before it could use a part of the usual size. The record says so
    /// before this returns.
    ///
    /// # Errors
    ///
    /// As [`TokenSource::token`]; [`crate::ErrorKind::Setup`] if no token has so
    /// large a budget.
    pub async fn reserve(&self, uses: u32) -> Result<AccessToken, Error> {
        acquire::reserve(&self.0, uses).await
    }

    /// Reports that the vendor refused a token that should have been valid (401). It
    /// is not handed out any more, and the next call replaces it. Reporting it again,
    /// or reporting one that was replaced since, has no effect.
    ///
    /// If tokens are refused again and again soon after they were granted, another
    /// one would not help: then the same token is handed out for a while, and its
    /// request should not be repeated.
    pub fn report_refused(&self, token: &AccessToken) {
        self.0.refuse(token);
    }

    /// Logs in, whatever tokens are at hand, and even if the vendor has refused the
    /// last login and the pause after that is not over.
    ///
    /// # Errors
    ///
    /// The login failed. Tokens at hand stay.
    pub async fn login(&self) -> Result<AccessToken, Error> {
        login::login(&self.0).await
    }

    /// Ends the session with the vendor and forgets it. Callers that wait for a token
    /// meanwhile get the error that it was logged out; later ones log in again.
    ///
    /// # Errors
    ///
    /// The vendor could not be reached: the tokens are kept, so that the logout can
    /// be repeated.
    pub async fn logout(&self) -> Result<LogoutOutcome, Error> {
        logout::logout(&self.0).await
    }

    /// Waits until no renewal runs, for a process that is about to end: the next one
    /// would have to repeat a renewal that was cut off.
    pub async fn settle(&self) {
        self.0.renewals.settle().await;
    }

    /// The status of the session. This changes nothing and does not wait for the
    /// lock.
    ///
    /// # Errors
    ///
    /// The stored session cannot be read.
    pub async fn status(&self) -> Result<SessionStatus, Error> {
        self.0.status().await
    }

    /// Puts a token into the headers of a request.
    pub fn present(&self, token: &AccessToken, headers: &mut HeaderMap) {
        token.present(headers);
    }

    /// What the status of an API's response says about the access token of its
    /// request.
    pub fn judge(&self, status: StatusCode) -> TokenVerdict {
        self.0.verdicts.for_status(status)
    }

    /// Whether a whole response of the API says that its access token was refused, if
    /// [`TokenSource::judge`] could not tell.
    pub fn says_token_refused(&self, answer: &Response<Bytes>) -> bool {
        self.0.says_token_refused(answer)
    }

    /// The name of the source in logs and metrics.
    pub fn name(&self) -> &str {
        &self.0.setup.name
    }
}

fn no_such_dialect(name: &str) -> Error {
    let known: Vec<&str> = Dialect::SHIPPED.iter().map(|(name, _)| *name).collect();
    let known = known.join(", ");
    let message = format!("there is no dialect {name:?}");
    let help = format!("use one of {known}, or a file of your own");
    Error::new(crate::ErrorKind::Setup, message).with_help(help)
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSource")
            .field("name", &self.0.setup.name)
            .field("url", &self.0.setup.url.to_string())
            .finish_non_exhaustive()
    }
}
