//! Keeps: a fresh access token in the caller's hand, across tasks, processes and
//! restarts, for any API that a dialect describes.
//!
//! The way of a token: what is kept is a [`Record`]; the session machine reads it
//! and says what to do now; the driver asks the vendor through a [`Transport`],
//! makes the outcome durable in a [`Store`], and only then hands it out.

mod clock;
mod environment;
mod error;
pub mod profile;
mod record;
mod session;
mod store;
mod timing;
mod transport;

pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{Error, ErrorKind};
pub use profile::{Profile, Profiles};
pub use record::{Attempt, Held, Record, Trouble};
pub use session::{Ask, Next, Reserved, Session, Terms};
pub use store::{FileStore, Locked, MemoryStore, SealKey, Store, StoreError, Written};
pub use transport::{Sent, Transport, TransportError};

/// A future in a box, as the traits here return it.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
