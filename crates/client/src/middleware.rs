//! Layers that give each request a fresh token: for tower, and behind the feature
//! `reqwest` for reqwest.

mod bearer;
#[cfg(feature = "reqwest")]
mod for_reqwest;

pub use bearer::{Bearer, BearerError, BearerLayer};
#[cfg(feature = "reqwest")]
pub use for_reqwest::BearerMiddleware;
