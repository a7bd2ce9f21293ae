//! The life of an account, its credentials and its sessions.

use std::time::Duration;

use countersign_domain::account::StoredSecret;

use super::*;
use countersign_server::password::HashingQueue;

const ACCOUNTS: &str = "/admin/v1/accounts";

#[tokio::test]
async fn an_account_is_created_shown_changed_and_deleted() {
    let server = Server::start().await;
    let body = json!({ "api": "pay", "login": "acme", "allow": ["192.0.2.77/24", "::1"] });
    let created = server.post(ACCOUNTS, body).await;
    assert_eq!(created.status, StatusCode::CREATED);
    assert_eq!(created.header("location"), "/admin/v1/accounts/100001");
    let account = json!({
        "id": 100_001,
        "api": "pay",
        "login": "acme",
        "state": "active",
        "allow": ["192.0.2.0/24", "::1/128"],
        "limits": { "budget": null, "sessions": null, "mints_per_minute": null,
            "requests_per_second": null },
        "epoch": 0,
        "created_at": "2027-01-15T08:00:00.000250Z",
    });
    for (name, value) in account.as_object().unwrap() {
        assert_eq!(&created.body[name], value, "{name}");
    }
    let path = created.header("location");
    assert_eq!(server.get(path).await.body, account);

    let update = json!({ "state": "disabled", "allow": [] });
    let changed = server.patch(path, update).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_eq!(changed.body["state"], "disabled");
    assert_eq!(changed.body["allow"], json!([]));
    assert_eq!(server.get(path).await.body, changed.body);

    assert_eq!(server.delete(path).await.status, StatusCode::NO_CONTENT);
    let gone = server.get(path).await;
    assert_eq!(gone.problem(), (404, "no_such_account"));
    let again = server.delete(path).await;
    assert_eq!(again.problem(), (404, "no_such_account"));
}

#[tokio::test]
async fn a_generated_secret_is_the_one_that_is_stored_and_is_shown_once() {
    let server = Server::start().await;
    let created = server.post(ACCOUNTS, partner("acme")).await;
    let secret = created.body["secret"].as_str().unwrap();
    let api = "pay".parse::<ApiName>().unwrap();
    let found = server.state.store.credential_by_login(&api, "acme");
    let (_, credential) = found.await.unwrap().unwrap();
    let hash = server.state.apis[&api].pepper.hash(secret);
    assert_eq!(credential.secret, StoredSecret::Key(hash));
    let path = created.header("location");
    for path in [path, &format!("{path}/credentials"), ACCOUNTS] {
        assert!(!server.get(path).await.text().contains(secret), "{path}");
    }
}

#[tokio::test]
async fn an_operators_own_secret_becomes_a_password() {
    let server = Server::start().await;
    let body = json!({ "api": "pay", "login": "acme", "secret": "correct horse" });
    let created = server.post(ACCOUNTS, body).await;
    assert_eq!(created.status, StatusCode::CREATED);
    assert!(created.body.get("secret").is_none());
    assert_eq!(created.body["credential"]["kind"], "password");
    let api = "pay".parse::<ApiName>().unwrap();
    let found = server.state.store.credential_by_login(&api, "acme");
    let (_, credential) = found.await.unwrap().unwrap();
    let phc = match &credential.secret {
        StoredSecret::Password(phc) => Some(phc.clone()),
        StoredSecret::Key(_) => None,
    };
    let (passwords, secret) = (&server.state.passwords, Secret::from("correct horse"));
    let verified = passwords.verify(secret, phc, HashingQueue::Friends);
    assert_eq!(verified.await, Ok(true));
}

#[tokio::test]
async fn a_dialect_with_two_forms_of_login_generates_either() {
    let server = Server::start().await;
    let first = server.post(ACCOUNTS, json!({ "api": "coin" })).await;
    let login = first.body["login"].as_str().unwrap();
    assert!(login.starts_with("apr-") && login.len() == 36, "{login}");
    assert_eq!(first.body["secret"].as_str().unwrap().len(), 32);
    let wallet = json!({ "api": "coin", "login_prefix": "btc" });
    let wallet = server.post(ACCOUNTS, wallet).await;
    let login = wallet.body["login"].as_str().unwrap();
    assert!(login.starts_with("btc-") && login.len() == 36, "{login}");
    let own = "apr-0123456789abcdef0123456789abcdef";
    let own = server
        .post(ACCOUNTS, json!({ "api": "coin", "login": own }))
        .await;
    assert_eq!(own.status, StatusCode::CREATED);
}

#[tokio::test]
async fn an_import_keeps_its_ids_and_nothing_is_taken_twice() {
    let server = Server::start().await;
    let body = json!({ "api": "pay", "login": "acme", "id": 17, "state": "disabled" });
    let path = server.account(body).await;
    assert_eq!(path, "/admin/v1/accounts/17");
    assert_eq!(server.get(&path).await.body["state"], "disabled");
    let same_id = json!({ "api": "pay", "login": "other", "id": 17 });
    let same_id = server.post(ACCOUNTS, same_id).await;
    assert_eq!(same_id.problem(), (409, "id_taken"));
    let same_login = server.post(ACCOUNTS, partner("acme")).await;
    assert_eq!(same_login.problem(), (409, "login_taken"));
    server.delete(&path).await;
    let risen = json!({ "api": "pay", "login": "acme", "id": 17 });
    let risen = server.post(ACCOUNTS, risen).await;
    assert_eq!(
        risen.problem(),
        (409, "id_taken"),
        "not even after deletion"
    );
}

#[tokio::test]
async fn a_listing_goes_on_where_its_page_ended() {
    let server = Server::start().await;
    for login in ["a", "b", "c"] {
        server.account(partner(login)).await;
    }
    server.account(json!({ "api": "coin" })).await;
    let logins = |page: &Reply| -> Vec<String> {
        let items = page.body["items"].as_array().unwrap().iter();
        items
            .map(|it| it["login"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = server.get("/admin/v1/accounts?api=pay&limit=2").await;
    assert_eq!(logins(&first), ["a", "b"]);
    assert_eq!(first.body["next"], 100_002);
    let second = server
        .get("/admin/v1/accounts?api=pay&limit=2&after=100002")
        .await;
    assert_eq!(logins(&second), ["c"]);
    assert_eq!(second.body["next"], Value::Null);
    let whole = server.get("/admin/v1/accounts?api=pay&limit=3").await;
    assert_eq!(
        whole.body["next"],
        Value::Null,
        "a full page may be the last"
    );
    let by_login = server.get("/admin/v1/accounts?login=b").await;
    assert_eq!(logins(&by_login), ["b"]);
    assert_eq!(server.get(ACCOUNTS).await.body["items"][3]["api"], "coin");
}

#[tokio::test]
async fn a_secret_is_replaced_with_an_overlap() {
    let server = Server::start().await;
    let account = server.account(partner("acme")).await;
    let credentials = format!("{account}/credentials");
    let created = server
        .post(&credentials, json!({ "login": "acme-2" }))
        .await;
    assert_eq!(created.status, StatusCode::CREATED);
    assert!(created.body["secret"].is_string());
    let second = created.header("location");
    assert_eq!(server.get(second).await.body["login"], "acme-2");
    let both = server.get(&credentials).await;
    assert_eq!(both.body["items"].as_array().unwrap().len(), 2);

    let first = format!("{credentials}/{}", both.body["items"][0]["id"]);
    let session = server.session(&account).await;
    let disabled = server.patch(&first, json!({ "state": "disabled" })).await;
    assert_eq!(disabled.body["state"], "disabled");
    let ended = server.get(&format!("/admin/v1/sessions/{session}")).await;
    assert_eq!(ended.body["ended"]["reason"], "credential_revoked");
    assert_eq!(server.delete(&first).await.status, StatusCode::NO_CONTENT);
    let gone = server.get(&first).await;
    assert_eq!(gone.problem(), (404, "no_such_credential"));
    assert_eq!(server.get(&account).await.body["login"], "acme");
}

#[tokio::test]
async fn a_credential_of_another_account_is_not_found_under_this_one() {
    let server = Server::start().await;
    let mine = server.account(partner("mine")).await;
    let other = server.account(partner("other")).await;
    let list = server.get(&format!("{other}/credentials")).await;
    let id = &list.body["items"][0]["id"];
    let astray = format!("{mine}/credentials/{id}");
    let disable = json!({ "state": "disabled" });
    for reply in [
        server.get(&astray).await,
        server.patch(&astray, disable).await,
        server.delete(&astray).await,
    ] {
        assert_eq!(reply.problem(), (404, "no_such_credential"));
    }
    let untouched = server.get(&format!("{other}/credentials/{id}")).await;
    assert_eq!(untouched.body["state"], "active");
}

#[tokio::test]
async fn sessions_are_listed_shown_and_ended() {
    let server = Server::start().await;
    let account = server.account(partner("acme")).await;
    let first = server.session(&account).await;
    server.clock.advance(Duration::from_secs(1));
    let second = server.session(&account).await;
    let list = server.get(&format!("{account}/sessions?limit=1")).await;
    assert_eq!(list.body["items"][0]["id"], *second, "newest first");
    assert_eq!(list.body["next"], *second);
    let next = server
        .get(&format!("{account}/sessions?limit=1&after={second}"))
        .await;
    assert_eq!(next.body["items"][0]["id"], *first);

    let path = format!("/admin/v1/sessions/{first}");
    let shown = server.get(&path).await.body;
    let expected = json!({
        "id": first,
        "account": 100_001,
        "credential": shown["credential"],
        "variant": shown["variant"],
        "state": "active",
        "generation": 0,
        "started_at": "2027-01-15T08:00:00.000250Z",
        "rotated_at": "2027-01-15T08:00:00.000250Z",
        "access_expires_at": "2027-01-15T08:10:00.000250Z",
        "refresh_expires_at": "2027-01-15T09:00:00.000250Z",
        "absolute_expires_at": "2027-01-15T18:00:00.000250Z",
        "replays": 0,
        "used": false,
        "address": "192.0.2.7",
        "user_agent": "curl/8",
    });
    assert_eq!(shown, expected);
    let ended = server.delete(&path).await.body;
    assert_eq!(ended["state"], "ended");
    let end = json!({ "reason": "operator", "at": "2027-01-15T08:00:01.000250Z" });
    assert_eq!(ended["ended"], end);

    let all = format!("{account}/sessions");
    assert_eq!(server.delete(&all).await.body, json!({ "ended": 1 }));
    assert_eq!(server.delete(&all).await.body, json!({ "ended": 0 }));
    let second = server.get(&format!("/admin/v1/sessions/{second}")).await;
    assert_eq!(second.body["state"], "ended");
}

#[tokio::test]
async fn a_session_that_ran_out_says_so() {
    let server = Server::start().await;
    let account = server.account(partner("acme")).await;
    let path = format!("/admin/v1/sessions/{}", server.session(&account).await);
    server.clock.advance(Duration::from_secs(3600));
    assert_eq!(server.get(&path).await.body["state"], "expired");
}

#[tokio::test]
async fn apis_and_numbers_are_shown() {
    let server = Server::start().await;
    server.account(partner("acme")).await;
    let apis = server.get("/admin/v1/apis").await.body;
    assert_eq!(apis["items"][0]["name"], "coin");
    let lifetimes = json!({ "access": 600, "refresh": 3600, "absolute": 36000, "window": 60 });
    let limits = ApiLimits::default();
    let pay = json!({
        "name": "pay",
        "dialect": "mypopup",
        "title": "MyPopUp",
        "passwords": true,
        "hosts": [],
        "prefix": "",
        "guards": [],
        "upstream": null,
        "forward_auth": null,
        "lifetimes": lifetimes,
        "limits": { "budget": null, "sessions": limits.sessions,
            "mints_per_minute": limits.mints_per_minute, "requests_per_second": null },
    });
    assert_eq!(apis["items"][1], pay);
    let stats = server.get("/admin/v1/stats").await.body;
    assert_eq!(
        (&stats["accounts"], &stats["credentials"]),
        (&json!(1), &json!(1))
    );
    assert!(stats["database_bytes"].as_u64().unwrap() > 0);
}
