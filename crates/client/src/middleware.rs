//! Layers that give each request a fresh token: for tower, and behind the feature
//! `reqwest` for reqwest.

#[cfg(feature = "reqwest")]
mod reqwest_bearer;
mod tower_bearer;

#[cfg(feature = "reqwest")]
pub use reqwest_bearer::BearerMiddleware;
pub use tower_bearer::{BearerAuth, BearerError, BearerLayer};
