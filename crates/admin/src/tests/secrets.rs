//! Planted secrets are found in no reply but the one that shows them, and in no
//! log line.

use countersign_testing::logs::CapturedLog;
use tracing::Level;

use super::*;

const PLANTED: &str = "hunter2-planted";

#[tokio::test]
async fn a_planted_secret_appears_nowhere_and_a_generated_one_once() {
    let log = CapturedLog::of_this_process(Level::TRACE);
    let server = Server::start().await;
    let accounts = "/admin/v1/accounts";
    let mut body = partner("acme");
    body["secret"] = json!(PLANTED);
    let own = server.post(accounts, body.clone()).await;
    let generated = server.post(accounts, partner("other")).await;
    let secret = generated.body["secret"].as_str().unwrap().to_owned();
    let eye = server
        .admin_key(json!({ "name": "eye", "role": "read" }))
        .await;
    let once = Request::post(accounts)
        .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
        .header("idempotency-key", "k")
        .body(Body::from(partner("once").to_string()));
    let once = server.send(once.unwrap()).await;
    let kept = once.body["secret"].as_str().unwrap().to_owned();
    let path = own.header("location").to_owned();
    let wrong = json!({ "api": "pay", "login": 7, "secret": PLANTED });
    let refused = json!({ "api": "coin", "secret": PLANTED });
    let credential = json!({ "login": "acme-2", "secret": PLANTED });
    let cut_off = format!("{{\"secret\": \"{PLANTED}");
    let replies = [
        own,
        server.post(accounts, body).await,
        server.post(accounts, wrong).await,
        server.post(accounts, refused).await,
        server.post(accounts, json!({ "secret": [PLANTED] })).await,
        server
            .call(Method::POST, accounts, Body::from(cut_off))
            .await,
        server
            .post(&format!("{path}/credentials"), credential)
            .await,
        server.get(accounts).await,
        server.get(&path).await,
        server.get(&format!("{path}/credentials")).await,
        server.patch(&path, json!({ "state": "disabled" })).await,
        server.get("/admin/v1/admin-keys").await,
        server.get("/admin/v1/keys").await,
        server.get("/admin/v1/audit").await,
        server.get("/admin/v1/openapi.json").await,
        server.delete(&path).await,
    ];
    let secrets = [PLANTED, KEY, &secret, &eye, &kept];
    for reply in &replies {
        for secret in secrets {
            assert!(!reply.text().contains(secret), "{}", reply.text());
            assert!(!format!("{:?}", reply.headers).contains(secret));
        }
    }
    let log = log.text();
    let files = server.files();
    for secret in secrets {
        assert!(!log.contains(secret), "{log}");
        let found = files
            .windows(secret.len())
            .any(|it| it == secret.as_bytes());
        assert!(!found, "a stored file has a secret in the open");
    }
    for action in [
        "account_created",
        "credential_created",
        "account_disabled",
        "account_deleted",
    ] {
        assert!(log.contains(action), "{action} in {log}");
    }
    assert!(log.contains("operator:owner"), "{log}");
}

#[tokio::test]
async fn replies_are_kept_by_no_cache() {
    let server = Server::start().await;
    for path in ["/admin/v1/apis", "/admin/v1/nothing"] {
        assert_eq!(server.get(path).await.header("cache-control"), "no-store");
    }
}

#[test]
fn the_admin_key_does_not_print() {
    let key = AdminKey::new("owner", &Secret::from(KEY));
    assert_eq!(format!("{key:?}"), "AdminKey(\"owner\")");
}
