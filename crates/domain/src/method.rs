//! Which HTTP methods are forwarded to a guarded API (RFC 9110 section 9).

/// The methods with a meaning of their own that are forwarded, as an `Allow` lists them.
///
/// > The origin server MUST generate an Allow header field in a 405 response
/// > containing a list of the target resource's currently supported methods.
///
/// (RFC 9110 section 15.5.6)
pub const FORWARDED_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Whether a server answers this method with the request that it received, including
/// credentials: `TRACE` (RFC 9110 section 9.3.8), and `TRACK`, as some servers call it.
/// Compared in any letter case, since some servers ignore it.
pub fn echoes_request(method: &str) -> bool {
    ["TRACE", "TRACK"]
        .iter()
        .any(|name| method.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_server_repeat_a_request_is_known_in_any_letter_case() {
        for echo in ["TRACE", "TRACK", "trace", "Track"] {
            assert!(echoes_request(echo), "{echo}");
            assert!(!FORWARDED_METHODS.contains(echo));
        }
        for method in FORWARDED_METHODS.split(", ").chain(["", "TRACES", "TRAC"]) {
            assert!(!echoes_request(method), "{method:?}");
        }
    }
}
