//! Limits, scopes, the audit log, and an api revoked as a whole.

use countersign_domain::audit::Action;

use super::*;

const ACCOUNTS: &str = "/admin/v1/accounts";
const AUDIT: &str = "/admin/v1/audit";

#[tokio::test]
async fn an_account_has_limits_of_its_own_and_loses_them() {
    let server = Server::start().await;
    let mut body = partner("acme");
    body["limits"] = json!({ "budget": 40, "sessions": null });
    let created = server.post(ACCOUNTS, body).await;
    let limits = |budget, mints| {
        json!({ "budget": budget, "sessions": null, "mints_per_minute": mints,
            "requests_per_second": null })
    };
    assert_eq!(created.body["limits"], limits(json!(40), Value::Null));
    let path = created.header("location");
    let change = json!({ "limits": { "mints_per_minute": 7 } });
    let changed = server.patch(path, change).await;
    assert_eq!(changed.body["limits"], limits(Value::Null, json!(7)));
    assert_eq!(server.get(path).await.body, changed.body);
    for (limits, pointer) in [
        (json!(7), "/limits"),
        (json!({ "budget": 0 }), "/limits/budget"),
        (json!({ "budget": 1.5 }), "/limits/budget"),
        (json!({ "sessions": -1 }), "/limits/sessions"),
        (
            json!({ "requests_per_second": 4_294_967_296_u64 }),
            "/limits/requests_per_second",
        ),
        (json!({ "speed": 1 }), "/limits/speed"),
    ] {
        let reply = server.patch(path, json!({ "limits": limits })).await;
        assert_eq!(reply.problem(), (422, "invalid_members"), "{pointer}");
        assert_eq!(reply.body["errors"][0]["pointer"], pointer);
    }
    let api = server.get("/admin/v1/apis/pay").await;
    assert_eq!(api.body["limits"]["sessions"], 100);
    let unknown = server.get("/admin/v1/apis/nope").await;
    assert_eq!(unknown.problem(), (404, "no_such_api"));
}

#[tokio::test]
async fn a_credential_has_scopes() {
    let server = Server::start().await;
    let mut body = partner("acme");
    body["scopes"] = json!(["payout:write", "read"]);
    let created = server.post(ACCOUNTS, body).await;
    let first = &created.body["credential"];
    assert_eq!(first["scopes"], json!(["payout:write", "read"]));
    let credentials = format!("{}/credentials", created.header("location"));
    let second = server
        .post(&credentials, json!({ "scopes": ["read"] }))
        .await;
    assert_eq!(second.body["scopes"], json!(["read"]));
    let path = format!("{credentials}/{}", first["id"]);
    let both = json!({ "scopes": [], "state": "disabled" });
    let changed = server.patch(&path, both).await;
    assert_eq!(changed.body["scopes"], json!([]));
    assert_eq!(changed.body["state"], "disabled");
    let spaced = server.patch(&path, json!({ "scopes": ["a b"] })).await;
    assert_eq!(spaced.body["errors"][0]["pointer"], "/scopes/0");
}

#[tokio::test]
async fn an_api_is_revoked_as_a_whole_and_again() {
    let server = Server::start().await;
    let other = server.account(json!({ "api": "coin" })).await;
    let mut sessions = Vec::new();
    for login in ["a", "b"] {
        let path = server.account(partner(login)).await;
        sessions.push(server.session(&path).await);
    }
    let path = "/admin/v1/apis/pay/revoke-all";
    let revoked = server.post(path, json!({})).await;
    assert_eq!(revoked.body, json!({ "accounts": 2, "sessions": 2 }));
    for session in sessions {
        let session = server.get(&format!("/admin/v1/sessions/{session}")).await;
        assert_eq!(session.body["ended"]["reason"], "operator");
    }
    assert_eq!(server.get(&other).await.body["epoch"], 0);
    let list = server.get(&format!("{ACCOUNTS}?api=pay")).await;
    assert_eq!(list.body["items"][0]["epoch"], 1);
    let again = server.post(path, json!({})).await;
    assert_eq!(again.body, json!({ "accounts": 2, "sessions": 0 }));
    let log = server.get(&format!("{AUDIT}?action=api_revoked")).await;
    assert_eq!(log.body["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn more_accounts_than_one_step_holds_are_revoked() {
    let server = Server::start().await;
    for number in 0..201 {
        server.account(partner(&format!("p{number}"))).await;
    }
    let revoked = server
        .post("/admin/v1/apis/pay/revoke-all", json!({}))
        .await;
    assert_eq!(revoked.body["accounts"], 201);
}

#[tokio::test]
async fn the_audit_log_is_read_by_what_it_is_about() {
    let server = Server::start().await;
    let acme = server.account(partner("acme")).await;
    server.clock.advance(Duration::from_secs(60));
    let other = server.account(partner("other")).await;
    server.patch(&acme, json!({ "state": "disabled" })).await;
    let numbers = async |query: &str| {
        let list = server.get(&format!("{AUDIT}?{query}")).await;
        assert_eq!(list.status, StatusCode::OK, "{query}: {}", list.text());
        let items = list.body["items"].as_array().unwrap().clone();
        let number = |entry: &Value| entry["number"].as_u64().unwrap();
        items.iter().map(number).collect::<Vec<_>>()
    };
    let all = numbers("").await;
    assert!(all.is_sorted() && all.len() == 7, "{all:?}");
    let (before, last) = all.split_at(5);
    assert_eq!(numbers("account=100001").await, [before[4], last[1]]);
    assert_eq!(
        numbers("action=account_created").await,
        [before[4], last[0]]
    );
    assert_eq!(numbers("since=2027-01-15T08:01:00Z").await, last);
    assert_eq!(numbers("until=2027-01-15T08:01:00Z").await, before);
    assert_eq!(numbers("since=30s&account=100002").await, [last[0]]);
    assert_eq!(numbers("since=2030-01-01T00:00:00Z").await, [0_u64; 0]);
    assert_eq!(numbers("api=coin").await.len(), 2, "its two keys");
    assert_eq!(numbers("after=9223372036854775807").await, [0_u64; 0]);
    for action in Action::ALL {
        numbers(&format!("action={}", action.code())).await;
    }
    let down = numbers("order=desc&limit=2").await;
    assert_eq!(down, [last[1], last[0]]);
    let page = server.get(&format!("{AUDIT}?order=desc&limit=2")).await;
    let next = page.body["next"].as_u64().unwrap();
    assert_eq!(
        numbers(&format!("order=desc&after={next}")).await[0],
        before[4]
    );
    assert_eq!(numbers(&format!("after={}", before[4])).await, last);
    let entry = server
        .get(&format!("{AUDIT}?action=account_disabled"))
        .await;
    let entry = &entry.body["items"][0];
    assert_eq!(entry["actor"], "operator:owner");
    assert_eq!(entry["detail"], json!({ "ended": 0 }));
    for query in [
        "order=up",
        "action=nope",
        "since=x",
        "account=0",
        "api=nope",
        "after=0",
        "x=1",
    ] {
        let reply = server.get(&format!("{AUDIT}?{query}")).await;
        assert_eq!(reply.problem(), (400, "invalid_parameters"), "{query}");
    }
    let coin = json!({ "name": "coin", "role": "read", "apis": ["coin"] });
    let coin = server.admin_key(coin).await;
    let seen = server
        .call_as(&coin, Method::GET, AUDIT, Body::empty())
        .await;
    let items = seen.body["items"].as_array().unwrap();
    assert!(items.len() == 2 && items.iter().all(|it| it["api"] == "coin"));
    server.delete(&other).await;
}
