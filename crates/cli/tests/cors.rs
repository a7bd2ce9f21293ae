//! Pages of other origins call an api: the checks of the Fetch standard, made on
//! the answers of the running server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use countersign_testing::listening::free_port;
use countersign_testing::raw::exchange;
use countersign_testing::recording::RecordingServer;
use countersign_testing::replies::Reply;
use http::Response;
use serde_json::json;
use support::Server;

const PAGE: &str = "https://app.example.com";
const HERE: &str = "127.0.0.1";

/// The value that `get` of the standard's header list has for a name.
fn got(reply: &Reply, name: &str) -> Option<String> {
    let values = reply.headers.get_all(name).iter();
    let values: Vec<_> = values.map(|value| value.to_str().unwrap()).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// <https://fetch.spec.whatwg.org/#concept-cors-check>, for a request without
/// credentials mode.
fn passes_cors_check(reply: &Reply, origin: &str) -> bool {
    got(reply, "access-control-allow-origin").is_some_and(|told| told == "*" || told == origin)
}

/// <https://fetch.spec.whatwg.org/#cors-preflight-fetch>: steps 7 and on.
fn passes_preflight(reply: &Reply, origin: &str, method: &str, headers: &[&str]) -> bool {
    let list = |name: &str| -> Vec<String> {
        let told = got(reply, name).unwrap_or_default();
        told.split(',').map(|it| it.trim().to_owned()).collect()
    };
    let simple = ["GET", "HEAD", "POST"].contains(&method);
    let methods = list("access-control-allow-methods");
    let granted = list("access-control-allow-headers");
    // A wildcard does not cover Authorization.
    let is_granted = |name: &&str| granted.iter().any(|it| it.eq_ignore_ascii_case(name));
    passes_cors_check(reply, origin)
        && reply.status.is_success()
        && (simple || methods.iter().any(|it| it == method || it == "*"))
        && headers.iter().all(is_granted)
}

fn exposes(reply: &Reply, name: &str) -> bool {
    let told = got(reply, "access-control-expose-headers").unwrap_or_default();
    told.split(',')
        .any(|it| it.trim().eq_ignore_ascii_case(name))
}

fn varies(reply: &Reply) -> bool {
    let told = got(reply, "vary").unwrap_or_default();
    told.split(',')
        .any(|it| it.trim().eq_ignore_ascii_case("origin"))
}

/// An API that lets every page in, with credentials.
fn generous_api() -> RecordingServer {
    RecordingServer::start(|_| {
        let let_in = Response::builder()
            .header("access-control-allow-origin", "https://evil.example")
            .header("access-control-allow-credentials", "true")
            .header("access-control-expose-headers", "x-inner")
            .header("vary", "accept");
        let_in.body("ok".into()).unwrap()
    })
}

fn configuration(upstream: &str, cors: &str) -> String {
    format!(
        "[apis.gift]\ndialect = 'mypopup'\ncors = {cors}\nguards = ['/api/v1/*']\n\
         upstream = '{upstream}'\n[[apis.gift.routes]]\npath = '/api/v1/public'\n\
         access = 'public'\n"
    )
}

async fn preflight(server: &Server, path: &str, origin: &str, method: &str) -> Reply {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", method),
        (
            "access-control-request-headers",
            "authorization,content-type",
        ),
    ];
    server.send(HERE, "OPTIONS", path, &headers, "").await
}

#[tokio::test]
async fn a_page_logs_in_calls_and_reads_what_it_is_told() {
    let api = generous_api();
    let server = Server::start(&configuration(&api.url, &format!("['{PAGE}']")));
    for (path, method) in [
        ("/auth/login", "POST"),
        ("/auth/logout", "POST"),
        ("/api/v1/x", "PUT"),
        ("/api/v1/../x", "DELETE"),
        ("/nowhere", "GET"),
    ] {
        let told = preflight(&server, path, PAGE, method).await;
        let asked = ["authorization", "content-type"];
        assert!(passes_preflight(&told, PAGE, method, &asked), "{path}");
        assert!(varies(&told), "{path}");
    }
    let account = server.account("gift", "page", &[]);
    let body = json!({ "username": account.login, "password": account.secret }).to_string();
    let sent = [("origin", PAGE), ("content-type", "application/json")];
    let login = server.send(HERE, "POST", "/auth/login", &sent, &body).await;
    assert_eq!(login.status, 200, "{}", login.text());
    assert!(passes_cors_check(&login, PAGE) && varies(&login));
    let token = login.json()["data"]["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let bearer = format!("Bearer {token}");
    let sent = [("origin", PAGE), ("authorization", &*bearer)];
    let answer = server.send(HERE, "GET", "/api/v1/x", &sent, "").await;
    assert_eq!((answer.status.as_u16(), &*answer.text()), (200, "ok"));
    assert!(passes_cors_check(&answer, PAGE) && varies(&answer));
    for (name, value) in [
        ("access-control-allow-origin", Some(PAGE)),
        ("access-control-allow-credentials", None),
        ("vary", Some("accept, Origin")),
    ] {
        assert_eq!(got(&answer, name).as_deref(), value, "{name}");
    }
    assert!(!exposes(&answer, "x-inner"));
}

#[tokio::test]
async fn a_page_can_read_every_refusal() {
    let server = Server::start(&configuration("http://127.0.0.1:1", &format!("['{PAGE}']")));
    let origin = ("origin", PAGE);
    let json = ("content-type", "application/json");
    let large = "x".repeat(200_000);
    for (method, path, headers, body, status) in [
        ("GET", "/api/v1/x", vec![origin], "", 401),
        ("GET", "/api/v1/public", vec![origin], "", 502),
        ("TRACE", "/api/v1/public", vec![origin], "", 405),
        ("GET", "/api/v1/..%3f/x", vec![origin], "", 400),
        ("POST", "/auth/login", vec![origin, json], "{}", 400),
        ("POST", "/auth/login", vec![origin, json], &large, 413),
        ("GET", "/auth/login", vec![origin], "", 405),
        ("GET", "/nowhere", vec![origin], "", 404),
    ] {
        let told = server.send(HERE, method, path, &headers, body).await;
        assert_eq!(told.status.as_u16(), status, "{method} {path}");
        assert!(passes_cors_check(&told, PAGE), "{method} {path}");
        for name in [
            "X-Countersign-Refusal",
            "Retry-After",
            "RateLimit",
            "RateLimit-Policy",
        ] {
            assert!(exposes(&told, name), "{method} {path} {name}");
        }
        assert!(told.headers.contains_key("x-countersign-refusal"));
    }
}

#[tokio::test]
async fn a_page_can_read_what_no_service_saw_where_its_api_is_clear() {
    let limits = "[server]\nrequest_timeout = '1s'\n";
    let (_silent, address) = free_port();
    let silent = format!("http://{address}");
    let gift = configuration(&silent, &format!("['{PAGE}']"));
    let server = Server::start(&format!("{limits}{gift}"));
    let public = "/api/v1/public";
    let long = "x".repeat(9000);
    let longer = format!("X: {}\r\n", "x".repeat(40_000));
    let many = "X: 1\r\n".repeat(110);
    let of = |origin: &str| format!("Origin: {origin}\r\n");
    for (target, fields, status, told) in [
        (public, of(PAGE), 503, true),
        (&*format!("{public}?{long}"), of(PAGE), 414, true),
        ("/api/v1/a^b", of(PAGE), 400, true),
        (public, of(PAGE) + &longer, 431, true),
        (public, of(PAGE) + &many, 431, true),
        (public, of(PAGE) + "Content-Length: x\r\n", 400, true),
        ("/api/v1/a^b", of("https://evil.example"), 400, false),
        (public, of("https://evil.example"), 503, false),
        ("/api/v1/a^b", String::new(), 400, false),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: h\r\n{fields}Connection: close\r\n\r\n");
        let answer = exchange(server.address(), head).await;
        let case = format!("{} {status}: {answer}", &target[..target.len().min(20)]);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{case}");
        assert!(answer.contains("x-countersign-refusal: "), "{case}");
        let allowed = format!("access-control-allow-origin: {PAGE}\r\n");
        assert_eq!(answer.contains(&allowed), told, "{case}");
        assert_eq!(answer.contains("access-control-"), told, "{case}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_is_not_let_in() {
    let server = Server::start(&configuration("http://127.0.0.1:1", &format!("['{PAGE}']")));
    for origin in ["https://evil.example", "null", "http://app.example.com"] {
        for path in ["/auth/login", "/api/v1/x"] {
            let told = preflight(&server, path, origin, "POST").await;
            assert_eq!(told.status, 403, "{origin} {path}");
            assert!(!passes_cors_check(&told, origin), "{origin} {path}");
            assert!(varies(&told));
        }
        let sent = [("origin", origin)];
        let told = server.send(HERE, "GET", "/api/v1/x", &sent, "").await;
        assert_eq!(told.status, 401, "it is judged as any other");
        assert!(!passes_cors_check(&told, origin) && varies(&told));
    }
    let twice = [("origin", PAGE), ("origin", PAGE)];
    let told = server.send(HERE, "GET", "/api/v1/x", &twice, "").await;
    assert_eq!(got(&told, "access-control-allow-origin"), None);
    assert!(
        server.log().contains("reason=\"origin_denied\""),
        "{}",
        server.log()
    );
}

#[tokio::test]
async fn any_origin_may_be_let_in_and_without_cors_none_is() {
    let any = Server::start(&configuration("http://127.0.0.1:1", "['*']"));
    let told = preflight(&any, "/api/v1/x", PAGE, "PUT").await;
    assert!(passes_preflight(&told, PAGE, "PUT", &["authorization"]));
    let told = any.send(HERE, "GET", "/api/v1/x", &[], "").await;
    assert_eq!(
        got(&told, "access-control-allow-origin").as_deref(),
        Some("*")
    );
    assert!(!varies(&told), "it is the same for every page");
    let none = Server::start(&configuration("http://127.0.0.1:1", "[]"));
    for path in ["/auth/login", "/api/v1/x"] {
        let told = preflight(&none, path, PAGE, "POST").await;
        assert!(!told.status.is_success());
        assert!(!passes_cors_check(&told, PAGE) && !varies(&told));
    }
}
