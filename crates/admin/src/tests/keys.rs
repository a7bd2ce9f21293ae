//! Signing keys over the admin API.

use super::*;

const KEYS: &str = "/admin/v1/keys";

impl Server {
    async fn signing(&self) -> Value {
        let list = self.get(&format!("{KEYS}?api=pay")).await;
        let items = list.body["items"].as_array().unwrap().clone();
        items
            .into_iter()
            .find(|key| key["purpose"] == "signing")
            .unwrap()
    }
}

#[tokio::test]
async fn a_key_is_published_made_active_and_killed() {
    let server = Server::start().await;
    let first = server.signing().await;
    assert_eq!(
        (&first["state"], &first["algorithm"]),
        (&json!("active"), &json!("HS256"))
    );
    let published = server.post(KEYS, json!({ "api": "pay" })).await;
    assert_eq!(published.status, StatusCode::CREATED);
    assert_eq!(published.body["state"], "pending");
    let path = published.header("location").to_owned();
    assert_eq!(server.get(&path).await.body, published.body);
    let again = server.post(KEYS, json!({ "api": "pay" })).await;
    assert_eq!(again.problem(), (409, "pending_already"));

    let rotate = json!({ "api": "pay", "algorithm": "HS256" });
    let rotated = server.post(&format!("{KEYS}/rotate"), rotate).await;
    assert_eq!(rotated.status, StatusCode::OK);
    assert_eq!(rotated.body["active"], published.body["kid"]);
    let old = server
        .get(&format!("{KEYS}/{}", first["kid"].as_str().unwrap()))
        .await;
    assert_eq!(old.body["state"], "retiring");
    assert_eq!(old.body["retires_at"], "2027-01-15T09:03:00.000250Z");

    let killed = server.patch(&path, json!({ "state": "killed" })).await;
    assert_eq!(killed.status, StatusCode::OK, "{}", killed.text());
    assert_ne!(killed.body["active"], published.body["kid"]);
    assert_eq!(server.get(&path).await.body["state"], "killed");
    let twice = server.patch(&path, json!({ "state": "killed" })).await;
    assert_eq!(twice.problem(), (409, "not_alive"));
    let actions: Vec<_> = server.state.store.audit(None, 100).await.unwrap();
    let actions: Vec<_> = actions.iter().map(|it| it.action.as_str()).collect();
    assert_eq!(
        actions[actions.len() - 3..],
        ["key_rotated", "key_rotated", "key_killed"]
    );
}

#[tokio::test]
async fn an_active_key_retires_when_another_takes_its_place() {
    let server = Server::start().await;
    let first = server.signing().await;
    let path = format!("{KEYS}/{}", first["kid"].as_str().unwrap());
    let retired = server.patch(&path, json!({ "state": "retiring" })).await;
    assert_eq!(retired.status, StatusCode::OK);
    assert_ne!(retired.body["active"], first["kid"]);
    let again = server.patch(&path, json!({ "state": "retiring" })).await;
    assert_eq!(again.problem(), (409, "not_active"));
    server.clock.advance(Duration::from_secs(2 * 3_600));
    assert_eq!(server.get(&path).await.body["state"], "gone");
}

#[tokio::test]
async fn a_pepper_is_shown_and_neither_killed_nor_retired() {
    let server = Server::start().await;
    let list = server.get(KEYS).await;
    let items = list.body["items"].as_array().unwrap();
    let pepper = items.iter().find(|key| key["purpose"] == "pepper").unwrap();
    let path = format!("{KEYS}/{}", pepper["kid"].as_str().unwrap());
    for state in ["killed", "retiring"] {
        let reply = server.patch(&path, json!({ "state": state })).await;
        assert_eq!(reply.problem(), (409, "no_signing_key"));
    }
    assert!(!list.text().contains("sealed") && !list.text().contains("material"));
}

#[tokio::test]
async fn what_a_change_of_keys_must_say_is_checked() {
    let server = Server::start().await;
    for (body, pointer) in [
        (json!({}), "/api"),
        (json!({ "api": "x" }), "/api"),
        (json!({ "api": "pay", "algorithm": "RS256" }), "/algorithm"),
        (json!({ "api": "pay", "algorithm": "none" }), "/algorithm"),
        (json!({ "api": "pay", "now": 1 }), "/now"),
    ] {
        let reply = server.post(&format!("{KEYS}/rotate"), body.clone()).await;
        assert_eq!(reply.problem(), (422, "invalid_members"), "{body}");
        assert_eq!(reply.body["errors"][0]["pointer"], pointer, "{body}");
    }
    let missing = server.patch(&format!("{KEYS}/x"), json!({})).await;
    assert_eq!(missing.problem(), (404, "no_such_key"));
    let jwks = server.get("/admin/v1/apis/pay/jwks").await;
    assert_eq!(jwks.body, json!({ "keys": [] }), "HS256 has no public half");
}
