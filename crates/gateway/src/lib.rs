//! Decides in memory whether a request may pass, and forwards the ones that may.
//!
//! [`authorize`] is the whole policy. It returns a [`Permit`], which nothing else can create;
//! [`Gateway::forward`] calls it and then forwards the request to the upstream. What the guard
//! knows of sessions and accounts is a [`RevocationView`], which is fed with notices: this crate
//! does not link a store and reads no clock of its own.
//!
//! The crate `countersign-relay` carries the request.

mod allowances;
mod answer;
mod api;
mod body_key;
mod budget;
mod client;
mod client_address;
mod cors;
mod denial;
mod first_use;
mod forward_auth;
mod gateway;
mod headers;
mod meter;
mod overlap;
mod permit;
mod rate;
mod rate_limit;
mod revocation_view;
mod site;
mod tunnel_review;
mod wrong_keys;

pub use allowances::RequestAllowances;
pub use answer::GuardAnswer;
pub use api::GuardedApi;
pub use budget::{
    BudgetLender, LendOutcome, LenderAnswer, LendingUnavailable, TokenBudgets, TokenId, TokenLoan,
};
pub use client::ClientConnection;
pub use client_address::{AddressPolicy, AddressSource, TrustedProxies, client_address};
pub use cors::{CorsPolicy, OriginFault};
pub use denial::GuardDenial;
pub use first_use::FirstUses;
pub use forward_auth::{
    ForwardAnswer, ForwardAuth, OriginalRequest, ProxyFamily, asked_api, for_trusted_proxies,
};
pub use gateway::{Gateway, at_path};
pub use overlap::{ApiClaim, ApiOverlap, overlaps};
pub use permit::{CallerProof, GuardCaller, GuardedRequest, Permit, authorize};
pub use rate_limit::BudgetLeft;
pub use revocation_view::RevocationView;
pub use site::{ApiSite, SiteFault};
