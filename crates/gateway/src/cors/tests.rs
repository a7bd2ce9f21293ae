//! What the Fetch standard's CORS check makes of the answers.

use super::*;

const PAGE: &str = "https://app.example.com";

fn policy(origins: &[&str]) -> CorsPolicy {
    CorsPolicy::parse(origins).unwrap().unwrap()
}

fn asked(fields: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method("OPTIONS").uri("/v1/x");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// The answer to a preflight of the page, if it is allowed.
fn preflight(policy: &CorsPolicy, fields: &[(&str, &str)]) -> Option<HeaderMap> {
    let answered = policy.preflight(&asked(fields)).unwrap();
    answered.ok().map(|response| {
        assert_eq!(response.status(), 204);
        assert!(response.body().is_empty());
        response.into_parts().0.headers
    })
}

#[test]
fn a_preflight_is_granted_what_it_asks_for() {
    let headers = preflight(
        &policy(&["http://other.example", PAGE]),
        &[
            ("origin", PAGE),
            ("access-control-request-method", "PUT"),
            (
                "access-control-request-headers",
                "authorization,content-type",
            ),
        ],
    );
    let headers = headers.unwrap();
    let told = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(told("access-control-allow-origin"), PAGE);
    assert_eq!(told("access-control-allow-methods"), "PUT");
    assert_eq!(
        told("access-control-allow-headers"),
        "authorization, content-type"
    );
    assert_eq!(told("access-control-max-age"), "600");
    assert!(told("vary").starts_with("Origin,"));
    assert!(!headers.contains_key("access-control-allow-credentials"));
}

#[test]
fn an_origin_is_compared_byte_for_byte() {
    let policy = policy(&[PAGE, "https://[::1]:8443"]);
    let method = ("access-control-request-method", "GET");
    for (origin, allowed) in [
        (PAGE, true),
        ("https://[::1]:8443", true),
        ("http://app.example.com", false),
        ("https://app.example.com:443", false),
        ("https://app.example.com:8443", false),
        ("https://app.example.com/", false),
        ("https://app.example.com.", false),
        ("HTTPS://app.example.com", false),
        ("https://App.example.com", false),
        ("https://x.app.example.com", false),
        ("https://app.example.com.evil.example", false),
        ("https://app.example.com, https://evil.example", false),
        ("null", false),
        ("*", false),
        ("", false),
    ] {
        let found = preflight(&policy, &[("origin", origin), method]);
        assert_eq!(found.is_some(), allowed, "{origin:?}");
    }
    let twice = [("origin", PAGE), ("origin", PAGE), method];
    let denied = policy.preflight(&asked(&twice)).unwrap().unwrap_err();
    assert_eq!(denied.reason, Reason::OriginDenied);
}

#[test]
fn what_is_no_preflight_is_left_to_the_guard() {
    let policy = policy(&[PAGE]);
    let (origin, method) = (("origin", PAGE), ("access-control-request-method", "GET"));
    for fields in [
        &[][..],
        &[origin],
        &[method],
        &[origin, ("access-control-request-method", "G T")],
        &[origin, method, method],
    ] {
        assert!(policy.preflight(&asked(fields)).is_none(), "{fields:?}");
    }
    let mut get = asked(&[origin, method]);
    *get.method_mut() = Method::GET;
    assert!(policy.preflight(&get).is_none());
}

#[test]
fn names_that_are_none_are_not_granted() {
    for names in ["a b", "authorization, x\u{7f}", "authorization,,x", "é"] {
        let fields = [
            ("origin", PAGE),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", names),
        ];
        let Some(request) = std::panic::catch_unwind(|| asked(&fields)).ok() else {
            continue;
        };
        let told = policy(&[PAGE]).preflight(&request).unwrap().unwrap();
        let granted = told.headers().get("access-control-allow-headers");
        assert_eq!(granted, None, "{names}");
    }
}

#[test]
fn what_an_upstream_says_of_origins_is_replaced() {
    let mut answer = HeaderMap::new();
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-origin", "https://evil.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-private-network", "true"),
        ("access-control-expose-headers", "X-Secret"),
        ("vary", "Accept-Encoding"),
    ] {
        let name = HeaderName::from_static(name);
        answer.append(name, HeaderValue::from_static(value));
    }
    let policy = policy(&[PAGE]);
    let mut stranger = answer.clone();
    policy.set_headers(None, &mut stranger);
    let names: Vec<_> = stranger.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["vary"]);
    let told = policy.allowed_origin(asked(&[("origin", PAGE)]).headers());
    policy.set_headers(told, &mut answer);
    assert_eq!(answer["access-control-allow-origin"], PAGE);
    let exposed = answer["access-control-expose-headers"].to_str().unwrap();
    for name in [
        "Retry-After",
        "RateLimit",
        "RateLimit-Policy",
        "X-Countersign-Refusal",
    ] {
        assert!(exposed.split(", ").any(|it| it == name), "{name}");
    }
    let vary: Vec<_> = answer.get_all("vary").iter().collect();
    assert_eq!(vary, ["Accept-Encoding", "Origin"]);
    assert!(!answer.contains_key("access-control-allow-credentials"));
}

#[test]
fn a_cache_is_told_once_that_the_origin_matters() {
    for (told, after) in [
        ("*", vec!["*"]),
        ("accept, ORIGIN", vec!["accept, ORIGIN"]),
        ("x-origin", vec!["x-origin", "Origin"]),
    ] {
        let mut answer = HeaderMap::new();
        answer.insert(VARY, HeaderValue::from_static(told));
        policy(&[PAGE]).set_headers(None, &mut answer);
        let vary: Vec<_> = answer.get_all(VARY).iter().collect();
        assert_eq!(vary, after);
    }
    let mut answer = HeaderMap::new();
    let any = policy(&["*"]);
    any.set_headers(any.allowed_origin(&HeaderMap::new()), &mut answer);
    assert_eq!(answer["access-control-allow-origin"], "*");
    assert!(!answer.contains_key(VARY), "the answer is the same for all");
}

#[test]
fn what_no_browser_sends_is_no_origin() {
    for (text, meant) in [
        ("https://App.Example.com", Some("https://app.example.com")),
        ("https://app.example.com/", Some("https://app.example.com")),
        (
            "https://app.example.com:443",
            Some("https://app.example.com"),
        ),
        (
            "http://app.example.com:80/x",
            Some("http://app.example.com"),
        ),
        (" https://a.example", Some("https://a.example")),
        ("app.example.com", None),
        ("https://", None),
        ("https://*.example.com", None),
        ("https://a.example:0", None),
        ("https://a.example:08443", None),
        ("https://a.example:65536", None),
        ("https://user@a.example", None),
        ("https://[::0:1]", None),
        ("https://bücher.example", None),
        ("", None),
    ] {
        let faults = CorsPolicy::parse(&[text]).unwrap_err();
        assert_eq!(faults, [OriginFault::NotSent(text.to_owned())]);
        let help = faults[0].help().unwrap();
        match meant {
            Some(meant) => assert_eq!(help, format!("did you mean `{meant}`?"), "{text}"),
            None => assert!(help.starts_with("write the scheme"), "{text}: {help}"),
        }
    }
    let faults = CorsPolicy::parse(&["*", "null", PAGE]).unwrap_err();
    assert_eq!(faults, [OriginFault::AnyBesideOthers, OriginFault::Null]);
    assert_eq!(CorsPolicy::parse::<&str>(&[]), Ok(None));
    for text in [
        "http://localhost:5173",
        "https://a_b.example",
        "capacitor://localhost",
        "http://[::1]",
    ] {
        assert_eq!(policy(&[text]).origins(), [text]);
    }
}
