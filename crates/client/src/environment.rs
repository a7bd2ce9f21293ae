//! The one place of the client that reads the environment, for what a profile
//! keeps there.

use std::ffi::OsString;

/// What a variable of the process holds; an empty one holds nothing.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
