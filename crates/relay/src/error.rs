//! Why a request got no answer.

use std::time::Duration;

/// Why the upstream gave no answer. Whoever relays a request explains each cause to its
/// client in its own way, so this list is exhaustive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// The upstream is known to be down, so the request was not sent.
    #[error("the upstream is down")]
    Down {
        /// When the next request may be tried.
        retry_after: Duration,
    },
    /// The upstream did not connect or answer in time.
    #[error("{0}")]
    Timeout(String),
    /// The upstream cannot be reached or trusted, or what it sends is not an answer.
    #[error("{0}")]
    Failed(String),
    /// The client broke off its request, or paused in it for too long.
    #[error("{0}")]
    ClientGone(String),
    /// The limit of open tunnels is reached.
    #[error("the limit of tunnels is reached")]
    NoRoom {
        /// When a tunnel may be free.
        retry_after: Duration,
    },
}
