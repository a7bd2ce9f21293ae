//! The path that is judged is the path that is forwarded.

use countersign_domain::Reason;
use countersign_testing::raw::{exchange, status_and_body};
use countersign_testing::recording::ReceivedRequest;

use crate::world::{APIRONE, B2BINPAY, LOGIN, MYPOPUP, Plan, echo_upstream};

#[tokio::test]
async fn what_the_upstream_may_read_differently_never_reaches_it() {
    let echo = echo_upstream();
    let world = Plan::new(MYPOPUP, &echo.url).build();
    let front = world.serve();
    for path in [
        "/api/v1/../admin",
        "/api/v1/%2e%2e/admin",
        "/api/v1/.%2E/admin",
        "/api/v1/./x",
        "/api/v1/a%2fb",
        "/api/v1/a%5Cb",
        "/api/v1/a\\b",
        "/api/v1//x",
        "/api/v1/x//",
        "/api/v1/x;a=1",
        "/api/v1/x%3ba=1",
        "/api/v1/%00",
        "/api/v1/%0d%0aX:1",
        "/api/v1/%ff",
        "/api/v1/%c0%ae",
        "/api/v1/%",
        "/api/v1/%zz",
        "/api/v1/%252e%252e/admin",
        "/api/v1/public/../x",
        "/api/v1/public;x",
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\nconnection: close\r\n\r\n",
            world.bearer()
        );
        let reply = exchange(front.address, &request).await;
        assert_eq!(status_and_body(&reply).0, 400, "{path}: {reply}");
        assert_eq!(
            world.last_outcome().unwrap_err().reason,
            Reason::PathAmbiguous,
            "{path}"
        );
    }
    assert_eq!(echo.count(), 0);
}

#[tokio::test]
async fn where_slashes_merge_the_merged_path_is_judged_and_forwarded() {
    let echo = echo_upstream();
    let world = Plan::new(B2BINPAY, &echo.url).build();
    let front = world.serve();
    let bearer = world.bearer();
    for (target, forwarded) in [
        ("/deposit//1", "/deposit/1"),
        ("//deposit/1", "/deposit/1"),
        ("///deposit///1//", "/deposit/1/"),
        ("/deposit//?a=//", "/deposit/?a=//"),
        ("//public//x", "/public/x"),
        ("/%64eposit//a%20b", "/%64eposit/a%20b"),
    ] {
        let response = front.get(target, &[("authorization", &bearer)]).await;
        assert_eq!(
            ReceivedRequest::from_reply(&response).target,
            forwarded,
            "{target}"
        );
    }
    let reached = echo.count();
    for (target, reason) in [
        ("/deposit/.//1", Reason::PathAmbiguous),
        ("/deposit//../1", Reason::PathAmbiguous),
        ("/deposit/%2f1", Reason::PathAmbiguous),
        ("/deposit//%2F/1", Reason::PathAmbiguous),
        ("///", Reason::PathUnknown),
        ("//elsewhere", Reason::PathUnknown),
    ] {
        let response = front.get(target, &[("authorization", &bearer)]).await;
        assert!(response.status.is_client_error(), "{target}");
        let denied = world.last_outcome().unwrap_err();
        assert_eq!(denied.reason, reason, "{target}");
    }
    let response = front.get("//deposit//1", &[]).await;
    assert_eq!(response.status, 401, "what is protected stays so");
    assert_eq!(echo.count(), reached);
}

#[tokio::test]
async fn a_path_that_is_refused_is_told_as_the_cause() {
    let echo = echo_upstream();
    for (dialect, target, words) in [
        (B2BINPAY, "/deposit/../1", "Ambiguous path"),
        (MYPOPUP, "/api/v1//x", "Invalid request path"),
        (APIRONE, "/api/v2/accounts/%2f/x", "ambiguous path"),
    ] {
        let world = Plan::new(dialect, &echo.url).build();
        let front = world.serve();
        let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let reply = exchange(front.address, &request).await;
        let (status, body) = status_and_body(&reply);
        assert_eq!(status, 400, "{reply}");
        assert!(body.contains(words), "{body}");
    }
    assert_eq!(echo.count(), 0);
}

#[tokio::test]
async fn path_and_query_are_forwarded_byte_for_byte() {
    let echo = echo_upstream();
    let plan = Plan::new(MYPOPUP, &format!("{}/base/", echo.url));
    let world = plan.build();
    let front = world.serve();
    let bearer = world.bearer();
    for target in [
        "/api/v1",
        "/api/v1/",
        "/api/v1/a%20b/%C3%A9/%7E~",
        "/api/v1/x?",
        "/api/v1/x?a=%2e%2e/&b=//;&&c=%zz&transfer-key=1?d",
        "/api/v1/@a:b,c!$&'()*+=",
    ] {
        let response = front.get(target, &[("authorization", &bearer)]).await;
        let expected = format!("/base{target}");
        assert_eq!(ReceivedRequest::from_reply(&response).target, expected);
    }
}

#[tokio::test]
async fn an_absolute_target_is_judged_by_its_path() {
    let echo = echo_upstream();
    let world = Plan::new(MYPOPUP, &echo.url).build();
    let front = world.serve();
    let request = "GET http://elsewhere/api/v1/public HTTP/1.1\r\nhost: elsewhere\r\nconnection: close\r\n\r\n";
    let received = ReceivedRequest::of_raw(&exchange(front.address, request).await);
    assert_eq!(received.target, "/api/v1/public");
    assert_eq!(
        received.field("host"),
        [echo.url.trim_start_matches("http://")]
    );
}

#[tokio::test]
async fn no_header_changes_the_method_or_the_path() {
    let echo = echo_upstream();
    let world = Plan::new(APIRONE, &echo.url).build();
    let front = world.serve();
    let estimate = format!("/api/v2/accounts/{LOGIN}/transfer");
    let overrides = [
        ("x-http-method-override", "POST"),
        ("X-HTTP-Method", "POST"),
        ("x_method_override", "POST"),
        ("x-original-url", "/admin"),
        ("x-rewrite-url", "/admin"),
        ("x-original-uri", "/admin"),
        ("x-forwarded-uri", "/admin"),
        ("x-forwarded-method", "POST"),
    ];
    let received = ReceivedRequest::from_reply(&front.get(&estimate, &overrides).await);
    assert_eq!((&*received.method, &received.target), ("GET", &estimate));
    for (name, _) in overrides {
        assert!(
            received.field(&name.to_ascii_lowercase()).is_empty(),
            "{name}"
        );
    }
    let refused = front
        .send("POST", &estimate, &[("x-http-method-override", "GET")], "")
        .await;
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn one_path_has_a_public_and_a_protected_method() {
    let echo = echo_upstream();
    let world = Plan::new(APIRONE, &echo.url).build();
    let front = world.serve();
    let transfer = format!("/api/v2/accounts/{LOGIN}/transfer");
    assert_eq!(front.get(&transfer, &[]).await.status, 200);
    assert_eq!(
        front
            .get(&transfer, &[("authorization", "Bearer a.b.c")])
            .await
            .status,
        200
    );
    for method in ["POST", "DELETE", "OPTIONS", "PATCH", "PROPFIND"] {
        assert_eq!(
            front.send(method, &transfer, &[], "").await.status,
            401,
            "{method}"
        );
    }
    assert_eq!(echo.count(), 2);
}

/// Who writes a method in lower case is not let by the rule for that method,
/// in front of an upstream that reads both alike.
#[tokio::test]
async fn a_method_in_small_letters_or_that_gives_back_what_was_sent_is_refused() {
    let echo = echo_upstream();
    let world = Plan::new(APIRONE, &echo.url).build();
    let front = world.serve();
    let bearer = world.bearer();
    let transfer = format!("/api/v2/accounts/{LOGIN}/transfer");
    for method in [
        "get", "Get", "post", "Post", "pOST", "TRACE", "TRACK", "trace",
    ] {
        for headers in [&[][..], &[("authorization", &*bearer)]] {
            let reply = front.send(method, &transfer, headers, "").await;
            assert_eq!(reply.status, 405, "{method}");
            assert_eq!(
                reply.headers["allow"],
                countersign_domain::FORWARDED_METHODS
            );
            let denied = world.last_outcome().unwrap_err();
            assert_eq!(denied.reason, Reason::MethodUnknown, "{method}");
        }
    }
    assert_eq!(echo.count(), 0);
}

#[tokio::test]
async fn a_tunnel_is_refused() {
    let echo = echo_upstream();
    let world = Plan::new(MYPOPUP, &echo.url).build();
    let front = world.serve();
    for target in ["/api/v1/x", "a:443"] {
        let request = format!(
            "CONNECT {target} HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\nconnection: close\r\n\r\n",
            world.bearer()
        );
        let reply = exchange(front.address, &request).await;
        assert_eq!(status_and_body(&reply).0, 405, "{reply}");
        assert_eq!(
            world.last_outcome().unwrap_err().reason,
            Reason::MethodUnknown
        );
    }
    assert_eq!(echo.count(), 0);
}
