//! Who is let in, and what they may call.

use countersign_sandbox::RequestExpectations;
use countersign_testing::replies::request;

use crate::vendor::Vendor;
use crate::world::{Plan, World, allowed, outcome};

#[tokio::test]
async fn a_program_is_answered_and_a_page_is_not() {
    let world = World::open().await;
    assert_eq!(outcome(&world.get("/deposit/").await), (200, ""));
    for (fields, code) in [
        (&[("host", "evil.example")][..], "foreign_host"),
        (&[("origin", "https://evil.example")], "browser"),
        (&[("sec-fetch-site", "cross-site")], "browser"),
    ] {
        let reply = world.send(request("GET", "/deposit/", fields, "")).await;
        assert_eq!(outcome(&reply), (403, code));
        assert_eq!(reply.header("content-type"), "application/problem+json");
    }
    assert_eq!(world.sandbox.requests().len(), 2, "a login and a request");
}

#[tokio::test]
async fn over_a_socket_file_any_host_will_do() {
    let plan = Plan {
        file: true,
        ..Plan::default()
    };
    let world = plan.open().await;
    let fields = [("host", "pay.example"), ("origin", "null")];
    let reply = world.send(request("GET", "/deposit/", &fields, "")).await;
    assert_eq!(outcome(&reply), (200, ""));
    assert_eq!(world.close().await.cut, 0);
}

#[tokio::test]
async fn a_key_is_asked_for_and_goes_no_further() {
    let vendor = Vendor::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let plan = Plan {
        key: Some("0123456789abcdef"),
        upstream: Some(vendor.url.clone()),
        ..Plan::default()
    };
    let world = plan.open().await;
    for key in ["", "0123456789abcdeF"] {
        let fields = [("x-countersign-key", key)];
        let reply = world.send(request("GET", "/x", &fields, "")).await;
        assert_eq!(outcome(&reply), (403, "key"));
    }
    let fields = [("x-countersign-key", "0123456789abcdef")];
    let reply = world.send(request("GET", "/x", &fields, "")).await;
    assert_eq!(outcome(&reply), (200, ""));
    assert!(!vendor.head().contains("0123456789abcdef"));
}

#[tokio::test]
async fn token_endpoints_are_closed_and_the_session_goes_on() {
    let world = World::open().await;
    assert_eq!(world.get("/deposit/").await.status, 200);
    for (method, target) in [
        ("POST", "/token/"),
        ("POST", "/token/refresh/"),
        ("POST", "/%74oken/Refresh?x"),
        ("DELETE", "/token"),
    ] {
        let reply = world.send(request(method, target, &[], "{}")).await;
        assert_eq!(outcome(&reply), (403, "token_endpoint"), "{target}");
    }
    assert_eq!(world.get("/deposit/").await.status, 200);
    let once = RequestExpectations::new().logins(1).refreshes(0);
    assert_eq!(world.sandbox.check(&once), Ok(()));
}

#[tokio::test]
async fn a_method_that_goes_nowhere_is_answered_with_those_that_do() {
    let world = World::open().await;
    for method in ["TRACE", "TRACK", "trace"] {
        let reply = world.send(request(method, "/deposit/", &[], "")).await;
        assert_eq!(outcome(&reply), (405, "method"), "{method}");
        assert_eq!(reply.header("allow"), countersign_domain::FORWARDED_METHODS);
    }
}

#[tokio::test]
async fn a_list_is_held_against_the_path_that_goes_on() {
    let plan = Plan {
        allow: allowed(&[("GET", "/deposit/*")]),
        ..Plan::default()
    };
    let world = plan.open().await;
    for (method, target, expected) in [
        ("GET", "/deposit/1", (200, "")),
        ("GET", "/%64eposit/1?a=/payout", (200, "")),
        ("POST", "/deposit/1", (403, "not_allowed")),
        ("GET", "/payout/1", (403, "not_allowed")),
        ("GET", "/deposit/%2e%2e/payout/1", (400, "ambiguous_path")),
        ("GET", "/deposit/..%2fpayout/1", (400, "ambiguous_path")),
    ] {
        let reply = world.send(request(method, target, &[], "")).await;
        assert_eq!(outcome(&reply), expected, "{method} {target}");
    }
}
