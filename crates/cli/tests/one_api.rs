//! An admin key that sees one api, at a server that has two.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use countersign_testing::replies::{Reply, request, send};
use serde_json::{Value, json};
use support::Server;

const APIS: &str = "
[apis.pay]
dialect = 'mypopup'
prefix = '/pay'
guards = ['/api/*']
upstream = 'http://127.0.0.1:9'

[apis.gift]
dialect = 'mypopup'
prefix = '/gift'
guards = ['/api/*']
upstream = 'http://127.0.0.1:9'
";

/// Asks the admin API with this key.
async fn ask(server: &Server, key: &str, method: &str, path: &str, body: &str) -> Reply {
    let bearer = format!("Bearer {key}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let path = format!("/admin/v1{path}");
    let request = request(method, &path, &headers, body.to_owned());
    send(server.admin(), request).await
}

/// Logs in at `gift`, and gives the access token.
async fn log_in(server: &Server, login: &str, secret: &str) -> String {
    let body = json!({ "username": login, "password": secret }).to_string();
    let json = [("content-type", "application/json")];
    let reply = server
        .send("127.0.0.1", "POST", "/gift/auth/login", &json, &body)
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["data"]["access_token"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn it_learns_nothing_of_a_token_of_the_other() {
    let server = Server::start(APIS);
    let stray = server.account("gift", "stray", &[]);
    let token = log_in(&server, &stray.login, &stray.secret).await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let refused = server
        .send("127.0.0.1", "GET", "/pay/api/orders", &headers, "")
        .await;
    let id = refused.header("x-countersign-refusal");
    let make = [
        "admin-key",
        "create",
        "desk",
        "--role",
        "read",
        "--api",
        "pay",
    ];
    let (_, desk) = server.operate(&make);
    let desk = desk["secret"].as_str().unwrap();

    let dry = |path: &str| {
        json!({ "token": token, "from": "127.0.0.1", "method": "GET", "path": path }).to_string()
    };
    let (here, there) = (dry("/pay/api/orders"), dry("/gift/api/orders"));
    let by_id = format!("/refusals/{id}");
    let questions = [
        ("GET", "/refusals", ""),
        ("GET", &by_id, ""),
        ("GET", "/explain?login=stray", ""),
        ("POST", "/explain", &here),
        ("POST", "/explain", &there),
    ];
    let account = stray.client_id.to_string();
    for (method, path, body) in questions {
        let told = ask(&server, desk, method, path, body).await;
        assert_eq!(told.status, 200, "{path}: {}", told.text());
        for foreign in ["gift", &account, "\"session\":\""] {
            let text = told.text();
            assert!(
                !text.contains(foreign),
                "{foreign} in {method} {path}: {text}"
            );
        }
    }
    let reason = async |body: &str| {
        let verdict = ask(&server, desk, "POST", "/explain", body).await.json();
        verdict["refusal"]["reason"].clone()
    };
    assert_eq!(reason(&here).await, "wrong_api");
    assert_eq!(reason(&there).await, "path_unknown");
    let of_account = format!("/refusals?account={account}");
    let none = ask(&server, desk, "GET", &of_account, "").await.json();
    assert_eq!(none["items"], json!([]));
    let all = ask(&server, &server.admin_key(), "GET", &of_account, "").await;
    let all: Value = all.json();
    assert_eq!(
        all["items"][0]["detail"],
        "the token belongs to the api gift"
    );
}
