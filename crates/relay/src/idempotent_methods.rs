//! Which methods may be sent twice with the effect of once (RFC 9110 section 9.2.2): those
//! that IANA's registry of HTTP methods lists as idempotent or safe.
//!
//! A method that is not registered is sent once, since nothing is known about it.

use http::Method;

/// The idempotent methods in the registry, sorted, except for `PRI`, which is not a
/// client's request, and `TRACE`, which is never forwarded. They belong to WebDAV (RFC
/// 4918), its versioning (RFC 3253), ordered collections (RFC 3648), access control (RFC
/// 3744), redirects (RFC 4437), calendars (RFC 4791), search (RFC 5323) and bindings (RFC
/// 5842), to links (RFC 2068) and `QUERY`. `LOCK`, `PATCH` and `POST` are not idempotent.
const IDEMPOTENT: &[&str] = &[
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "OPTIONS",
    "ORDERPATCH",
    "PROPFIND",
    "PROPPATCH",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

/// Whether a method is idempotent. Methods are case-sensitive (RFC 9110 section 9.1).
pub(crate) fn is_idempotent(method: &Method) -> bool {
    IDEMPOTENT.binary_search(&method.as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_so_that_each_method_of_it_is_found() {
        assert!(IDEMPOTENT.is_sorted());
        for name in IDEMPOTENT {
            assert!(is_idempotent(&name.parse().unwrap()), "{name}");
        }
    }

    #[test]
    fn what_is_not_registered_as_idempotent_is_not() {
        for name in ["POST", "PATCH", "LOCK", "CONNECT", "propfind", "PURGE"] {
            assert!(!is_idempotent(&name.parse().unwrap()), "{name}");
        }
    }
}
