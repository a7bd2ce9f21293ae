//! Why a sandbox cannot be opened.

use countersign_relay::UpstreamFault;
use countersign_server::api::ApiFault;
use countersign_store::random::RandomnessUnavailable;
use countersign_store::seal::MasterKeyError;
use countersign_store::{CreateError, OpenError, StoreUnavailable};
use std::io;
use std::net::SocketAddr;

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// No dialect with this name comes with the program, or it is wrong.
    #[error("{0}")]
    NoDialect(String),
    /// The lifetimes do not fit together, or into tokens.
    #[error("{0}")]
    Lifetimes(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The store in memory could not be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The store in memory failed.
    #[error(transparent)]
    Unavailable(#[from] StoreUnavailable),
    /// No key could be made.
    #[error(transparent)]
    Key(#[from] MasterKeyError),
    /// No key could be made.
    #[error(transparent)]
    RandomnessUnavailable(#[from] RandomnessUnavailable),
    /// The api could not be opened.
    #[error(transparent)]
    Api(#[from] ApiFault),
    /// The account could not be made.
    #[error("the account could not be created: {0}")]
    Account(#[from] CreateError),
    /// The echo could not be reached.
    #[error(transparent)]
    Upstream(#[from] UpstreamFault),
    /// Something is wrong with the sandbox itself.
    #[error("this is a mistake of the sandbox, please report it: {0}")]
    Bug(String),
}
