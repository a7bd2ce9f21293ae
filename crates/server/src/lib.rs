//! The issuer: logins, refreshes and logouts, the throttle before them, signing keys and
//! passwords.

pub mod api;
pub mod generated_key;
pub mod issuer;
pub mod keys;
pub mod password;
pub mod rewrap;
pub mod throttle;
mod vault;
