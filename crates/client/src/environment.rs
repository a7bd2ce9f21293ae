//! The one place of the client that reads environment variables: for profiles, and
//! for proxies on the way to a vendor.

use std::ffi::OsString;

use countersign_outbound::ProxyRules;

/// The proxies that the environment of the process names.
pub(crate) fn proxies() -> ProxyRules {
    ProxyRules::told_by(variable)
}

/// The value of a variable; `None` if it is unset or empty.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
