//! Checks the `Host` of requests on a loopback listener. A page whose host name was made to
//! resolve to 127.0.0.1 (DNS rebinding) can make a browser send requests there, but the browser
//! puts the page's own host name in `Host`.

use std::net::SocketAddr;

use bytes::Bytes;
use countersign_transport::{is_loopback_host, problem_response};
use http::header::HOST;
use http::{HeaderMap, Response, StatusCode};

/// Whether a listener at `bound` answers a request with these fields: one on
/// loopback only for `localhost` or a loopback address, at any port, since ports
/// are forwarded.
pub(super) fn is_for(bound: Option<SocketAddr>, headers: &HeaderMap) -> bool {
    let on_loopback = bound.is_some_and(|it| it.ip().to_canonical().is_loopback());
    if !on_loopback {
        return true;
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(is_local)
}

fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    name.is_some_and(is_loopback_host)
}

/// RFC 9110 section 15.5.20.
pub(super) fn misdirected<B: From<Bytes>>() -> Response<B> {
    let status = StatusCode::MISDIRECTED_REQUEST;
    let problem = serde_json::json!({
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": "This listener is on loopback and answers only for localhost: \
                   send Host: localhost, 127.0.0.1 or [::1].",
    });
    problem_response(status, problem.to_string()).map(B::from)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn is_answered(bound: &str, host: &str) -> bool {
        let host = HeaderValue::from_str(host).unwrap();
        let headers = HeaderMap::from_iter([(HOST, host)]);
        is_for(Some(bound.parse().unwrap()), &headers)
    }

    #[test]
    fn loopback_answers_for_its_own_names_at_any_port() {
        for bound in [
            "127.0.0.1:8081",
            "[::1]:8081",
            "127.0.0.9:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            for own in [
                "localhost",
                "LocalHost:8081",
                "127.0.0.1",
                "127.0.0.9:9000",
                "[::1]:8081",
                "[::1]",
            ] {
                assert!(is_answered(bound, own), "{bound} {own}");
            }
            for foreign in [
                "evil.example",
                "evil.example:8081",
                "localhost.evil.example",
                "127.0.0.1.evil.example:8081",
                "xlocalhost",
                "10.0.0.1:8081",
                "[2001:db8::1]:8081",
                "0.0.0.0:8081",
                "",
            ] {
                assert!(!is_answered(bound, foreign), "{bound} {foreign}");
            }
        }
    }

    #[test]
    fn elsewhere_every_host_is_answered() {
        for bound in ["0.0.0.0:8081", "10.0.0.1:8081", "[::]:8081"] {
            assert!(is_answered(bound, "10.0.0.1:8081") && is_answered(bound, "pod.example"));
        }
    }

    #[test]
    fn a_request_without_a_host_is_for_nobody_here() {
        let bound = "127.0.0.1:1".parse().unwrap();
        assert!(!is_for(Some(bound), &HeaderMap::new()));
    }
}
