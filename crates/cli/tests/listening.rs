//! Who is believed about a client's address, where apis are found on a
//! listener, and TLS, each on the running server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use countersign_testing::certificates::MadeCertificate;
use countersign_testing::raw::exchange;
use countersign_testing::waiting::eventually;
use serde_json::json;
use support::{Account, Server};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const API: &str = "[apis.gift]\ndialect = 'mypopup'\n";

/// A partner that may call from 192.0.2.0/24 only.
fn far_partner(server: &Server) -> Account {
    server.account("gift", "far", &["--allow", "192.0.2.0/24"])
}

fn body(account: &Account) -> String {
    json!({ "username": account.login, "password": account.secret }).to_string()
}

async fn login(server: &Server, from: &str, told: &[(&str, &str)], body: &str) -> u16 {
    let headers = [&JSON, told].concat();
    let reply = server
        .send(from, "POST", "/auth/login", &headers, body)
        .await;
    reply.status.as_u16()
}

fn behind(proxies: &str, source: &str) -> Server {
    Server::start(&format!(
        "[server]\ntrusted_proxies = ['{proxies}']\nclient_address = '{source}'\n{API}"
    ))
}

#[tokio::test]
async fn a_trusted_proxy_tells_the_address_and_nobody_else_does() {
    let server = behind("127.0.0.9", "x-forwarded-for");
    let far = body(&far_partner(&server));
    let told = [("x-forwarded-for", "198.51.100.1, 192.0.2.7")];
    assert_eq!(login(&server, "127.0.0.9", &told, &far).await, 200);
    assert_eq!(
        login(&server, "127.0.0.1", &told, &far).await,
        403,
        "no proxy"
    );
    let spoofed = [("x-forwarded-for", "192.0.2.7, 198.51.100.1")];
    assert_eq!(login(&server, "127.0.0.9", &spoofed, &far).await, 403);
    for odd in ["unknown", "192.0.2.7, ", "192.0.2.7.1"] {
        let told = [("x-forwarded-for", odd)];
        assert_eq!(login(&server, "127.0.0.9", &told, &far).await, 403, "{odd}");
    }
    assert_eq!(
        login(&server, "127.0.0.9", &[], &far).await,
        403,
        "it told nothing"
    );
    assert!(server.log().contains("address_unreadable"));
}

#[tokio::test]
async fn forwarded_is_read_where_it_is_configured() {
    let server = behind("127.0.0.0/8", "forwarded");
    let far = body(&far_partner(&server));
    let told = [("forwarded", "for=\"192.0.2.7:4711\";proto=https")];
    assert_eq!(login(&server, "127.0.0.9", &told, &far).await, 200);
    let other = [("x-forwarded-for", "192.0.2.7")];
    assert_eq!(login(&server, "127.0.0.9", &other, &far).await, 403);
}

#[tokio::test]
async fn the_proxy_protocol_tells_the_address_before_http() {
    let server = behind("127.0.0.1", "proxy-protocol");
    let far = body(&far_partner(&server));
    let mut sent = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    sent.extend([192, 0, 2, 7, 127, 0, 0, 1, 0x10, 0, 0x1f, 0x90]);
    let request = format!(
        "POST /auth/login HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{far}",
        far.len()
    );
    sent.extend(request.as_bytes());
    assert!(
        exchange(server.address(), &sent)
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert_eq!(
        exchange(server.address(), request).await,
        "",
        "without the header: closed"
    );
}

#[tokio::test]
async fn apis_are_told_apart_by_host_and_by_prefix() {
    let server = Server::start(
        "[apis.a]\ndialect = 'mypopup'\nhosts = ['a.test']\n\
         [apis.b]\ndialect = 'mypopup'\nhosts = ['b.test']\nprefix = '/v9'\n",
    );
    let (one, other) = (server.account("a", "p", &[]), server.account("b", "p", &[]));
    let login = async |host: &str, path: &str, account: &Account| {
        let headers = [JSON[0], ("host", host)];
        let body = body(account);
        let reply = server.send("127.0.0.1", "POST", path, &headers, &body);
        reply.await.status.as_u16()
    };
    assert_eq!(login("a.test", "/auth/login", &one).await, 200);
    assert_eq!(login("A.TEST:8080", "/auth/login", &one).await, 200);
    assert_eq!(login("a.test", "/auth/login", &other).await, 401);
    assert_eq!(login("b.test", "/v9/auth/login", &other).await, 200);
    for (host, path) in [
        ("b.test", "/auth/login"),
        ("b.test", "/v9%2fauth/login"),
        ("b.test", "/v91/auth/login"),
        ("a.test", "/v9/auth/login"),
        ("c.test", "/auth/login"),
    ] {
        assert_eq!(login(host, path, &other).await, 404, "{host} {path}");
    }
}

/// Which api alone could be meant spells the refusal; nobody's path is a problem.
#[tokio::test]
async fn nothing_is_told_in_the_spelling_of_the_one_api_that_it_could_be() {
    const PROBLEM: &str = "application/problem+json";
    const JSON_API: &str = "application/vnd.api+json";
    let missing = async |server: &Server, host: &str, path: &str| {
        let reply = server
            .send("127.0.0.1", "GET", path, &[("host", host)], "")
            .await;
        assert_eq!(reply.status.as_u16(), 404, "{host} {path}");
        assert!(!reply.header("x-countersign-refusal").is_empty());
        reply.header("content-type").to_owned()
    };
    let alone = Server::start("[apis.pay]\ndialect = 'b2binpay'\nhosts = ['pay.test']\n");
    for path in ["/nothing", "/", "//", "/token/x", "/.well-known/x"] {
        assert_eq!(missing(&alone, "pay.test", path).await, JSON_API, "{path}");
    }
    assert_eq!(missing(&alone, "else.test", "/nothing").await, PROBLEM);
    let keys = "/.well-known/countersign/none/jwks.json";
    assert_eq!(missing(&alone, "pay.test", keys).await, PROBLEM);

    let several = Server::start(
        "[apis.gifts]\ndialect = 'mypopup'\n\
         [apis.coins]\ndialect = 'apirone'\n\
         [apis.pay]\ndialect = 'b2binpay'\nprefix = '/pay'\n",
    );
    for (path, media) in [
        ("/nothing", PROBLEM),
        ("/", PROBLEM),
        ("/pays", PROBLEM),
        ("/pay", JSON_API),
        ("/pay/nothing", JSON_API),
        ("//pay//nothing", JSON_API),
    ] {
        assert_eq!(missing(&several, "any.test", path).await, media, "{path}");
    }
}

/// What a server answers to `GET /` over TLS, where `trusted` certifies it;
/// empty if it does not.
fn get_over_tls(server: &Server, trusted: &Path) -> String {
    let mut client = Command::new("openssl")
        .args([
            "s_client",
            "-quiet",
            "-verify_return_error",
            "-servername",
            "h",
        ])
        .args(["-connect", &server.address().to_string(), "-CAfile"])
        .arg(trusted)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    // If the handshake failed, nobody reads it.
    let _ = input.write_all(request);
    String::from_utf8(client.wait_with_output().unwrap().stdout).unwrap()
}

#[tokio::test]
async fn a_renewed_certificate_is_served_and_one_that_vanished_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    MadeCertificate::make(directory.path(), "now", 2);
    MadeCertificate::make(directory.path(), "next", 2);
    let tls = "[server]\ntls_certificate = 'now.pem'\ntls_key = 'now.key'\n";
    let server = Server::start_in(directory, &format!("{tls}{API}"));
    assert!(server.api.starts_with("https://"));
    let (old, next) = (server.file("old.pem"), server.file("next.pem"));
    std::fs::copy(server.file("now.pem"), &old).unwrap();
    let serves = |trusted: &Path| get_over_tls(&server, trusted).starts_with("HTTP/1.1 404");
    assert!(serves(&old) && !serves(&next));

    std::fs::remove_file(server.file("now.key")).unwrap();
    let configuration = format!("{tls}{API}");
    server
        .reload(&configuration, "the certificate cannot be read")
        .await;
    assert!(serves(&old), "the old one stays");

    std::fs::copy(server.file("next.key"), server.file("now.key")).unwrap();
    server
        .reload(&configuration, "the certificate cannot be read")
        .await;
    assert!(serves(&old), "half of a renewal is none");

    std::fs::copy(&next, server.file("now.pem")).unwrap();
    server
        .reload(&configuration, "the certificate was read again")
        .await;
    assert!(serves(&next) && !serves(&old));
}

#[tokio::test]
async fn a_key_of_a_certificate_that_others_can_read_is_warned_of() {
    let told = "others can read a certificate's private key";
    let directory = tempfile::tempdir().unwrap();
    MadeCertificate::make(directory.path(), "api", 2);
    MadeCertificate::make(directory.path(), "admin", 2);
    let open = |file: PathBuf, mode| {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(directory.path().join("admin.key"), 0o640);
    let configuration = format!(
        "[server]\ntls_certificate = 'api.pem'\ntls_key = 'api.key'\n\
         admin_tls_certificate = 'admin.pem'\nadmin_tls_key = 'admin.key'\n{API}"
    );
    let server = Server::start_in(directory, &configuration);
    let warned = |server: &Server, key: &str| {
        let log = server.log();
        let lines = log.lines().filter(|it| it.contains(told));
        lines.filter(|it| it.contains(key)).count()
    };
    assert_eq!(warned(&server, "admin.key"), 1, "{}", server.log());
    assert_eq!(warned(&server, "api.key"), 0, "{}", server.log());
    open(server.file("api.key"), 0o604);
    server.reload(&configuration, told).await;
    eventually("the other key is told, too", async || {
        // Twice, where the files are looked at between the change and the signal.
        warned(&server, "api.key") >= 1
    })
    .await;
}
