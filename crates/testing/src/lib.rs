//! What tests of several crates need at the other end of a socket, and around it.
//!
//! - [`listening`]: a free port of the loopback network whose connections a closure
//!   gets, and a URL where nobody listens;
//! - [`recording`]: a server that remembers each request and answers by a closure,
//!   with an echo if need be;
//! - [`raw`]: bytes over a connection, and the heads and messages that come back;
//! - [`replies`]: requests that are sent whole, and replies that are read whole;
//! - [`certificates`]: a certificate made on the spot, and both ends of TLS with it;
//! - [`logs`]: log lines that are kept;
//! - [`waiting`]: what another process does in its own time;
//! - [`lighttpd`]: the real lighttpd, which insists on lengths.
//!
//! Only ever a dev-dependency, which `scripts/check-arrows` enforces: nothing here
//! returns an error where a test may as well stop. What is peculiar to one story
//! stays beside it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "who calls this is a test, and a test may panic"
)]

pub mod certificates;
pub mod lighttpd;
pub mod listening;
pub mod logs;
pub mod raw;
pub mod recording;
pub mod replies;
pub mod waiting;

#[cfg(test)]
mod tests;
