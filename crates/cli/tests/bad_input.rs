//! Bad input at every dialect's endpoints: each gets the dialect's own refusal,
//! changes nothing, and leaves the server serving.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use std::net::SocketAddr;

use countersign_testing::raw::exchange;
use countersign_testing::replies::{Reply, request, send};
use serde_json::{Value, json};
use support::{Account, Demo};

/// A vendor as the tests need it.
struct Vendor {
    api: &'static str,
    login: &'static str,
    refresh: &'static str,
    logout: Option<&'static str>,
    guarded: String,
    account: Account,
}

fn vendors(demo: &Demo) -> [Vendor; 3] {
    let apirone = demo.account("apirone", "apr-");
    [
        Vendor {
            api: "b2binpay",
            login: "/token/",
            refresh: "/token/refresh/",
            logout: None,
            guarded: "/deposit/".to_owned(),
            account: demo.account("b2binpay", "demo"),
        },
        Vendor {
            api: "mypopup",
            login: "/auth/login",
            refresh: "/auth/refresh",
            logout: Some("/auth/logout"),
            guarded: "/api/v1/products".to_owned(),
            account: demo.account("mypopup", "demo"),
        },
        Vendor {
            api: "apirone",
            login: "/api/v2/auth/login",
            refresh: "/api/v2/auth/refresh-token",
            logout: Some("/api/v2/auth/logout"),
            guarded: format!("/api/v2/accounts/{}/callback", apirone.login),
            account: apirone,
        },
    ]
}

impl Vendor {
    fn login_body(&self) -> Value {
        let Account { login, secret, .. } = &self.account;
        match self.api {
            "b2binpay" => json!({ "data": { "type": "auth-token",
                "attributes": { "login": login, "password": secret } } }),
            "mypopup" => json!({ "username": login, "password": secret }),
            _ => json!({ "login": login, "password": secret }),
        }
    }

    fn media(&self) -> &'static str {
        if self.api == "b2binpay" {
            "application/vnd.api+json"
        } else {
            "application/json"
        }
    }

    async fn log_in(&self, to: SocketAddr) -> (String, String) {
        let reply = self
            .post(to, self.login, self.login_body().to_string())
            .await;
        assert_eq!(reply.status, 200, "{}: {}", self.api, reply.text());
        let reply = reply.json();
        let at = |pointer: &str| reply.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        match self.api {
            "b2binpay" => (
                at("/data/attributes/access"),
                at("/data/attributes/refresh"),
            ),
            "mypopup" => (at("/data/access_token"), at("/data/refresh_token")),
            _ => (at("/access-token"), at("/refresh-token")),
        }
    }

    async fn post(&self, to: SocketAddr, target: &str, body: impl Into<bytes::Bytes>) -> Reply {
        send(
            to,
            request("POST", target, &[("content-type", self.media())], body),
        )
        .await
    }

    async fn refresh(&self, to: SocketAddr, token: &str) -> Reply {
        let body = match self.api {
            "b2binpay" => json!({ "data": { "type": "auth-token",
                "attributes": { "refresh": token } } }),
            "mypopup" => json!({ "refresh_token": token }),
            _ => {
                let bearer = format!("Bearer {token}");
                let headers = [("authorization", bearer.as_str())];
                return send(to, request("POST", self.refresh, &headers, "")).await;
            }
        };
        self.post(to, self.refresh, body.to_string()).await
    }

    async fn call(&self, to: SocketAddr, token: &str) -> Reply {
        let bearer = format!("Bearer {token}");
        send(
            to,
            request("GET", &self.guarded, &[("authorization", &bearer)], ""),
        )
        .await
    }

    /// Asserts that a refusal is spelled as this vendor spells refusals.
    fn spells(&self, reply: &Reply, status: u16, what: &str) {
        assert_eq!(
            reply.status.as_u16(),
            status,
            "{} {what}: {}",
            self.api,
            reply.text()
        );
        let body = reply.json();
        let told = match self.api {
            "b2binpay" => body.pointer("/errors/0/status") == Some(&json!(status.to_string())),
            "mypopup" => {
                let members = ["/error/name", "/error/code", "/error/message"];
                body.get("success").is_none()
                    && members
                        .iter()
                        .all(|it| body.pointer(it).is_some_and(Value::is_string))
            }
            _ => body["message"].is_string() && body.as_object().unwrap().len() == 1,
        };
        assert!(told, "{} {what}: {body}", self.api);
        assert_eq!(
            reply.header("x-countersign-refusal").len(),
            20,
            "{} {what}",
            self.api
        );
    }
}

/// How many rows there are of everything, as the admin API counts them.
async fn stats(demo: &Demo) -> Value {
    let bearer = format!("Bearer {}", demo.admin_key());
    let asked = request("GET", "/admin/v1/stats", &[("authorization", &bearer)], "");
    let reply = send(demo.admin(), asked).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let mut stats = reply.json();
    // Failed logins leave no row, but the database file has its own ways.
    stats.as_object_mut().unwrap().remove("database_bytes");
    stats
}

/// Bodies that are not a login in any dialect, with what is odd in them.
fn bad_bodies() -> Vec<(&'static str, Vec<u8>)> {
    let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    vec![
        ("empty", b"".to_vec()),
        ("white space", b" \n ".to_vec()),
        ("no JSON", b"login=demo&password=x".to_vec()),
        ("cut off", br#"{"data": {"type": "auth-tok"#.to_vec()),
        ("a number", b"1".to_vec()),
        ("null", b"null".to_vec()),
        ("an array", b"[]".to_vec()),
        ("an empty object", b"{}".to_vec()),
        ("two documents", b"{}{}".to_vec()),
        ("deep", nested(100)),
        ("very deep", nested(30_000)),
        (
            "not UTF-8",
            b"{\"login\": \"\xff\xfe\", \"password\": \"x\"}".to_vec(),
        ),
        (
            "UTF-16",
            "{\"login\":\"x\"}"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect(),
        ),
        (
            "a lone surrogate",
            br#"{"login": "\ud800", "username": "\ud800"}"#.to_vec(),
        ),
        ("NaN", b"{\"login\": NaN}".to_vec()),
        (
            "a member twice",
            br#"{"login": "a", "login": "b", "username": "a", "username": "b", "password": "x",
                "data": {}, "data": {}}"#
                .to_vec(),
        ),
        (
            "wrong types",
            br#"{"login": 1, "username": ["demo"], "password": {"x": 1},
                "data": {"type": "auth-token", "attributes": {"login": 1, "password": null}}}"#
                .to_vec(),
        ),
    ]
}

#[tokio::test]
async fn a_body_that_is_no_login_is_refused_in_the_dialects_words_and_changes_nothing() {
    let demo = Demo::start();
    let to = demo.address();
    let before = stats(&demo).await;
    for vendor in vendors(&demo) {
        for (what, body) in bad_bodies() {
            let reply = vendor.post(to, vendor.login, body).await;
            vendor.spells(&reply, 400, what);
        }
        let huge = vec![b' '; 1 << 20];
        vendor.spells(
            &vendor.post(to, vendor.login, huge).await,
            413,
            "a body of 1 MiB",
        );
    }
    assert_eq!(stats(&demo).await, before);
    for vendor in vendors(&demo) {
        vendor.log_in(to).await;
    }
}

#[tokio::test]
async fn a_body_that_is_no_refresh_is_refused_in_the_dialects_words_and_changes_nothing() {
    let demo = Demo::start();
    let to = demo.address();
    // Apirone refreshes by a header; its bodies are not looked at.
    for vendor in vendors(&demo).into_iter().filter(|it| it.api != "apirone") {
        let (_, refresh) = vendor.log_in(to).await;
        let before = stats(&demo).await;
        for (what, body) in bad_bodies() {
            let reply = vendor.post(to, vendor.refresh, body).await;
            vendor.spells(&reply, 400, what);
        }
        let huge = vec![b' '; 1 << 20];
        vendor.spells(
            &vendor.post(to, vendor.refresh, huge).await,
            413,
            "a body of 1 MiB",
        );
        assert_eq!(stats(&demo).await, before);
        assert_eq!(
            vendor.refresh(to, &refresh).await.status,
            200,
            "{}",
            vendor.api
        );
    }
}

#[tokio::test]
async fn a_logout_with_a_token_that_is_not_ours_ends_nothing() {
    let demo = Demo::start();
    let to = demo.address();
    for vendor in vendors(&demo) {
        let Some(logout) = vendor.logout else {
            continue;
        };
        let (access, refresh) = vendor.log_in(to).await;
        let mut bad = spoiled(&access);
        bad.push(("a refresh token", refresh));
        for (what, token) in bad {
            let bearer = format!("Bearer {token}");
            let asked = request("POST", logout, &[("authorization", &bearer)], "");
            vendor.spells(&send(to, asked).await, 401, &format!("logout {what}"));
        }
        vendor.spells(
            &send(to, request("POST", logout, &[], "")).await,
            401,
            "no token",
        );
        assert_eq!(vendor.call(to, &access).await.status, 200, "{}", vendor.api);
    }
}

#[tokio::test]
async fn a_member_that_is_repeated_beside_good_ones_is_refused() {
    let demo = Demo::start();
    for vendor in vendors(&demo) {
        let good = vendor.login_body().to_string();
        let twice = good.replacen('{', "{\"x\":1,\"x\":2,", 1);
        vendor.spells(
            &vendor.post(demo.address(), vendor.login, twice).await,
            400,
            "twice",
        );
        let once = good.replacen('{', "{\"x\":1,", 1);
        let reply = vendor.post(demo.address(), vendor.login, once).await;
        assert_eq!(
            reply.status,
            200,
            "unknown members are ignored: {}",
            reply.text()
        );
    }
}

#[tokio::test]
async fn a_wrong_method_is_405_with_the_right_one() {
    let demo = Demo::start();
    for vendor in vendors(&demo) {
        let paths = [Some(vendor.login), Some(vendor.refresh), vendor.logout];
        for path in paths.into_iter().flatten() {
            for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
                let reply = send(demo.address(), request(method, path, &[], "")).await;
                vendor.spells(&reply, 405, &format!("{method} {path}"));
                assert_eq!(reply.header("allow"), "POST");
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_media_type_is_refused() {
    let demo = Demo::start();
    for vendor in vendors(&demo) {
        for media in [
            "text/plain",
            "application/xml",
            "multipart/form-data",
            "nonsense",
            "a/b/c",
        ] {
            let body = vendor.login_body().to_string();
            let asked = request("POST", vendor.login, &[("content-type", media)], body);
            vendor.spells(&send(demo.address(), asked).await, 400, media);
        }
    }
}

#[tokio::test]
async fn a_token_that_is_not_ours_is_refused_everywhere() {
    let demo = Demo::start();
    let to = demo.address();
    let vendors = vendors(&demo);
    let mut tokens = Vec::new();
    for vendor in &vendors {
        tokens.push(vendor.log_in(to).await);
    }
    let before = stats(&demo).await;
    for (vendor, (access, refresh)) in vendors.iter().zip(&tokens) {
        let refresh_status = if vendor.api == "apirone" { 400 } else { 401 };
        for (what, bad_access) in spoiled(access) {
            vendor.spells(
                &vendor.call(to, &bad_access).await,
                401,
                &format!("access {what}"),
            );
        }
        for (what, bad_refresh) in spoiled(refresh) {
            let reply = vendor.refresh(to, &bad_refresh).await;
            vendor.spells(&reply, refresh_status, &format!("refresh {what}"));
        }
        vendor.spells(
            &vendor.call(to, refresh).await,
            401,
            "a refresh token as bearer",
        );
        let swapped = vendor.refresh(to, access).await;
        vendor.spells(&swapped, refresh_status, "an access token as refresh token");
        for (other, (foreign_access, foreign_refresh)) in vendors.iter().zip(&tokens) {
            if other.api != vendor.api {
                vendor.spells(
                    &vendor.call(to, foreign_access).await,
                    401,
                    "of another api",
                );
                let reply = vendor.refresh(to, foreign_refresh).await;
                vendor.spells(&reply, refresh_status, "of another api");
            }
        }
    }
    assert_eq!(stats(&demo).await, before);
    for (vendor, (access, refresh)) in vendors.iter().zip(&tokens) {
        assert_eq!(vendor.call(to, access).await.status, 200, "{}", vendor.api);
        assert_eq!(
            vendor.refresh(to, refresh).await.status,
            200,
            "{}",
            vendor.api
        );
    }
}

/// The same token, spoiled; each is still a b64token, so that it reaches the
/// verifier.
fn spoiled(token: &str) -> Vec<(&'static str, String)> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        panic!("{token}")
    };
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    vec![
        ("cut off", token[..token.len() - 1].to_owned()),
        ("without signature", format!("{header}.{claims}.")),
        ("half", token[..token.len() / 2].to_owned()),
        ("padded", format!("{token}=")),
        ("longer", format!("{token}A")),
        ("parts swapped", format!("{claims}.{header}.{signature}")),
        ("alg none", format!("{none}.{claims}.")),
        (
            "alg none with the signature",
            format!("{none}.{claims}.{signature}"),
        ),
        ("four parts", format!("{token}.{signature}")),
        ("one word", "token".to_owned()),
        ("8 KiB of dots", ".".repeat(8_000)),
        ("8 KiB of letters", "A".repeat(8_000)),
    ]
}

#[tokio::test]
async fn a_path_that_two_parsers_could_read_differently_is_refused() {
    let demo = Demo::start();
    let apirone = &vendors(&demo)[2];
    let (access, _) = apirone.log_in(demo.address()).await;
    let bearer = format!("Bearer {access}");
    let (login, other) = (
        &apirone.account.login,
        demo.account("apirone", "btc-").login,
    );
    let ambiguous = [
        format!("/api/v2/accounts/{login}/../../wallets/{other}/callback"),
        format!("/api/v2/accounts/{login}/%2e%2e/x"),
        format!("/api/v2/accounts/{login}/%2E%2E%2fx"),
        format!("/api/v2/accounts/{login}/%2fcallback"),
        format!("/api//v2/accounts/{login}/.//callback"),
        format!("/api/v2/accounts/{login}/callback%00"),
        format!("/api/v2/accounts/{login}/callback%ff"),
        format!("/api/v2/accounts/{login}/a%5cb"),
        format!("/api/v2/accounts/{login}/callback;x=1"),
    ];
    for path in ambiguous {
        let asked = request("GET", &path, &[("authorization", &bearer)], "");
        let reply = send(demo.address(), asked).await;
        assert!(
            matches!(reply.status.as_u16(), 400 | 404),
            "{path}: {}",
            reply.text()
        );
    }
}

#[tokio::test]
async fn bytes_that_are_no_http_close_their_connection_and_no_other() {
    let demo = Demo::start();
    let to = demo.address();
    let cases: [&[u8]; 6] = [
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ];
    for bytes in cases {
        let answer = exchange(to, bytes).await;
        assert!(
            answer.is_empty()
                || answer.starts_with("HTTP/1.1 4")
                || answer.starts_with("HTTP/1.1 5"),
            "{answer}"
        );
    }
    vendors(&demo)[1].log_in(to).await;
}
