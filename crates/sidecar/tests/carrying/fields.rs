//! What the vendor gets of a request, and the program of an answer.

use countersign_domain::TokenOperation;
use countersign_sandbox::VendorFault;
use countersign_testing::raw::content_length;
use countersign_testing::replies::request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::vendor::Vendor;
use crate::world::{Plan, outcome};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn the_vendor_gets_the_request_with_a_token_of_ours_and_nothing_that_overrides_it() {
    let vendor = Vendor::answering(OK);
    let plan = Plan {
        upstream: Some(format!("{}/base/v1/", vendor.url)),
        ..Plan::default()
    };
    let world = plan.open().await;
    let fields = [
        ("authorization", "Bearer FOREIGN"),
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/payout/"),
        ("x-forwarded-for", "192.0.2.1"),
        ("connection", "x-only-here"),
        ("x-only-here", "1"),
        ("x-idempotency-key", "7"),
        ("cookie", "a=b"),
    ];
    let target = "/deposit/1?page=2&x=%20";
    let reply = world.send(request("PUT", target, &fields, "hello")).await;
    assert_eq!(outcome(&reply), (200, ""));
    let head = vendor.head();
    assert!(
        head.starts_with("PUT /base/v1/deposit/1?page=2&x=%20 HTTP/1.1\r\n"),
        "{head}"
    );
    let host = vendor.url.strip_prefix("http://").unwrap();
    for there in [
        &format!("host: {host}\r\n"),
        "authorization: Bearer ey",
        "x-idempotency-key: 7\r\n",
        "cookie: a=b\r\n",
        "content-length: 5\r\n",
    ] {
        assert!(head.contains(there), "{there}: {head}");
    }
    for gone in [
        "FOREIGN",
        "override",
        "x-original",
        "forwarded",
        "only-here",
    ] {
        assert!(!head.contains(gone), "{gone}: {head}");
    }
}

#[tokio::test]
async fn no_authorization_passes_where_the_token_has_a_field_of_its_own() {
    let vendor = Vendor::answering(OK);
    let plan = Plan {
        field: Some("X-Auth-Token"),
        upstream: Some(vendor.url.clone()),
        ..Plan::default()
    };
    let world = plan.open().await;
    let fields = [
        ("authorization", "Basic FOREIGN"),
        ("x-auth-token", "FOREIGN"),
        ("x_auth_token", "FOREIGN"),
    ];
    let reply = world.send(request("GET", "/x", &fields, "")).await;
    assert_eq!(outcome(&reply), (200, ""));
    let head = vendor.head();
    assert!(head.contains("x-auth-token: ey"), "{head}");
    assert!(!head.contains("FOREIGN"), "{head}");
}

#[tokio::test]
async fn a_redirect_is_the_programs_to_follow() {
    let vendor = Vendor::answering(
        "HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\nX-Countersign-Sidecar: me\r\n\
         Connection: x-hop\r\nX-Hop: 1\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nno",
    );
    let plan = Plan {
        upstream: Some(vendor.url.clone()),
        ..Plan::default()
    };
    let reply = plan.open().await.get("/x").await;
    assert_eq!(outcome(&reply), (302, ""), "nobody speaks for the sidecar");
    assert_eq!(reply.header("location"), "https://elsewhere.example/");
    assert_eq!(
        (reply.header("set-cookie"), reply.header("x-hop")),
        ("a=b", "")
    );
    assert_eq!(reply.text(), "no");
    assert_eq!(vendor.heads().len(), 1);
}

/// Answers with the body that it got.
async fn echoing() -> Vendor {
    Vendor::acting(|head, mut stream| async move {
        let mut body = vec![0; content_length(&head)];
        stream.read_exact(&mut body).await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
    })
}

#[tokio::test]
async fn a_static_key_of_the_program_is_left_out() {
    let vendor = echoing().await;
    let plan = Plan {
        dialect: "apirone",
        upstream: Some(vendor.url.clone()),
        ..Plan::default()
    };
    let world = plan.open().await;
    let fields = [("content-type", "application/json")];
    let target = "/api/v2/x?a=1&transfer%2dkey=FOREIGN";
    let body = r#"{"a":1,"transfer-key":"FOREIGN"}"#;
    let reply = world.send(request("POST", target, &fields, body)).await;
    assert_eq!(reply.text(), r#"{"a":1}"#);
    let head = vendor.head();
    assert!(head.starts_with("POST /api/v2/x?a=1 HTTP"), "{head}");
    assert!(!head.contains("FOREIGN"));
}

#[tokio::test]
async fn a_static_key_goes_where_tokens_cannot_be_had_for_now() {
    let vendor = Vendor::answering(OK);
    let plan = Plan {
        dialect: "apirone",
        upstream: Some(vendor.url.clone()),
        static_key: true,
        ..Plan::default()
    };
    let world = plan.open().await;
    let down = VendorFault::status(503)
        .on(TokenOperation::Login)
        .times(100);
    world.sandbox.fault(down);
    let target = "/api/v2/x?transfer-key=FOREIGN&a=1";
    let fields = [("authorization", "Bearer FOREIGN")];
    let reply = world.send(request("GET", target, &fields, "")).await;
    assert_eq!(outcome(&reply), (200, ""));
    let key = world.sandbox.secret().expose();
    let head = vendor.head();
    let expected = format!("GET /api/v2/x?a=1&transfer-key={key} HTTP/1.1\r\n");
    assert!(head.starts_with(&expected), "{head}");
    assert!(!head.contains("authorization"), "{head}");
}

#[tokio::test]
async fn a_redirect_to_the_vendor_leads_back_through_the_sidecar() {
    let vendor = Vendor::acting(|head, mut stream| async move {
        let own = head.lines().find_map(|line| line.strip_prefix("host: "));
        let own = own.unwrap();
        let answer = format!(
            "HTTP/1.1 302 Found\r\nLocation: http://{own}/base/next?a=1\r\n\
             Content-Length: 0\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    for file in [false, true] {
        let plan = Plan {
            upstream: Some(format!("{}/base", vendor.url)),
            file,
            ..Plan::default()
        };
        let world = plan.open().await;
        let reply = world.get("/x").await;
        assert_eq!(outcome(&reply), (302, ""));
        let through = format!("http://{}/next?a=1", world.host());
        assert_eq!(reply.header("location"), through);
    }
}
