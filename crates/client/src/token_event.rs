//! The events that an `on_event` hook receives.

use std::sync::Arc;

use countersign_domain::Timestamp;

use crate::Error;

/// An event about the tokens of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenEvent {
    /// The name of the source.
    pub profile: Arc<str>,
    /// What happened.
    pub kind: TokenEventKind,
}

/// What happened to the tokens of a source.
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
    /// The session that a login took the place of could not be ended, and lives on with the
    /// vendor until it ends by itself.
    FormerSessionLeft(Error),
    /// No new tokens could be obtained. A token at hand is used as long as it is
    /// valid.
    Failed(Error),
}
