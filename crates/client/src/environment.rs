//! The one place of the client that reads the environment: for what a profile
//! keeps there, and for the proxies on the way to a vendor.

use std::ffi::OsString;

use countersign_outbound::ProxyRules;

/// The proxies that the environment of the process names.
pub(crate) fn proxies() -> ProxyRules {
    ProxyRules::told_by(variable)
}

/// What a variable of the process holds; an empty one holds nothing.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
