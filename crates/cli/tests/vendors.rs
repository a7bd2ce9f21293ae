//! What the vendors document, done against the demo: log in, call a guarded
//! endpoint, refresh, log out, be refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_testing::raw::exchange;
use countersign_testing::recording::RecordingServer;
use countersign_testing::replies::{Reply, request, send, send_from};
use http::Response;
use serde_json::{Value, json};
use support::{Account, Demo, Server};

const JSON_API: &str = "application/vnd.api+json";

async fn post(to: SocketAddr, target: &str, media: &str, body: Value) -> Reply {
    send(
        to,
        request("POST", target, &[("content-type", media)], body.to_string()),
    )
    .await
}

async fn get(to: SocketAddr, target: &str, token: &str) -> Reply {
    let bearer = format!("Bearer {token}");
    send(
        to,
        request("GET", target, &[("authorization", &bearer)], ""),
    )
    .await
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn header(token: &str) -> Value {
    let part = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("{pointer} in {value}"))
}

async fn b2binpay_login(to: SocketAddr, account: &Account) -> Reply {
    let attributes = json!({ "login": account.login, "password": account.secret });
    let body = json!({ "data": { "type": "auth-token", "attributes": attributes } });
    post(to, "/token/", JSON_API, body).await
}

async fn b2binpay_refresh(to: SocketAddr, token: &str) -> Reply {
    let body = json!({ "data": { "type": "auth-token", "attributes": { "refresh": token } } });
    post(to, "/token/refresh/", JSON_API, body).await
}

#[tokio::test]
async fn b2binpay_v2_from_login_to_a_refused_old_token() {
    let demo = Demo::start();
    let (to, account) = (demo.address(), demo.account("b2binpay", "demo"));

    let login = b2binpay_login(to, &account).await;
    assert_eq!(login.status, 200, "{}", login.text());
    assert_eq!(login.header("content-type"), JSON_API);
    let body = login.json();
    assert_eq!(body["data"]["type"], "auth-token");
    assert_eq!(body["data"]["id"], Value::Null);
    assert_eq!(body["data"]["attributes"]["is_2fa_confirmed"], false);
    let access = text(&body, "/data/attributes/access");
    let refresh = text(&body, "/data/attributes/refresh");
    let expires = text(&body, "/data/attributes/access_expired_at");
    assert_eq!(
        expires.len(),
        "2024-06-12T18:02:44.405243Z".len(),
        "{expires}"
    );
    assert_eq!(header(access), json!({ "alg": "HS256", "typ": "JWT" }));
    assert_eq!(claims(access)["token_type"], "access");
    assert_eq!(claims(access)["user_id"], account.client_id);
    assert_eq!(
        claims(access)["exp"].as_i64().unwrap() - claims(access)["iat"].as_i64().unwrap(),
        180
    );
    assert_eq!(claims(access)["jti"].as_str().unwrap().len(), 32);
    let time = text(&body, "/meta/time");
    assert_eq!(
        text(&body, "/meta/sign"),
        signature(&account, time, refresh)
    );

    for target in ["/deposit/", "/deposit", "/payout/7"] {
        let called = get(to, target, access).await;
        assert_eq!(called.status, 200, "{target}: {}", called.text());
        assert_eq!(called.json()["path"], target);
        assert_eq!(
            called.json()["headers"]["x-countersign-account"],
            account.client_id.to_string()
        );
        assert_eq!(called.json()["headers"]["authorization"], Value::Null);
    }

    let refreshed = b2binpay_refresh(to, refresh).await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.text());
    let refreshed = refreshed.json();
    assert_eq!(refreshed.get("meta"), None);
    let next = text(&refreshed, "/data/attributes/access");
    assert_eq!(get(to, "/deposit/", next).await.status, 200);
    assert_eq!(
        get(to, "/deposit/", access).await.status,
        200,
        "old access tokens live on"
    );

    let second = b2binpay_refresh(to, text(&refreshed, "/data/attributes/refresh")).await;
    assert_eq!(second.status, 200, "{}", second.text());
    let reused = b2binpay_refresh(to, refresh).await;
    assert_eq!(reused.status, 401);
    assert_eq!(
        reused.json(),
        json!({ "errors": [{
            "detail": "No active account found with the given credentials",
            "status": "401", "source": { "pointer": "/data" }, "code": "2007",
        }] })
    );
    assert_eq!(
        get(to, "/deposit/", next).await.status,
        401,
        "a theft ends the session at once"
    );
    let metrics = send(demo.admin(), request("GET", "/metrics", &[], ""))
        .await
        .text();
    let counted =
        "countersign_session_changes_total{api=\"b2binpay\",change=\"ended_for_reuse\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
}

/// The document: lower-case hex of HMAC-SHA256 under the raw SHA-256 of login
/// and password, over time and refresh token.
fn signature(account: &Account, time: &str, refresh: &str) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let run = |arguments: &[&str], input: &str| {
        let mut child = Command::new("openssl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("openssl computes the signature a second time");
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        output.trim().rsplit(' ').next().unwrap().to_owned()
    };
    let key = run(
        &["dgst", "-sha256"],
        &format!("{}{}", account.login, account.secret),
    );
    let key = format!("hexkey:{key}");
    run(
        &["dgst", "-sha256", "-mac", "HMAC", "-macopt", &key],
        &format!("{time}{refresh}"),
    )
}

#[tokio::test]
async fn b2binpay_v3_on_the_same_path() {
    let demo = Demo::start();
    let (to, account) = (demo.address(), demo.account("b2binpay", "demo"));
    let attributes = json!({ "client_id": account.login, "client_secret": account.secret });
    let body = json!({ "data": { "type": "auth-token", "attributes": attributes } });
    let login = post(to, "/token/", JSON_API, body).await;
    assert_eq!(login.status, 200, "{}", login.text());
    let body = login.json();
    assert_eq!(body["data"]["id"], "0");
    assert_eq!(body["data"]["attributes"]["token_type"], "Bearer");
    assert!((3_599..=3_600).contains(&body["data"]["attributes"]["expires_in"].as_i64().unwrap()));
    assert_eq!(body["data"]["attributes"].get("refresh"), None);
    let access = text(&body, "/data/attributes/access");
    assert_eq!(header(access)["alg"], "RS256");
    assert!(header(access)["kid"].is_string());
    assert_eq!(get(to, "/wallet/1", access).await.status, 200);
}

#[tokio::test]
async fn b2binpay_takes_what_real_clients_send() {
    let demo = Demo::start();
    let (to, account) = (demo.address(), demo.account("b2binpay", "demo"));
    let attributes = json!({ "login": account.login, "password": account.secret });
    let body = json!({ "data": { "type": "auth-token", "attributes": attributes } }).to_string();
    let stale = ("authorization", "Bearer stale");
    for (target, headers) in [
        ("/token", vec![("content-type", JSON_API)]),
        ("/token/", vec![("content-type", "application/json")]),
        ("/token/", vec![("content-type", JSON_API), stale]),
    ] {
        let login = send(to, request("POST", target, &headers, body.clone())).await;
        assert_eq!(login.status, 200, "{target} {headers:?}: {}", login.text());
    }
}

/// The bytes of a client whose base URL ends in a slash, and which adds `/token/`
/// to it; and of the official shop plugin of Apirone, which adds `/v2/...` to
/// `/api/`.
#[tokio::test]
async fn clients_that_double_a_slash_are_answered() {
    let demo = Demo::start();
    let to = demo.address();
    let account = demo.account("b2binpay", "demo");
    let attributes = json!({ "login": account.login, "password": account.secret });
    let body = json!({ "data": { "type": "auth-token", "attributes": attributes } }).to_string();
    let login = exchange(
        to,
        &format!(
            "POST //token/ HTTP/1.1\r\nHost: {to}\r\nUser-Agent: GuzzleHttp/7\r\n\
             Content-Type: application/vnd.api+json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        ),
    )
    .await;
    assert!(login.starts_with("HTTP/1.1 200"), "{login}");
    assert!(login.contains("is_2fa_confirmed"), "{login}");

    let account = demo.account("apirone", "apr-");
    let (login, key) = (&account.login, &account.secret);
    let body = json!({ "transfer-key": key, "callback": { "url": "http://shop.example" } });
    let body = body.to_string();
    let change = exchange(
        to,
        &format!(
            "PATCH /api//v2/accounts/{login} HTTP/1.1\r\nHost: {to}\r\nAccept: */*\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n\
             {body}",
            body.len()
        ),
    )
    .await;
    assert!(change.starts_with("HTTP/1.1 200"), "{change}");
    assert!(
        change.contains(&format!("\"/api/v2/accounts/{login}\"")),
        "{change}"
    );
    assert!(!change.contains(key.as_str()), "{change}");
}

/// `curl -d` names the form type where the document names none.
#[tokio::test]
async fn the_documents_refresh_works_as_curl_sends_it() {
    let demo = Demo::start();
    let (to, account) = (demo.address(), demo.account("b2binpay", "demo"));
    let login = b2binpay_login(to, &account).await.json();
    let refresh = text(&login, "/data/attributes/refresh");
    let attributes = json!({ "refresh": refresh });
    let body = json!({ "data": { "type": "auth-token", "attributes": attributes } });
    let form = "application/x-www-form-urlencoded";
    let refreshed = post(to, "/token/refresh/", form, body.clone()).await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.text());
    let refused = post(to, "/token/refresh/", "text/plain", body).await;
    assert_eq!(refused.status, 400);
    let refused = refused.json();
    assert_eq!(text(&refused, "/errors/0/code"), "parse_error");
    let detail = text(&refused, "/errors/0/detail");
    assert!(detail.starts_with("Unsupported media type"), "{detail}");
}

#[tokio::test]
async fn b2binpay_v3_has_no_budget_where_v2_has_one() {
    let upstream = RecordingServer::start(|_| Response::default());
    let server = Server::start(&format!(
        "[apis.pay]\ndialect = 'b2binpay'\nguards = ['/deposit/*']\n\
         upstream = '{}'\n",
        upstream.url
    ));
    let (to, account) = (server.address(), server.account("pay", "p", &[]));
    let v2 = b2binpay_login(to, &account).await.json();
    let attributes = json!({ "client_id": account.login, "client_secret": account.secret });
    let body = json!({ "data": { "type": "auth-token", "attributes": attributes } });
    let v3 = post(to, "/token/", JSON_API, body).await.json();
    for (login, bounded) in [(v2, true), (v3, false)] {
        let access = text(&login, "/data/attributes/access");
        let answer = get(to, "/deposit/1", access).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let policy = answer.headers.get("ratelimit-policy");
        assert_eq!(policy.is_some(), bounded, "{policy:?}");
    }
}

#[tokio::test]
async fn b2binpay_spells_its_refusals() {
    let demo = Demo::start();
    let (to, account) = (demo.address(), demo.account("b2binpay", "demo"));
    let wrong = Account {
        secret: "wrong".to_owned(),
        ..account.clone()
    };
    let refused = b2binpay_login(to, &wrong).await;
    assert_eq!(refused.status, 400);
    assert_eq!(text(&refused.json(), "/errors/0/code"), "2006");
    let unknown = Account {
        login: "nobody".to_owned(),
        ..account
    };
    assert_eq!(
        b2binpay_login(to, &unknown).await.body,
        refused.body,
        "one answer for both"
    );
    assert!(!refused.header("x-countersign-refusal").is_empty());

    let missing = send(to, request("GET", "/deposit/", &[], "")).await;
    assert_eq!(missing.status, 401);
    assert_eq!(missing.header("www-authenticate"), "Bearer realm=\"api\"");
    assert_eq!(text(&missing.json(), "/errors/0/code"), "not_authenticated");
    let bad = get(to, "/deposit/", "bad").await;
    assert_eq!(
        text(&bad.json(), "/errors/0/detail"),
        "Given token not valid for any token type"
    );
}

async fn mypopup_login(to: SocketAddr, from: &str, account: &Account) -> Reply {
    let body = json!({ "username": account.login, "password": account.secret }).to_string();
    let login = request(
        "POST",
        "/auth/login",
        &[("content-type", "application/json")],
        body,
    );
    send_from(from, to, login).await.unwrap()
}

#[tokio::test]
async fn mypopup_from_login_to_logout() {
    let demo = Demo::start();
    let (to, account) = (demo.address(), demo.account("mypopup", "demo"));
    let login = mypopup_login(to, "127.0.0.1", &account).await;
    assert_eq!(login.status, 200, "{}", login.text());
    let body = login.json();
    assert_eq!(body["success"], true);
    assert_eq!(body["data"]["client_id"], account.client_id);
    let expires = text(&body, "/data/access_expires_at");
    assert_eq!(expires.len(), "2024-01-15T10:30:00Z".len(), "{expires}");
    let access = text(&body, "/data/access_token");

    let refresh = json!({ "refresh_token": body["data"]["refresh_token"] });
    let refreshed = post(to, "/auth/refresh", "application/json", refresh.clone()).await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.text());
    let refreshed = refreshed.json();
    assert_eq!(refreshed["data"]["client_id"], account.client_id);
    let next = text(&refreshed, "/data/access_token");
    assert_eq!(get(to, "/api/v1/products", next).await.status, 200);

    let other = mypopup_login(to, "127.0.0.1", &account).await.json();
    let other = text(&other, "/data/access_token");
    let bearer = format!("Bearer {access}");
    let logout = request("POST", "/auth/logout", &[("authorization", &bearer)], "");
    let logout = send(to, logout).await;
    let done = json!({ "success": true, "data": { "message": "Successfully logged out" } });
    assert_eq!((logout.status.as_u16(), logout.json()), (200, done));

    for token in [access, next, other] {
        let refused = get(to, "/api/v1/products", token).await;
        assert_eq!(
            refused.status, 401,
            "a logout ends all of the client, at once"
        );
        assert_eq!(
            refused.json(),
            json!({ "error": {
                "name": "UnauthorizedError", "code": "UNAUTHORIZED",
                "message": "Authentication required or failed.",
            } })
        );
    }
    let dead = post(to, "/auth/refresh", "application/json", refresh).await;
    assert_eq!(dead.status, 401);
    assert_eq!(
        text(&dead.json(), "/error/message"),
        "Invalid refresh token"
    );
    assert_eq!(
        mypopup_login(to, "127.0.0.1", &account).await.status,
        200,
        "a new login is good"
    );
}

#[tokio::test]
async fn mypopup_refuses_a_disabled_client_as_a_wrong_password() {
    let demo = Demo::start();
    let (to, disabled) = (demo.address(), demo.account("mypopup", "demo-disabled"));
    let refused = mypopup_login(to, "127.0.0.1", &disabled).await;
    assert_eq!(refused.status, 401);
    assert_eq!(
        text(&refused.json(), "/error/message"),
        "Invalid credentials"
    );
    let wrong = Account {
        secret: "wrong".to_owned(),
        ..demo.account("mypopup", "demo")
    };
    assert_eq!(
        mypopup_login(to, "127.0.0.1", &wrong).await.body,
        refused.body
    );
}

#[tokio::test]
async fn mypopup_lets_an_allowlisted_client_call_from_its_own_address_only() {
    let demo = Demo::start();
    let (to, listed) = (demo.address(), demo.account("mypopup", "demo-allowlisted"));
    let refused = mypopup_login(to, "127.0.0.1", &listed).await;
    assert_eq!(refused.status, 403);
    assert_eq!(
        text(&refused.json(), "/error/message"),
        "IP address not authorized"
    );
    let wrong = Account {
        secret: "wrong".to_owned(),
        ..listed.clone()
    };
    assert_eq!(
        mypopup_login(to, "127.0.0.1", &wrong).await.status,
        401,
        "not without the secret"
    );

    let login = mypopup_login(to, "127.0.0.2", &listed).await;
    assert_eq!(login.status, 200, "{}", login.text());
    let body = login.json();
    let bearer = format!("Bearer {}", text(&body, "/data/access_token"));
    let call = || {
        request(
            "GET",
            "/api/v1/products",
            &[("authorization", bearer.as_str())],
            "",
        )
    };
    assert_eq!(
        send_from("127.0.0.2", to, call()).await.unwrap().status,
        200
    );
    assert_eq!(
        send_from("127.0.0.1", to, call()).await.unwrap().status,
        403
    );
    let refresh = json!({ "refresh_token": body["data"]["refresh_token"] }).to_string();
    let json = [("content-type", "application/json")];
    let refresh = || request("POST", "/auth/refresh", &json, refresh.clone());
    assert_eq!(
        send_from("127.0.0.1", to, refresh()).await.unwrap().status,
        403
    );
    assert_eq!(
        send_from("127.0.0.2", to, refresh()).await.unwrap().status,
        200
    );
    let logout = || {
        request(
            "POST",
            "/auth/logout",
            &[("authorization", bearer.as_str())],
            "",
        )
    };
    assert_eq!(
        send_from("127.0.0.1", to, logout()).await.unwrap().status,
        403
    );
    assert_eq!(
        send_from("127.0.0.2", to, logout()).await.unwrap().status,
        200
    );
}

async fn apirone_login(to: SocketAddr, account: &Account) -> Reply {
    let body = json!({ "login": account.login, "password": account.secret });
    post(
        to,
        "/api/v2/auth/login",
        "application/json;charset=utf-8",
        body,
    )
    .await
}

#[tokio::test]
async fn apirone_for_an_account_and_a_wallet() {
    let demo = Demo::start();
    let to = demo.address();
    for (prefix, kind) in [("apr-", "accounts"), ("btc-", "wallets")] {
        let account = demo.account("apirone", prefix);
        let login = apirone_login(to, &account).await;
        assert_eq!(login.status, 200, "{}", login.text());
        let body = login.json();
        assert_eq!(body["login"], account.login);
        assert_eq!(body.as_object().unwrap().len(), 3, "no expiry field");
        let access = text(&body, "/access-token");
        assert_eq!(header(access), json!({ "typ": "JWT", "alg": "HS256" }));
        let names: Vec<_> = claims(access)
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        assert_eq!(names, ["exp", "l"]);

        let callback = format!("/api/v2/{kind}/{}/callback?currency=tbtc", account.login);
        assert_eq!(get(to, &callback, access).await.status, 200);
        let bearer = format!("Bearer {}", text(&body, "/refresh-token"));
        let form = ("content-type", "application/x-www-form-urlencoded");
        let headers = [("authorization", bearer.as_str()), form];
        let refreshed = send(
            to,
            request("POST", "/api/v2/auth/refresh-token", &headers, ""),
        )
        .await;
        assert_eq!(refreshed.status, 200, "{}", refreshed.text());
        let refreshed = refreshed.json();
        let bearer = format!("Bearer {}", text(&refreshed, "/access-token"));
        let headers = [("authorization", bearer.as_str())];
        let logout = send(to, request("POST", "/api/v2/auth/logout", &headers, "")).await;
        assert_eq!(logout.outcome(), (200, "{}".to_owned()));
        let refused = get(to, &callback, access).await;
        assert_eq!(
            refused.outcome(),
            (401, json!({ "message": "Unauthorized" }).to_string())
        );
    }
}

#[tokio::test]
async fn apirones_static_key_opens_and_goes_no_further() {
    let demo = Demo::start();
    let (to, account) = (demo.address(), demo.account("apirone", "apr-"));
    let base = format!("/api/v2/accounts/{}", account.login);
    let key = &account.secret;

    let called = format!("{base}/callback?currency=tbtc&transfer-key={key}&x=1");
    let called = send(to, request("GET", &called, &[], "")).await;
    assert_eq!(called.status, 200, "{}", called.text());
    assert_eq!(called.json()["query"], "currency=tbtc&x=1");
    assert_eq!(
        called.json()["headers"]["x-countersign-login"],
        account.login
    );

    let body = format!("{{ \"amount\" : 1, \"transfer-key\": \"{key}\" , \"fee\":\"normal\"}}");
    let json = [("content-type", "application/json")];
    let sent = send(
        to,
        request("POST", &format!("{base}/transfer"), &json, body),
    )
    .await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    let forwarded = sent.json()["body"].as_str().unwrap().to_owned();
    assert!(!sent.text().contains(key.as_str()));
    let read: Value = serde_json::from_str(&forwarded).unwrap();
    assert_eq!(read, json!({ "amount": 1, "fee": "normal" }));

    let refused = |target: String| {
        send(
            to,
            request("GET", Box::leak(target.into_boxed_str()), &[], ""),
        )
    };
    let underscore = refused(format!("{base}/callback?transfer_key={key}")).await;
    assert_eq!(underscore.status, 401, "an underscore is another name");
    let wrong = refused(format!("{base}/callback?transfer-key={}", "x".repeat(32))).await;
    assert_eq!(wrong.status, 401);
    let wallet = demo.account("apirone", "btc-");
    let foreign = refused(format!(
        "/api/v2/wallets/{}/callback?transfer-key={key}",
        wallet.login
    ));
    assert!(
        foreign.await.status.is_client_error(),
        "a key is good for its own login only"
    );
    let estimate = refused(format!("{base}/transfer?amount=1")).await;
    assert_eq!(estimate.status, 200, "an estimate is public");
    let transfer = send(
        to,
        request("POST", &format!("{base}/transfer"), &json, "{}"),
    )
    .await;
    assert_eq!(transfer.status, 401, "a transfer is not");
}

#[tokio::test]
async fn a_path_of_no_api_is_a_plain_problem() {
    let demo = Demo::start();
    for target in ["/", "/nothing", "/api/v3/x", "/tokens/", "/auth"] {
        let reply = send(demo.address(), request("GET", target, &[], "")).await;
        assert_eq!(reply.status, 404, "{target}");
        assert_eq!(reply.header("content-type"), "application/problem+json");
        assert_eq!(reply.json()["status"], 404);
    }
}
