//! The decisions of Countersign: what a login, a refresh, a logout and a guarded request
//! mean for a session, and why one is refused.
//!
//! Nothing here performs I/O, reads a clock or draws randomness. The caller passes in
//! what it loaded, and `now`, and gets back a decision: the change to store and the
//! answer to give. HTTP and wire formats are in `countersign-dialect`, keys and
//! signatures in `countersign-token`.

#![warn(clippy::missing_errors_doc)]

pub mod account;
pub mod audit;
pub mod cause;
mod coded;
pub mod counters;
pub mod key;
pub mod limits;
pub mod method;
pub mod network;
pub mod operator;
pub mod path;
pub mod pattern;
pub mod pattern_index;
pub mod policy;
pub mod rate;
pub mod refusal;
pub mod revocation;
pub mod routes;
pub mod scopes;
pub mod session;
pub mod time;
mod time_text;
pub mod token;

pub use account::{Account, AccountId, Allowlist, ApiName, Credential, CredentialId, Epoch};
pub use counters::{CountedAttempt, KeyedCounters};
pub use key::Kid;
pub use limits::{AccountLimits, ApiLimits};
pub use method::{FORWARDED_METHODS, echoes_request};
pub use network::HostNetwork;
pub use operator::{ApiScope, Role};
pub use path::JudgedPath;
pub use pattern::PathPattern;
pub use policy::{LogoutScope, NewLogin, RefreshMode};
pub use rate::{RateLimit, RateTally};
pub use refusal::{Reason, Refusal, TokenOperation};
pub use routes::{RouteAccess, RouteFault, RouteRule, Routes, TrailingSlash};
pub use scopes::Scopes;
pub use session::{Session, SessionId};
pub use time::Timestamp;
pub use time_text::{InvalidTimestamp, span_text};
pub use token::{Algorithm, TokenKind};

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
