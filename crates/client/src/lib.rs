//! Keeps: a fresh access token in the caller's hand, across tasks, processes and
//! restarts, for any API that a dialect describes.
//!
//! The way of a token: what is kept is a [`Record`]; the session machine reads it
//! and says what to do now; the driver asks the vendor through a [`Transport`],
//! makes the outcome durable in a [`Store`], and only then hands it out.

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
pub use store::{FileStore, Locked, MemoryStore, SealKey, Store, StoreError, Written};
pub use token::{AccessToken, Credential};
pub use transport::{Sent, Transport, TransportError};
pub use verdict::Expiry;

/// A future in a box, as the traits here return it.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
