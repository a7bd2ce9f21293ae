//! Client library of Countersign: keeps a fresh access token at hand, across tasks,
//! processes and restarts, for any API that a dialect describes.
//!
//! The stored state is a [`SessionRecord`]. The session machine ([`ClientSession`])
//! reads it and says what to do now; the driver ([`TokenSource`]) asks the vendor
//! through a [`Transport`], makes the outcome durable in a [`SessionStore`], and only
//! then hands the token out.
//!
//! With a profile of `profiles.toml`, which the command line and all other processes
//! of the user share:
//!
//! ```no_run
//! # async fn call() -> Result<(), Box<dyn std::error::Error>> {
//! use countersign_client::Profiles;
//! use countersign_client::profile::UserPaths;
//!
//! let profiles = Profiles::find(None, &UserPaths::of_current_user())?;
//! let source = profiles.profile("shop")?.source()?.build()?;
//! let token = source.token().await?; // at once while it is fresh
//! # let _ = token;
//! # Ok(())
//! # }
//! ```
//!
//! Or set up in the program:
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

#![warn(clippy::missing_errors_doc)]

mod access_token;
mod box_future;
mod clock;
mod environment;
mod error;
mod http_transport;
mod middleware;
mod named_file;
pub mod profile;
mod secret_source;
mod session;
mod session_record;
mod session_status;
mod source;
mod store;
mod timing;
mod token_event;
mod token_verdict;
mod transport;
mod warnings;

pub use access_token::{AccessToken, RequestCredential};
pub use box_future::BoxFuture;
pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{Error, ErrorKind};
pub use http_transport::HttpTransport;
#[cfg(feature = "reqwest")]
pub use middleware::BearerMiddleware;
pub use middleware::{BearerAuth, BearerError, BearerLayer};
pub use named_file::NamedFile;
pub use profile::{Profile, Profiles};
pub use secret_source::{SecretCommand, SecretEnv, SecretFile, SecretSource};
pub use session::{ClientSession, NextStep, RenewalKind, ReserveOutcome, SessionTerms};
pub use session_record::{RenewalFailure, RequestAttempt, SessionRecord, TokenSet};
pub use session_status::{SessionStatus, TokenStatus};
pub use source::{LogoutOutcome, TokenSource, TokenSourceBuilder};
#[doc(hidden)]
pub use store::fuzzing;
pub use store::{
    FileStore, LockedStore, MemoryStore, SealKey, SessionOwner, SessionStore, StoreError,
    StoredSession, StoredState, WriteOutcome,
};
pub use token_event::{TokenEvent, TokenEventKind};

// Types of the public interface, so that a user of this crate depends on it alone.
pub use countersign_dialect::{Dialect, ExtraParts, Secret, Variant};
pub use countersign_domain::{Refusal, Timestamp, TokenOperation};
pub use countersign_outbound::{ProxyRules, ServerUrl, TrustedRoots};
pub use token_verdict::TokenVerdict;
pub use transport::{RequestContext, RequestDelivery, Transport, TransportError};
pub use warnings::WARNINGS;

/// Compiles what integrators copy from the guide.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/integrators/README.md")]
struct IntegratorsGuide;

/// Compiles the examples of the README.
#[cfg(all(doctest, feature = "reqwest"))]
#[doc = include_str!("../README.md")]
struct Readme;
