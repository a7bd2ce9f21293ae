//! Plays the vendor: issuer, guard and echo in memory, with time travel, faults
//! and a card for somebody's client.
//!
//! ```no_run
//! # async fn story() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use countersign_domain::TokenOperation;
//! use countersign_sandbox::{RequestExpectations, Sandbox, VendorFault};
//!
//! let sandbox = Sandbox::shipped("b2binpay").still().start().await?;
//! // Point a client at `sandbox.url()` with `sandbox.login()` and `sandbox.secret()`.
//! sandbox.fault(VendorFault::lost_reply().on(TokenOperation::Refresh));
//! sandbox.advance(Duration::from_secs(6 * 3_600));
//! let expected = RequestExpectations::new().logins(1).no_expired();
//! assert_eq!(sandbox.check(&expected), Ok(()));
//! # Ok(())
//! # }
//! ```
//!
//! One clock decides everything: how long tokens live, what is throttled and
//! swept, and what `Date` says. It runs, or stands still until it is moved. What
//! has happened is gone with the [`Sandbox`]: nothing is written to a file.

mod armed_faults;
pub mod card;
mod control;
mod duration_text;
mod echo;
mod expectations;
mod fault;
mod record;
mod sandbox;
mod setup;
mod store_budget_lender;
mod vendor;

pub use duration_text::span;
pub use echo::echo;
pub use expectations::{RequestCounts, RequestExpectations};
pub use fault::{ClockSkew, RevocationTarget, VendorFault};
pub use record::RecordedRequest;
pub use sandbox::{ClockMoveRefused, Sandbox};
pub use setup::{SandboxSetup, SetupError};
pub use store_budget_lender::StoreBudgetLender;
