//! Issues: the issuer, its store, sealed keys and the admin API.

pub mod clock;
pub mod seal;
pub mod store;
