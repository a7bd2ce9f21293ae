//! What the admin API does not take, and how it says so.

use super::*;

const ACCOUNTS: &str = "/admin/v1/accounts";

#[tokio::test]
async fn only_the_one_key_opens_it_whatever_the_path() {
    let server = Server::start().await;
    let good = format!("Bearer {KEY}");
    let shorter = &good[..good.len() - 1];
    let longer = format!("{good}x");
    let cases: [(&[&str], &str); 8] = [
        (&[], "missing_key"),
        (&["Bearer"], "missing_key"),
        (&[KEY], "missing_key"),
        (&["Basic YWRtaW46YWRtaW4="], "missing_key"),
        (&[&good, &good], "missing_key"),
        (&["Bearer "], "wrong_key"),
        (&[shorter], "wrong_key"),
        (&[&longer], "wrong_key"),
    ];
    for path in ["/admin/v1/apis", "/admin/v1/accounts/1", "/nothing"] {
        for (headers, code) in cases {
            let mut request = Request::get(path);
            for value in headers {
                request = request.header(header::AUTHORIZATION, *value);
            }
            let reply = server.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(reply.problem(), (401, code), "{path} {headers:?}");
            assert!(
                reply
                    .header("www-authenticate")
                    .starts_with("Bearer realm=")
            );
        }
    }
    let lower = Request::get("/admin/v1/apis").header("authorization", format!("bearer {KEY}"));
    let reply = server.send(lower.body(Body::empty()).unwrap()).await;
    assert_eq!(reply.status, StatusCode::OK, "a scheme has no case");
}

/// Secrets of a creation that are wrong, each for one thing, and where.
fn bad_secrets() -> Vec<(Value, &'static str, &'static str)> {
    vec![
        (
            json!({ "api": "pay", "secret": "äöü7567" }),
            "/secret",
            "8 characters or more",
        ),
        (
            json!({ "api": "pay", "secret": "a\tb and more" }),
            "/secret",
            "control",
        ),
        (
            json!({ "api": "pay", "secret": "\u{feff}a secret" }),
            "/secret",
            "begins with a byte order mark",
        ),
        (
            json!({ "api": "pay", "secret": "a secret\u{a0}" }),
            "/secret",
            "ends with a no-break space",
        ),
        (
            json!({ "api": "pay", "secret": "        " }),
            "/secret",
            "begins or ends with a blank",
        ),
        (
            json!({ "api": "pay", "secret": "a secret " }),
            "/secret",
            "begins or ends with a blank, which cannot be seen (remove it)",
        ),
        (
            json!({ "api": "pay", "secret": true }),
            "/secret",
            "must be text",
        ),
        (
            json!({ "api": "coin", "secret": "s" }),
            "/secret",
            "generated keys only",
        ),
    ]
}

/// Bodies of a creation that are wrong, each for one thing, and where.
fn bad_accounts() -> Vec<(Value, &'static str, &'static str)> {
    let long = "x".repeat(129);
    vec![
        (json!({}), "/api", "is missing"),
        (
            json!({ "api": "nope" }),
            "/api",
            "there is no api \"nope\" (name one of coin, pay)",
        ),
        (json!({ "api": 1 }), "/api", "must be text, not a number"),
        (json!({ "api": null }), "/api", "must be text, not null"),
        (json!({ "api": "pay", "login": "" }), "/login", "1 to 128"),
        (json!({ "api": "pay", "login": long }), "/login", "1 to 128"),
        (
            json!({ "api": "pay", "login": " a" }),
            "/login",
            "white space",
        ),
        (json!({ "api": "pay", "login": "a\n" }), "/login", "control"),
        (
            json!({ "api": "pay", "login": ["a"] }),
            "/login",
            "not a list",
        ),
        (
            json!({ "api": "coin", "login": "acme" }),
            "/login",
            "apirone",
        ),
        (
            json!({ "api": "coin", "login_prefix": "7" }),
            "/login_prefix",
            "with this prefix",
        ),
        (
            json!({ "api": "pay", "login_prefix": "a" }),
            "/login_prefix",
            "with this prefix",
        ),
        (
            json!({ "api": "pay", "id": 0 }),
            "/id",
            "from 1 to 9007199254740991",
        ),
        (
            json!({ "api": "pay", "id": 9_007_199_254_740_992u64 }),
            "/id",
            "from 1",
        ),
        (json!({ "api": "pay", "id": -1 }), "/id", "whole number"),
        (json!({ "api": "pay", "id": 1.5 }), "/id", "whole number"),
        (json!({ "api": "pay", "id": "1" }), "/id", "whole number"),
        (
            json!({ "api": "pay", "allow": "::1" }),
            "/allow",
            "list of networks",
        ),
        (
            json!({ "api": "pay", "allow": ["::1", "x"] }),
            "/allow/1",
            "\"x\" is not a network (write 192.0.2.0/24, ",
        ),
        (
            json!({ "api": "pay", "allow": [1] }),
            "/allow/0",
            "must be text",
        ),
        (
            json!({ "api": "pay", "allow": vec!["::1"; 257] }),
            "/allow",
            "more than 256",
        ),
        (
            json!({ "api": "pay", "state": "on" }),
            "/state",
            "\"active\" or \"disabled\"",
        ),
        (
            json!({ "api": "pay", "a/b~": 1 }),
            "/a~1b~0",
            "is unknown (use one of api,",
        ),
    ]
}

/// What is wrong, and in brackets what would do.
fn told(fault: &Value) -> String {
    let detail = fault["detail"].as_str().unwrap();
    let help = fault["help"].as_str();
    help.map_or_else(|| detail.to_owned(), |help| format!("{detail} ({help})"))
}

#[tokio::test]
async fn a_wrong_member_is_named_by_its_pointer() {
    let server = Server::start().await;
    for (body, pointer, detail) in bad_accounts().into_iter().chain(bad_secrets()) {
        let reply = server.post(ACCOUNTS, body.clone()).await;
        assert_eq!(reply.problem(), (422, "invalid_members"), "{body}");
        assert_eq!(reply.body["errors"][0]["pointer"], pointer, "{body}");
        let told = told(&reply.body["errors"][0]);
        assert!(told.contains(detail), "{body}: {told}");
        assert_eq!(
            reply.body["help"], reply.body["errors"][0]["help"],
            "{body}"
        );
        assert_eq!(reply.body["errors"].as_array().unwrap().len(), 1, "{body}");
    }
    let stored = server.get(ACCOUNTS).await;
    assert_eq!(stored.body["items"], json!([]), "nothing was created");
}

#[tokio::test]
async fn every_mistake_is_told_at_once() {
    let server = Server::start().await;
    let body = json!({ "api": "pay", "login": "", "id": "x", "allow": [0], "stat": "active" });
    let reply = server.post(ACCOUNTS, body).await;
    let errors = reply.body["errors"].as_array().unwrap();
    let mut pointers: Vec<_> = errors
        .iter()
        .map(|it| it["pointer"].as_str().unwrap())
        .collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/allow/0", "/id", "/login", "/stat"]);
    let detail = reply.body["detail"].as_str().unwrap();
    assert!(detail.contains("/stat: is unknown"), "{detail}");
    let help = reply.body["help"].as_str().unwrap();
    assert!(help.starts_with("/stat: use one of "), "{help}");
    let both = json!({ "api": "coin", "login_prefix": "btc",
        "login": "apr-0123456789abcdef0123456789abcdef" });
    let both = server.post(ACCOUNTS, both).await;
    assert_eq!(both.body["errors"][0]["pointer"], "/login_prefix");
}

#[tokio::test]
async fn a_body_that_is_no_object_is_malformed() {
    let server = Server::start().await;
    let deep = "[".repeat(60_000);
    let bodies: [&[u8]; 12] = [
        b"",
        b"nonsense",
        b"[]",
        b"\"pay\"",
        b"null",
        b"{\"api\": \"pay\"",
        b"{\"api\": \"pay\"}{}",
        b"{\"api\": \"pay\", \"api\": \"coin\"}",
        b"{\"api\": \"pay\", \"x\": {\"a\": 1, \"a\": 1}}",
        b"{\"api\": \"\xff\"}",
        b"{\"id\": 1e400}",
        deep.as_bytes(),
    ];
    for body in bodies {
        let reply = server
            .call(Method::POST, ACCOUNTS, Body::from(body.to_vec()))
            .await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]);
        assert_eq!(reply.problem(), (400, "malformed"), "{shown}");
        assert!(reply.bytes.len() < 400, "{shown}: {}", reply.text());
    }
}

fn pointers(reply: &Reply) -> Vec<&str> {
    let errors = reply.body["errors"].as_array().unwrap();
    let mut pointers: Vec<_> = errors
        .iter()
        .map(|it| it["pointer"].as_str().unwrap())
        .collect();
    pointers.sort_unstable();
    pointers
}

#[tokio::test]
async fn what_is_wrong_within_a_member_has_a_pointer_of_its_own() {
    let server = Server::start().await;
    let body = json!({
        "api": "pay",
        "allow": ["::1", 5, "192.0.2.0/24", "y"],
        "limits": { "budget": 0, "sessions": null, "bugdet": 1 },
        "scopes": ["read", "a b", "c d"],
    });
    let reply = server.post(ACCOUNTS, body).await;
    let wrong = [
        "/allow/1",
        "/allow/3",
        "/limits/budget",
        "/limits/bugdet",
        "/scopes/1",
        "/scopes/2",
    ];
    assert_eq!(pointers(&reply), wrong, "{}", reply.text());
    let detail = reply.body["detail"].as_str().unwrap();
    let limit = "/limits/budget: must be null or a whole number from 1 to 1000000000";
    assert!(detail.contains(limit), "{detail}");
    let listed = json!({ "api": "pay", "limits": [null, null] });
    let reply = server.post(ACCOUNTS, listed).await;
    assert_eq!(pointers(&reply), ["/limits"], "{}", reply.text());
}

#[tokio::test]
async fn all_that_is_missing_is_told_beside_what_is_wrong() {
    let server = Server::start().await;
    let body = json!({ "host": 1, "api": null, "what": 1 });
    let reply = server.post("/admin/v1/explain", body).await;
    let wrong = ["/api", "/from", "/host", "/method", "/path", "/what"];
    assert_eq!(pointers(&reply), wrong, "{}", reply.text());
    let body = json!({ "method": "GET", "path": "/", "from": "home" });
    let reply = server.post("/admin/v1/explain", body).await;
    assert_eq!(pointers(&reply), ["/from"], "wrong is not missing");
    let reply = server.get("/admin/v1/explain?since=x").await;
    let errors = reply.body["errors"].as_array().unwrap();
    let named: Vec<_> = errors.iter().map(|it| &it["parameter"]).collect();
    assert_eq!(named, ["since", "login"]);
}

#[tokio::test]
async fn a_body_has_a_limit_and_a_media_type() {
    let server = Server::start().await;
    let padded = |length: usize| {
        let body = partner("acme").to_string();
        format!("{body}{}", " ".repeat(length - body.len()))
    };
    let largest = Body::from(padded(64 * 1024));
    let reply = server.call(Method::POST, ACCOUNTS, largest).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    let larger = Body::from(padded(64 * 1024 + 1));
    let reply = server.call(Method::POST, ACCOUNTS, larger).await;
    assert_eq!(reply.problem(), (413, "too_large"));
    let form = Request::post(ACCOUNTS)
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(partner("b").to_string()));
    let reply = server.send(form.unwrap()).await;
    assert_eq!(reply.problem(), (415, "unsupported_media_type"));
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    let server = Server::start().await;
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("after=0", "after"),
        ("after=x", "after"),
        ("api=nope", "api"),
        ("logn=acme", "logn"),
        ("login=a&login=b", "login"),
    ] {
        let reply = server.get(&format!("{ACCOUNTS}?{query}")).await;
        assert_eq!(reply.problem(), (400, "invalid_parameters"), "{query}");
        assert_eq!(reply.body["errors"][0]["parameter"], parameter, "{query}");
    }
    let account = server.account(partner("acme")).await;
    let reply = server.get(&format!("{account}/sessions?after=7")).await;
    assert_eq!(reply.problem(), (400, "invalid_parameters"));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = Server::start().await;
    let account = server.account(partner("acme")).await;
    let id = "0".repeat(32);
    for (path, code) in [
        ("/admin/v1/accounts/1", "no_such_account"),
        ("/admin/v1/accounts/0", "no_such_account"),
        ("/admin/v1/accounts/acme", "no_such_account"),
        ("/admin/v1/accounts/18446744073709551616", "no_such_account"),
        ("/admin/v1/accounts/1/credentials", "no_such_account"),
        ("/admin/v1/accounts/1/sessions", "no_such_account"),
        (&format!("{account}/credentials/99"), "no_such_credential"),
        (&format!("{account}/credentials/x"), "no_such_credential"),
        (&format!("/admin/v1/sessions/{id}"), "no_such_session"),
        ("/admin/v1/sessions/x", "no_such_session"),
        ("/admin/v1/accounts/%ff", "not_found"),
        ("/admin/v1/accounts/", "not_found"),
        ("/admin/v1", "not_found"),
        ("/", "not_found"),
    ] {
        assert_eq!(server.get(path).await.problem(), (404, code), "{path}");
    }
    let disable = json!({ "state": "disabled" });
    for reply in [
        server.patch("/admin/v1/accounts/1", disable).await,
        server.delete("/admin/v1/accounts/1/sessions").await,
        server
            .post("/admin/v1/accounts/1/credentials", json!({}))
            .await,
    ] {
        assert_eq!(reply.problem(), (404, "no_such_account"));
    }
    let ended = server.delete(&format!("/admin/v1/sessions/{id}")).await;
    assert_eq!(ended.problem(), (404, "no_such_session"));
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let server = Server::start().await;
    for (method, path, allow) in [
        (Method::PUT, ACCOUNTS, "GET,HEAD,POST"),
        (
            Method::POST,
            "/admin/v1/accounts/1",
            "GET,HEAD,PATCH,DELETE",
        ),
        (Method::POST, "/admin/v1/apis", "GET,HEAD"),
        (
            Method::PATCH,
            "/admin/v1/accounts/1/sessions",
            "GET,HEAD,DELETE",
        ),
    ] {
        let reply = server.call(method.clone(), path, Body::empty()).await;
        assert_eq!(
            reply.problem(),
            (405, "method_not_allowed"),
            "{method} {path}"
        );
        let mut told: Vec<_> = reply.header("allow").split(',').collect();
        let mut wanted: Vec<_> = allow.split(',').collect();
        told.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(told, wanted, "{method} {path}");
    }
}

#[tokio::test]
async fn a_change_must_change_something() {
    let server = Server::start().await;
    let account = server.account(partner("acme")).await;
    let empty = server.patch(&account, json!({})).await;
    assert_eq!(empty.problem(), (422, "invalid_members"));
    let unknown = server.patch(&account, json!({ "login": "other" })).await;
    assert_eq!(unknown.body["errors"][0]["pointer"], "/login");
    let list = server.get(&format!("{account}/credentials")).await;
    let credential = format!("{account}/credentials/{}", list.body["items"][0]["id"]);
    let empty = server.patch(&credential, json!({})).await;
    assert_eq!(
        told(&empty.body),
        "contains no change (give state or scopes)"
    );
}
