//! Why a request got no answer.

use std::time::Duration;

/// Why there is no answer of the upstream. Whoever carries a request tells its client
/// of each cause in its own way, so this list is exhaustive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// The upstream is known to be down, so it was not asked.
    #[error("the upstream is down")]
    Down {
        /// When the next request may try.
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
    /// As many tunnels are open as there may be.
    #[error("all places for tunnels are taken")]
    NoRoom {
        /// When one may be free.
        retry_after: Duration,
    },
}
