//! Who may do what: every operation with every role, and keys that see some
//! apis only. The table is written a second time, in `roles.txt`, so that no
//! role changes by accident.

use std::time::Duration;

use super::*;
use crate::operations;

const KEYS: &str = "/admin/v1/admin-keys";

/// A line of the table.
struct Line {
    method: String,
    path: String,
    role: Role,
    every_api: bool,
}

fn table() -> Vec<Line> {
    let lines = include_str!("roles.txt").lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            Line {
                method: words[0].to_owned(),
                path: words[1].to_owned(),
                role: Role::from_name(words[2]).unwrap(),
                every_api: words.get(3) == Some(&"all"),
            }
        })
        .collect()
}

#[test]
fn the_table_has_every_operation_and_no_other() {
    let describe = |method: &str, path: &str, role: Role, every_api: bool| {
        format!("{method} {path} {} {every_api}", role.name())
    };
    let mut written: Vec<_> = table()
        .iter()
        .map(|line| describe(&line.method, &line.path, line.role, line.every_api))
        .collect();
    let mut served: Vec<_> = operations()
        .iter()
        .map(|it| {
            describe(
                it.method.as_str(),
                it.path,
                it.needs.role,
                it.needs.every_api,
            )
        })
        .collect();
    written.sort();
    served.sort();
    assert_eq!(served, written);
}

#[tokio::test]
async fn each_operation_refuses_the_roles_below_it_and_no_other() {
    let server = Server::start().await;
    for role in Role::ALL {
        let name = role.name();
        for apis in [None, Some(["pay"])] {
            let mut body = json!({ "name": format!("{name}-{}", apis.is_some()), "role": name });
            if let Some(apis) = apis {
                body["apis"] = json!(apis);
            }
            let key = server.admin_key(body).await;
            for line in table() {
                let path = format!("/admin/v1{}", line.path.replace(['{', '}'], ""));
                let method = line.method.parse().unwrap();
                let reply = server.call_as(&key, method, &path, Body::empty()).await;
                let shut_out = role < line.role || (apis.is_some() && line.every_api);
                let shown = format!("{} {path} as {name}, {apis:?}", line.method);
                let forbidden = reply.status == StatusCode::FORBIDDEN;
                assert_eq!(forbidden, shut_out, "{shown}: {}", reply.text());
                if forbidden {
                    assert_eq!(reply.problem(), (403, "forbidden"), "{shown}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_names_the_role_that_is_needed() {
    let server = Server::start().await;
    let key = server
        .admin_key(json!({ "name": "eye", "role": "read" }))
        .await;
    let reply = server
        .call_as(&key, Method::POST, "/admin/v1/accounts", Body::empty())
        .await;
    let detail = reply.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("operate") && detail.contains("read"),
        "{detail}"
    );
    assert!(
        reply
            .header("www-authenticate")
            .contains("insufficient_scope")
    );
}

#[tokio::test]
async fn a_key_is_made_shown_once_listed_and_deleted() {
    let server = Server::start().await;
    let body = json!({ "name": "ci", "role": "operate", "apis": ["pay"] });
    let made = server.post(KEYS, body.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.header("location"), "/admin/v1/admin-keys/ci");
    let secret = made.body["secret"].as_str().unwrap();
    assert!(secret.starts_with("csa_") && secret.contains(made.body["id"].as_str().unwrap()));
    let shown = server.get(made.header("location")).await;
    assert_eq!(shown.body["apis"], json!(["pay"]));
    assert_eq!(shown.body["expires_at"], Value::Null);
    let list = server.get(KEYS).await;
    let owner = server.get("/admin/v1/admin-keys/owner").await.body;
    assert_eq!(list.body["items"], json!([shown.body, owner]));
    assert!(!list.text().contains(secret) && !shown.text().contains(secret));
    let twice = server.post(KEYS, body).await;
    assert_eq!(twice.problem(), (409, "name_taken"));

    let accounts = || server.call_as(secret, Method::GET, "/admin/v1/accounts", Body::empty());
    assert_eq!(accounts().await.status, StatusCode::OK);
    let deleted = server.delete(made.header("location")).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(accounts().await.problem(), (401, "wrong_key"));
    let again = server.delete(made.header("location")).await;
    assert_eq!(again.problem(), (404, "no_such_admin_key"));
}

#[tokio::test]
async fn a_key_ends_at_its_instant() {
    let server = Server::start().await;
    let body = json!({ "name": "ci", "role": "read", "expires_at": "2027-01-15T08:10:00.00025Z" });
    let key = server.admin_key(body).await;
    let ask = || server.call_as(&key, Method::GET, "/admin/v1/apis", Body::empty());
    server.clock.advance(Duration::from_secs(599));
    assert_eq!(ask().await.status, StatusCode::OK);
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(ask().await.problem(), (401, "expired_key"));
    let list = server.get(KEYS).await;
    assert_eq!(list.body["items"][0]["state"], "expired");
}

#[tokio::test]
async fn the_owners_key_is_listed_in_its_place_and_ends_with_its_file_only() {
    let server = Server::start().await;
    for name in ["aa", "zz"] {
        server
            .admin_key(json!({ "name": name, "role": "read" }))
            .await;
    }
    let names = async |query: &str| {
        let page = server.get(&format!("{KEYS}{query}")).await.body;
        let items = page["items"].as_array().unwrap().iter();
        let names: Vec<_> = items.map(|it| it["name"].clone()).collect();
        (json!(names), page["next"].clone())
    };
    assert_eq!(names("").await, (json!(["aa", "owner", "zz"]), Value::Null));
    assert_eq!(
        names("?limit=2").await,
        (json!(["aa", "owner"]), json!("owner"))
    );
    assert_eq!(
        names("?after=aa&limit=1").await,
        (json!(["owner"]), json!("owner"))
    );
    assert_eq!(names("?after=owner").await, (json!(["zz"]), Value::Null));
    let owner = server.get("/admin/v1/admin-keys/owner").await.body;
    assert_eq!(
        (&owner["role"], &owner["id"]),
        (&json!("own"), &Value::Null)
    );
    let refused = server.delete("/admin/v1/admin-keys/owner").await;
    assert_eq!(refused.problem(), (409, "owners_admin_key"));
    let help = refused.body["help"].as_str().unwrap();
    assert!(help.contains("delete the file admin.key"), "{help}");
}

#[tokio::test]
async fn what_a_new_key_must_say_is_checked() {
    let server = Server::start().await;
    let past = json!({ "name": "ci", "role": "read", "apis": ["x"],
        "expires_at": "2000-01-01T00:00:00Z" });
    let both = server.post(KEYS, past).await;
    assert_eq!(
        both.body["errors"].as_array().unwrap().len(),
        2,
        "{}",
        both.text()
    );
    let after = server.get(&format!("{KEYS}?after=0.5")).await;
    assert_eq!(after.problem(), (400, "invalid_parameters"));
    for (body, pointer) in [
        (json!({ "role": "read" }), "/name"),
        (json!({ "name": "ci" }), "/role"),
        (json!({ "name": "C I", "role": "read" }), "/name"),
        (json!({ "name": "owner", "role": "read" }), "/name"),
        (json!({ "name": "ci", "role": "root" }), "/role"),
        (json!({ "name": "ci", "role": "read", "apis": [] }), "/apis"),
        (
            json!({ "name": "ci", "role": "read", "apis": ["x"] }),
            "/apis/0",
        ),
        (
            json!({ "name": "ci", "role": "read", "apis": [7] }),
            "/apis/0",
        ),
        (
            json!({ "name": "ci", "role": "read", "expires_at": "soon" }),
            "/expires_at",
        ),
        (
            json!({ "name": "ci", "role": "read", "expires_at": "2027-01-15T08:00:00Z" }),
            "/expires_at",
        ),
    ] {
        let reply = server.post(KEYS, body.clone()).await;
        assert_eq!(reply.problem(), (422, "invalid_members"), "{body}");
        assert_eq!(reply.body["errors"][0]["pointer"], pointer, "{body}");
    }
}

#[tokio::test]
async fn what_is_of_another_api_is_not_there() {
    let server = Server::start().await;
    let mine = server.account(partner("acme")).await;
    let session = server.session(&mine).await;
    let theirs = server.account(json!({ "api": "coin" })).await;
    let list = server.get(&format!("{theirs}/credentials")).await;
    let credential = list.body["items"][0]["id"].to_string();
    let body = json!({ "name": "coin-ops", "role": "operate", "apis": ["coin"] });
    let key = server.admin_key(body).await;
    let ask = |method: Method, path: &str, body: Value| {
        let (path, key, server) = (path.to_owned(), key.clone(), &server);
        async move {
            let body = Body::from(body.to_string());
            server.call_as(&key, method, &path, body).await
        }
    };
    let get = |path: &str| ask(Method::GET, path, Value::Null);

    for name in ["apis", "accounts"] {
        let list = get(&format!("/admin/v1/{name}")).await;
        assert_eq!(list.body["items"].as_array().unwrap().len(), 1, "{name}");
        assert!(list.text().contains("\"coin\"") && !list.text().contains("\"pay\""));
    }
    let disable = json!({ "state": "disabled" });
    for (method, path) in [
        (Method::GET, mine.clone()),
        (Method::PATCH, mine.clone()),
        (Method::DELETE, mine.clone()),
        (Method::GET, format!("{mine}/credentials")),
        (Method::POST, format!("{mine}/credentials")),
        (Method::GET, format!("{mine}/credentials/1")),
        (Method::GET, format!("{mine}/sessions")),
        (Method::DELETE, format!("{mine}/sessions")),
        (Method::GET, format!("{theirs}/credentials/1")),
    ] {
        let reply = ask(method.clone(), &path, disable.clone()).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{method} {path}");
    }
    for method in [Method::GET, Method::DELETE] {
        let path = format!("/admin/v1/sessions/{session}");
        let reply = ask(method, &path, Value::Null).await;
        assert_eq!(reply.problem(), (404, "no_such_session"));
    }
    let elsewhere = ask(Method::POST, "/admin/v1/accounts", partner("x")).await;
    assert_eq!(elsewhere.problem(), (422, "invalid_members"));
    assert!(
        !elsewhere.text().contains("there is coin, pay"),
        "{}",
        elsewhere.text()
    );
    assert_eq!(
        get("/admin/v1/accounts?api=pay").await.status,
        StatusCode::BAD_REQUEST
    );

    let own = ask(Method::PATCH, &theirs, disable.clone()).await;
    assert_eq!(own.body["state"], "disabled");
    let own = get(&format!("{theirs}/credentials/{credential}")).await;
    assert_eq!(own.status, StatusCode::OK);
    assert_eq!(server.get(&mine).await.body["state"], "active");
    let entries = server.state.store.audit(None, 100).await.unwrap();
    let disabled = entries.iter().find(|it| it.action == "account_disabled");
    assert_eq!(disabled.unwrap().actor, "operator:coin-ops");
}
