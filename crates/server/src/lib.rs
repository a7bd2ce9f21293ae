//! Issues: the issuer, its store, sealed keys and the admin API.

pub mod admin;
pub mod api;
pub mod clock;
pub mod generated_key;
pub mod issuer;
pub mod keys;
pub mod password;
pub mod random;
pub mod refusals;
pub mod rewrap;
pub mod seal;
pub mod store;
pub mod throttle;
mod vault;
