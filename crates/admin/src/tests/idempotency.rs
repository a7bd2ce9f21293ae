//! Creations that are asked for twice with one idempotency key.

use super::*;

const ACCOUNTS: &str = "/admin/v1/accounts";

impl Server {
    async fn post_once(&self, admin_key: &str, key: &str, path: &str, body: &Value) -> Reply {
        let request = Request::post(path)
            .header(header::AUTHORIZATION, format!("Bearer {admin_key}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", key)
            .body(Body::from(body.to_string()));
        self.send(request.unwrap()).await
    }

    async fn accounts(&self) -> usize {
        let list = self.get(ACCOUNTS).await;
        list.body["items"].as_array().unwrap().len()
    }
}

#[tokio::test]
async fn the_same_request_gets_the_same_reply_and_creates_nothing() {
    let server = Server::start().await;
    let body = partner("acme");
    let first = server.post_once(KEY, "k-1", ACCOUNTS, &body).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert!(first.headers.get("idempotent-replayed").is_none());
    let secret = first.body["secret"].as_str().unwrap();
    let second = server.post_once(KEY, "k-1", ACCOUNTS, &body).await;
    assert_eq!(second.status, StatusCode::CREATED);
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_eq!(second.header("location"), first.header("location"));
    assert_eq!(second.header("content-type"), first.header("content-type"));
    assert_eq!(second.bytes, first.bytes);
    assert_eq!(server.accounts().await, 1);

    let path = first.header("location");
    for (path, body) in [
        (format!("{path}/credentials"), json!({ "scopes": ["read"] })),
        (
            "/admin/v1/admin-keys".to_owned(),
            json!({ "name": "ci", "role": "read" }),
        ),
        ("/admin/v1/keys".to_owned(), json!({ "api": "pay" })),
        ("/admin/v1/keys/rotate".to_owned(), json!({ "api": "pay" })),
    ] {
        let first = server.post_once(KEY, &path, &path, &body).await;
        assert!(first.status.is_success(), "{path}: {}", first.text());
        let second = server.post_once(KEY, &path, &path, &body).await;
        assert_eq!(second.bytes, first.bytes, "{path}");
        assert_eq!(second.header("idempotent-replayed"), "true", "{path}");
    }
    assert!(
        !server
            .files()
            .windows(secret.len())
            .any(|it| it == secret.as_bytes())
    );
}

#[tokio::test]
async fn the_first_reply_comes_again_after_its_account_is_gone() {
    let server = Server::start().await;
    let account = server.account(partner("acme")).await;
    let path = format!("{account}/credentials");
    let first = server.post_once(KEY, "k", &path, &json!({})).await;
    assert_eq!(first.status, StatusCode::CREATED);
    server.delete(&account).await;
    let second = server.post_once(KEY, "k", &path, &json!({})).await;
    assert_eq!(second.bytes, first.bytes);
    assert_eq!(second.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn a_key_that_was_used_for_another_request_is_refused() {
    let server = Server::start().await;
    let first = server.post_once(KEY, "k", ACCOUNTS, &partner("acme")).await;
    let other = server
        .post_once(KEY, "k", ACCOUNTS, &partner("other"))
        .await;
    assert_eq!(other.problem(), (422, "idempotency_key_reused"));
    let elsewhere = format!("{}/credentials", first.header("location"));
    let other = server
        .post_once(KEY, "k", &elsewhere, &partner("acme"))
        .await;
    assert_eq!(other.problem(), (422, "idempotency_key_reused"));
    assert_eq!(server.accounts().await, 1);
}

#[tokio::test]
async fn a_refusal_is_not_remembered() {
    let server = Server::start().await;
    let path = server.account(partner("acme")).await;
    let taken = server.post_once(KEY, "k", ACCOUNTS, &partner("acme")).await;
    assert_eq!(taken.problem(), (409, "login_taken"));
    server.delete(&path).await;
    let made = server.post_once(KEY, "k", ACCOUNTS, &partner("acme")).await;
    assert_eq!(made.status, StatusCode::CREATED);
}

#[tokio::test]
async fn no_operator_gets_the_reply_to_another() {
    let server = Server::start().await;
    let body = json!({ "name": "ops", "role": "operate" });
    let ops = server.admin_key(body.clone()).await;
    let first = server
        .post_once(&ops, "k", ACCOUNTS, &partner("acme"))
        .await;
    assert_eq!(first.status, StatusCode::CREATED);
    let owner = server.post_once(KEY, "k", ACCOUNTS, &partner("acme")).await;
    assert_eq!(owner.problem(), (409, "login_taken"));
    server.delete("/admin/v1/admin-keys/ops").await;
    let heir = server.admin_key(body).await;
    let heir = server
        .post_once(&heir, "k", ACCOUNTS, &partner("acme"))
        .await;
    assert_eq!(
        heir.problem(),
        (409, "login_taken"),
        "a namesake is another"
    );
}

#[tokio::test]
async fn twins_create_one_account() {
    let server = Server::start().await;
    let body = partner("acme");
    let ask = || server.post_once(KEY, "k", ACCOUNTS, &body);
    let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
    for twin in [&b, &c, &d] {
        assert_eq!(twin.status, StatusCode::CREATED, "{}", twin.text());
        assert_eq!(twin.bytes, a.bytes);
    }
    assert_eq!(server.accounts().await, 1);
}

#[tokio::test]
async fn a_reply_is_forgotten_after_a_day_and_swept() {
    let server = Server::start().await;
    server.post_once(KEY, "k", ACCOUNTS, &partner("a")).await;
    let hour = Duration::from_secs(3_600);
    server.clock.advance(23 * hour);
    let replay = server.post_once(KEY, "k", ACCOUNTS, &partner("a")).await;
    assert_eq!(replay.status, StatusCode::CREATED);
    server.clock.advance(hour);
    let anew = server.post_once(KEY, "k", ACCOUNTS, &partner("b")).await;
    assert_eq!(anew.status, StatusCode::CREATED);
    assert_eq!(server.accounts().await, 2);
    server.clock.advance(24 * hour);
    assert_eq!(server.state.store.sweep_once().await.unwrap().replies, 1);
    assert_eq!(server.state.store.remembered("owner", "k").await, Ok(None));
}

#[tokio::test]
async fn a_key_that_is_none_is_malformed() {
    let server = Server::start().await;
    let long = "k".repeat(256);
    for bad in ["", "a b", "k\u{e9}", long.as_str()] {
        let reply = server.post_once(KEY, bad, ACCOUNTS, &partner("acme")).await;
        assert_eq!(reply.problem(), (400, "invalid_idempotency_key"), "{bad:?}");
    }
    let twice = Request::post(ACCOUNTS)
        .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
        .header("idempotency-key", "a")
        .header("idempotency-key", "a")
        .body(Body::from(partner("acme").to_string()));
    let twice = server.send(twice.unwrap()).await;
    assert_eq!(twice.problem(), (400, "invalid_idempotency_key"));
    assert_eq!(server.accounts().await, 0);
}
