//! How long the content of a request is, and that there is none, is told to the
//! vendor (RFC 9110 section 8.6).

use bytes::Bytes;
use countersign_testing::lighttpd::LighttpdServer;
use countersign_testing::replies::request;
use http::Request;
use http_body_util::Empty;

use crate::vendor::Vendor;
use crate::world::{Plan, outcome};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn a_server_that_wants_a_length_gets_one() {
    let lighttpd = LighttpdServer::start();
    let plan = Plan {
        upstream: Some(format!("{}/length.sh", lighttpd.url)),
        ..Plan::default()
    };
    let world = plan.open().await;
    for method in ["POST", "PUT", "PATCH", "GET", "DELETE", "OPTIONS"] {
        let empty = Request::builder().method(method).uri("/deposit/");
        let reply = world.send_any(empty.body(Empty::<Bytes>::new()).unwrap());
        let reply = reply.await;
        assert_eq!(outcome(&reply), (200, ""), "{method}: {}", reply.text());
        if method != "OPTIONS" {
            assert_eq!(reply.text(), format!("{method} 0"));
        }
    }
}

#[tokio::test]
async fn a_length_that_came_goes_on_and_none_is_made_up() {
    for (method, fields, told) in [
        ("POST", &[][..], Some("0")),
        ("PUT", &[], Some("0")),
        ("PATCH", &[], Some("0")),
        ("GET", &[], None),
        ("DELETE", &[], None),
        ("OPTIONS", &[], None),
        ("GET", &[("content-length", "0")], Some("0")),
        ("HEAD", &[("content-length", "0")], Some("0")),
        ("DELETE", &[("content-length", "0")], Some("0")),
        ("POST", &[("transfer-encoding", "chunked")], Some("0")),
    ] {
        let vendor = Vendor::answering(OK);
        let plan = Plan {
            upstream: Some(vendor.url.clone()),
            ..Plan::default()
        };
        let world = plan.open().await;
        world.send(request(method, "/x", fields, "")).await;
        let head = vendor.head();
        let mut lines = head.lines();
        let length = lines.find_map(|line| line.strip_prefix("content-length: "));
        assert_eq!(length, told, "{method} {fields:?}: {head}");
        assert!(!head.contains("transfer-encoding"), "{method}: {head}");
    }
}
