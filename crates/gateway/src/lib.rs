//! Checks: decides in memory whether a request may pass, and forwards the ones
//! that may.
//!
//! [`authorize`] is the whole policy and yields a [`Permit`], which nothing else
//! can make; [`Gateway::forward`] asks it and then speaks to the upstream. What
//! the guard knows of sessions and accounts is a [`View`] that it is fed with
//! notices: this crate links no store and reads no clock of its own.
//!
//! [`Relay`] is the part of it that carries requests and judges none.

mod answer;
mod api;
mod body;
mod body_key;
mod budget;
mod client_address;
mod cors;
mod fields;
mod forward_auth;
mod gateway;
mod idle;
mod location;
mod meter;
mod overlap;
mod path;
mod pattern;
mod pattern_index;
mod permit;
mod rate;
mod rate_limit;
mod relay;
mod reserved;
mod routes;
mod site;
mod spend;
mod tunnel;
mod upstream;
mod uses;
mod view;
mod wrong_keys;

pub use answer::{Answer, AnswerBody, Broken};
pub use api::GuardedApi;
pub use body::{BoxError, Upload};
pub use budget::{Answered, Budgets, Lender, Lent, Loan, TokenId, Unlent};
pub use client_address::{AddressPolicy, AddressSource, TrustedProxies, client_address};
pub use cors::{CorsPolicy, OriginFault};
pub use fields::end_to_end;
pub use forward_auth::{Family, ForwardAnswer, ForwardAuth, Original, asked_api};
pub use gateway::{Client, Gateway, at_path};
pub use overlap::{Claim, Overlap, overlaps};
pub use path::JudgedPath;
pub use permit::{Asked, Caller, Denied, METHODS, Permit, Proof, authorize, gives_back};
pub use rate_limit::BudgetLeft;
pub use relay::Relay;
pub use reserved::{RESERVED, ReservedFields, is_reserved};
pub use routes::{Access, Exposed, Route, RouteFault, Routes, Rule, Slash};
pub use site::{Site, SiteFault};
pub use spend::Allowances;
pub use tunnel::Switch;
pub use upstream::{
    HealthCheck, Standing, Timeouts, Upstream, UpstreamFault, UpstreamHost, UpstreamSettings,
};
pub use uses::Uses;
pub use view::View;
