//! Keeps: a fresh access token in the caller's hand, across tasks, processes and
//! restarts, for any API that a dialect describes.
//!
//! The way of a token: what is kept is a [`Record`]; the session machine reads it
//! and says what to do now; the driver asks the vendor through a [`Transport`],
//! makes the outcome durable in a [`Store`], and only then hands it out.
//!
//! With a profile of `profiles.toml`, shared with the command line and every other
//! process of the user:
//!
//! ```no_run
//! # async fn call() -> Result<(), Box<dyn std::error::Error>> {
//! use countersign_client::Profiles;
//! use countersign_client::profile::Places;
//!
//! let profiles = Profiles::find(None, &Places::of_user())?;
//! let source = profiles.profile("shop")?.source()?.build()?;
//! let token = source.token().await?; // at once while it is fresh
//! # let _ = token;
//! # Ok(())
//! # }
//! ```
//!
//! Or with all of it in the program:
//!
//! ```no_run
//! # async fn call() -> Result<(), Box<dyn std::error::Error>> {
//! use countersign_client::{SecretFile, TokenSource};
//!
//! let source = TokenSource::shipped("mypopup", "https://api.example.com")?
//!     .login("acme")
//!     .secret(SecretFile::new("/run/secrets/shop"))
//!     .build()?;
//! let mut headers = http::HeaderMap::new();
//! source.token().await?.present(&mut headers);
//! # Ok(())
//! # }
//! ```

mod change;
mod clock;
mod credentials;
mod environment;
mod error;
mod http;
mod middleware;
pub mod profile;
mod record;
mod session;
mod source;
mod standing;
mod store;
mod timing;
mod token;
mod transport;
mod verdict;
mod warning;

pub use change::{Change, Changed};
pub use clock::{Clock, ManualClock, SystemClock};
pub use credentials::{SecretCommand, SecretEnv, SecretFile, SecretSource};
pub use error::{Error, ErrorKind};
pub use http::HttpTransport;
#[cfg(feature = "reqwest")]
pub use middleware::BearerMiddleware;
pub use middleware::{Bearer, BearerError, BearerLayer};
pub use profile::{Profile, Profiles};
pub use record::{Attempt, Held, Record, Trouble};
pub use session::{Ask, Next, Reserved, Session, Terms};
pub use source::{Builder, LogoutOutcome, TokenSource};
pub use standing::{Standing, Tokens};
pub use store::{
    FileStore, KeptSession, KeptState, Locked, MemoryStore, SealKey, SessionOwner, Store,
    StoreError, Written,
};
pub use token::{AccessToken, Credential};

// What the interface speaks of, so that who uses it depends on this crate alone.
pub use countersign_dialect::{Dialect, Extra, Secret, Variant};
pub use countersign_domain::{Operation, Refusal, Timestamp};
pub use countersign_outbound::{ProxyRules, Roots, ServerUrl};
pub use transport::{Sent, Transport, TransportError};
pub use verdict::Expiry;
pub use warning::WARNINGS;

/// A future in a box, as the traits here return it.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What integrators copy from the guide is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/integrators/README.md")]
struct Guide;
