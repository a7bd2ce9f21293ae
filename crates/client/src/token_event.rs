//! What an `on_event` hook is told.

use std::sync::Arc;

use countersign_domain::Timestamp;

use crate::Error;

/// Something about the tokens of a source has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenEvent {
    /// The name of the source.
    pub profile: Arc<str>,
    /// What has.
    pub what: TokenEventKind,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenEventKind {
    /// A login brought a new session.
    LoggedIn {
        /// Until when its access token is used.
        expires_at: Timestamp,
    },
    /// A refresh brought new tokens.
    Refreshed {
        /// Until when the access token is used.
        expires_at: Timestamp,
    },
    /// Another process that shares the store brought new tokens.
    Adopted {
        /// Until when the access token is used.
        expires_at: Timestamp,
    },
    /// The session was ended by a logout.
    LoggedOut,
    /// New tokens could not be had. A token at hand is used as long as it lives.
    Failed(Error),
}
