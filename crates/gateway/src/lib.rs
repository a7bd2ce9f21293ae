//! Checks: decides in memory whether a request may pass, and forwards the ones
//! that may.
//!
//! [`authorize`] is the whole policy and yields a [`Permit`], which nothing else
//! can make; [`Gateway::forward`] asks it and then speaks to the upstream. What
//! the guard knows of sessions and accounts is a [`View`] that it is fed with
//! notices: this crate links no store and reads no clock of its own.
//!
//! What carries the request is `countersign-relay`.

mod answer;
mod api;
mod body_key;
mod budget;
mod client_address;
mod cors;
mod forward_auth;
mod gateway;
mod headers;
mod meter;
mod overlap;
mod permit;
mod rate;
mod rate_limit;
mod site;
mod spend;
mod tunnel_review;
mod uses;
mod view;
mod wrong_keys;

pub use answer::Answer;
pub use api::GuardedApi;
pub use budget::{Answered, Budgets, Lender, Lent, Loan, TokenId, Unlent};
pub use client_address::{AddressPolicy, AddressSource, TrustedProxies, client_address};
pub use cors::{CorsPolicy, OriginFault};
pub use forward_auth::{Family, ForwardAnswer, ForwardAuth, Original, asked_api};
pub use gateway::{Client, Gateway, at_path};
pub use overlap::{Claim, Overlap, overlaps};
pub use permit::{Asked, Caller, Denied, Permit, Proof, authorize};
pub use rate_limit::BudgetLeft;
pub use site::{Site, SiteFault};
pub use spend::Allowances;
pub use uses::Uses;
pub use view::View;
