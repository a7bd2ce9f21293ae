//! Every refusal explained, against a real server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use serde_json::{Value, json};
use support::{Account, Demo, Reply, request, send};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// Logs an account of `mypopup` in, and gives the pair.
async fn log_in(demo: &Demo, account: &Account) -> Value {
    let body = json!({ "username": account.login, "password": account.secret }).to_string();
    let login = send(demo.address(), request("POST", "/auth/login", &JSON, body)).await;
    assert_eq!(login.status, 200, "{}", login.text());
    login.json()["data"].clone()
}

/// A guarded request with a bearer.
async fn get(demo: &Demo, path: &str, token: &Value) -> Reply {
    let bearer = format!("Bearer {}", token.as_str().unwrap());
    let request = request("GET", path, &[("authorization", &bearer)], "");
    send(demo.address(), request).await
}

/// What the admin API says of a refusal, by the id that the peer was given.
async fn kept(demo: &Demo, refused: &Reply) -> Value {
    let id = refused.header("x-countersign-refusal");
    assert!(!id.is_empty(), "{:?}", refused.outcome());
    let path = format!("/admin/v1/refusals/{id}");
    let bearer = format!("Bearer {}", demo.admin_key());
    let request = request("GET", &path, &[("authorization", &bearer)], "");
    let found = send(demo.admin(), request).await;
    assert_eq!(found.status, 200, "{}", found.text());
    found.json()
}

#[tokio::test]
async fn a_refusal_is_kept_wherever_it_was_refused() {
    let demo = Demo::start();
    let account = demo.account("mypopup", "demo");
    let pair = log_in(&demo, &account).await;

    let foreign = get(&demo, "/deposit/1", &pair["access_token"]).await;
    let seen = kept(&demo, &foreign).await;
    assert_eq!(
        (foreign.status.as_u16(), &seen["status"]),
        (401, &json!(401))
    );
    assert_eq!(
        (&seen["reason"], &seen["front"]),
        (&json!("wrong_api"), &json!("built-in"))
    );
    assert_eq!(seen["detail"], "the token is of the api mypopup");
    assert_eq!(seen["account"], account.client_id);
    assert_eq!(
        (&seen["method"], &seen["path"]),
        (&json!("GET"), &json!("/deposit/1"))
    );

    let unserved = get(&demo, "/nowhere", &pair["access_token"]).await;
    let seen = kept(&demo, &unserved).await;
    assert_eq!(
        (&seen["reason"], &seen["api"]),
        (&json!("path_unknown"), &Value::Null)
    );
    assert_eq!(seen["account"], account.client_id);

    let wrong = json!({ "username": account.login, "password": "guess" }).to_string();
    let login = send(demo.address(), request("POST", "/auth/login", &JSON, wrong)).await;
    let seen = kept(&demo, &login).await;
    assert_eq!(
        (&seen["reason"], &seen["front"]),
        (&json!("wrong_secret"), &json!("issuer"))
    );
    assert_eq!(seen["login"], account.login.as_str());

    let door = send(demo.address(), request("GET", "/", &[("host", "a b")], "")).await;
    let seen = kept(&demo, &door).await;
    assert_eq!(
        (&seen["front"], &seen["code"]),
        (&json!("door"), &json!("malformed"))
    );
    assert_eq!(seen["detail"], "The Host field is invalid.");
}

#[tokio::test]
async fn the_kind_of_a_token_and_a_slow_clock_are_told() {
    let demo = Demo::start();
    let pair = log_in(&demo, &demo.account("mypopup", "demo")).await;
    let refresh = get(&demo, "/api/v1/orders", &pair["refresh_token"]).await;
    let seen = kept(&demo, &refresh).await;
    assert_eq!(seen["reason"], "token_forged");
    assert_eq!(
        seen["detail"],
        "it is the refresh token, where the access token is due"
    );

    let bearer = format!("Bearer {}", pair["refresh_token"].as_str().unwrap());
    let headers = [
        ("authorization", bearer.as_str()),
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ];
    let request = request("GET", "/api/v1/orders", &headers, "");
    let slow = send(demo.address(), request).await;
    let detail = kept(&demo, &slow).await["detail"].clone();
    let detail = detail.as_str().unwrap();
    assert!(
        detail.contains("the caller's clock is ") && detail.ends_with(" s behind"),
        "{detail}"
    );
}

#[tokio::test]
async fn refusals_outlive_the_server() {
    let demo = Demo::start();
    let refused = send(demo.address(), request("GET", "/api/v1/orders", &[], "")).await;
    let told = kept(&demo, &refused).await;
    let demo = demo.kill_and_restart();
    assert_eq!(kept(&demo, &refused).await, told);
}
