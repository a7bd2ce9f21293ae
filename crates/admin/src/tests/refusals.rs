//! Refusals that were kept, as an operator looks for them.

use countersign_domain::{AccountId, Reason, TokenOperation};

use super::*;
use crate::refusal_ring::{NewRefusal, RefusingPart};

fn refused(id: &str, at: Timestamp, reason: Reason) -> NewRefusal {
    NewRefusal {
        id: id.to_owned(),
        at,
        front: RefusingPart::BuiltIn,
        api: Some("pay".parse().unwrap()),
        operation: Some(TokenOperation::Guard),
        reason,
        status: Some(reason.refusal(TokenOperation::Guard).default_status()),
        account: AccountId::new(100_001),
        account_api: None,
        login: None,
        session: None,
        address: "192.0.2.7".parse().unwrap(),
        method: "GET".to_owned(),
        path: "/api/v1/orders".to_owned(),
        detail: String::new(),
    }
}

fn ids(reply: &Reply) -> Vec<&str> {
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    let items = reply.body["items"].as_array().unwrap();
    items.iter().map(|it| it["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_refusal_is_shown_by_its_support_id() {
    let server = Server::start().await;
    let refusal = refused("5f0d", server.clock.now(), Reason::SessionRevoked);
    server.state.refusals.record(refusal);
    let shown = server.get("/admin/v1/refusals/5f0d").await;
    assert_eq!(shown.status, StatusCode::OK);
    let expected = json!({
        "id": "5f0d",
        "at": "2027-01-15T08:00:00.000250Z",
        "api": "pay",
        "front": "built-in",
        "operation": "guard",
        "code": "bad_bearer",
        "status": 401,
        "reason": "session_revoked",
        "detail": "",
        "account": 100_001,
        "login": null,
        "session": null,
        "address": "192.0.2.7",
        "method": "GET",
        "path": "/api/v1/orders",
        "repeated": 0,
        "last_at": "2027-01-15T08:00:00.000250Z",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&shown.body[name], value, "{name}");
    }
    let unknown = server.get("/admin/v1/refusals/5f0e").await;
    assert_eq!(unknown.problem(), (404, "no_such_refusal"));
}

#[tokio::test]
async fn the_beginning_of_a_support_id_is_enough_where_it_is_unique() {
    let server = Server::start().await;
    let now = server.clock.now();
    for id in ["5f0d3c6b", "5f0d3d", "5f0d3d77", "a1b2c3d4"] {
        let refusal = refused(id, now, Reason::SessionRevoked);
        server.state.refusals.record(refusal);
    }
    let show = async |id: &str| server.get(&format!("/admin/v1/refusals/{id}")).await;
    assert_eq!(show("5f0d3c").await.body["id"], "5f0d3c6b");
    let whole = show("5f0d3d").await;
    assert_eq!(
        whole.body["id"], "5f0d3d",
        "a whole id is nobody's beginning"
    );
    assert_eq!(show("5f0d3d7").await.body["id"], "5f0d3d77");
    assert_eq!(show("a").await.body["id"], "a1b2c3d4", "however short");
    let folded = show("A1B2C3D4").await;
    assert_eq!(folded.body["id"], "a1b2c3d4", "in upper case too");
    for several in ["5f0d3", "5f0", "5"] {
        let problem = show(several).await;
        assert_eq!(problem.problem(), (404, "several_refusals"), "{several}");
    }
    for none in ["5f0e", "b", "%25f0d", "5f0_", "5f0d3c6b0"] {
        assert_eq!(
            show(none).await.problem(),
            (404, "no_such_refusal"),
            "{none}"
        );
    }
}

#[tokio::test]
async fn refusals_are_listed_by_whom_where_and_since_when() {
    let server = Server::start().await;
    let now = server.clock.now();
    let hour = Duration::from_secs(3_600);
    let old = refused("old", now - 2 * hour, Reason::TokenExpired);
    server.state.refusals.record(old);
    server.state.refusals.record(NewRefusal {
        account: None,
        login: Some("acme".to_owned()),
        operation: Some(TokenOperation::Login),
        address: "2001:db8::1".parse().unwrap(),
        ..refused("new", now, Reason::WrongSecret)
    });
    let all = server.get("/admin/v1/refusals").await;
    assert_eq!(ids(&all), ["new", "old"]);
    assert_eq!(all.body["dropped"], 0);
    for (query, expected) in [
        ("account=100001", "old"),
        ("code=expired_bearer", "old"),
        ("until=1h", "old"),
        ("login=acme", "new"),
        ("address=2001:db8:0:0::1", "new"),
        ("code=wrong_secret", "new"),
        ("since=90m", "new"),
        ("since=2027-01-15T08:00:00Z&api=pay", "new"),
    ] {
        let listed = server.get(&format!("/admin/v1/refusals?{query}")).await;
        assert_eq!(ids(&listed), [expected], "{query}");
    }
    let first = server.get("/admin/v1/refusals?limit=1").await;
    assert_eq!(ids(&first), ["new"]);
    let next = &first.body["next"];
    let rest = server
        .get(&format!("/admin/v1/refusals?limit=1&after={next}"))
        .await;
    assert_eq!(
        (ids(&rest), &rest.body["next"]),
        (vec!["old"], &Value::Null)
    );
}

#[tokio::test]
async fn every_parameter_that_is_wrong_is_reported() {
    let server = Server::start().await;
    let query = "account=0&address=nowhere&code=because&api=nope&since=soon&after=x&limit=0&who=me";
    let reply = server.get(&format!("/admin/v1/refusals?{query}")).await;
    assert_eq!(reply.problem(), (400, "invalid_parameters"));
    let errors = reply.body["errors"].as_array().unwrap();
    let named: Vec<_> = errors
        .iter()
        .map(|it| it["parameter"].as_str().unwrap())
        .collect();
    let wrong = [
        "account", "address", "after", "api", "code", "limit", "since", "who",
    ];
    for name in wrong {
        assert!(named.contains(&name), "{name}: {}", reply.body);
    }
}

#[tokio::test]
async fn a_ring_that_cannot_be_read_is_unavailable_and_nothing_else_is() {
    let mut server = Server::start().await;
    server.state.refusals = RefusalRing::open(std::path::Path::new("/nonexistent/refusals.db"));
    server.service = router(server.state.clone());
    let reply = server.get("/admin/v1/refusals").await;
    assert_eq!(reply.problem(), (503, "unavailable"));
    assert_eq!(server.get("/admin/v1/apis").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_login_is_explained_by_cause_with_what_changed_before() {
    let server = Server::start().await;
    let account = server.account(partner("acme")).await;
    let session = server.session(&account).await;
    let start = server.clock.now();
    server.clock.set(start + Duration::from_secs(60));
    server.patch(&account, json!({ "state": "disabled" })).await;
    server.clock.set(start + Duration::from_secs(120));
    let now = server.clock.now();
    server.state.refusals.record(NewRefusal {
        session: SessionId::from_hex(&session),
        ..refused("used", now, Reason::SessionRevoked)
    });
    let login = NewRefusal {
        account: None,
        login: Some("acme".to_owned()),
        operation: Some(TokenOperation::Login),
        ..refused("login", now, Reason::AccountDisabled)
    };
    server.state.refusals.record(login.clone());
    server.state.refusals.record(NewRefusal {
        login: Some("somebody-else".to_owned()),
        ..login
    });
    server.state.refusals.record(NewRefusal {
        account: None,
        ..refused("unknown", now, Reason::TokenMissing)
    });
    server.state.refusals.record(NewRefusal {
        account: None,
        address: "203.0.113.9".parse().unwrap(),
        ..refused("elsewhere", now, Reason::TokenMissing)
    });

    let told = server.get("/admin/v1/explain?login=acme&since=1h").await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text());
    let causes = told.body["causes"].as_array().unwrap();
    let mut counts: Vec<_> = causes
        .iter()
        .map(|it| {
            (
                it["reason"].as_str().unwrap(),
                it["count"].as_u64().unwrap(),
            )
        })
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, [("account_disabled", 1), ("session_revoked", 1)]);
    // Who they are is not known: they may be somebody else at its address.
    let nearby = told.body["from_its_addresses"].as_array().unwrap();
    let told_of = |it: &Value| (it["reason"].clone(), it["example"]["id"].clone());
    let nearby: Vec<_> = nearby.iter().map(told_of).collect();
    assert_eq!(nearby, [(json!("token_missing"), json!("unknown"))]);
    let used = causes
        .iter()
        .find(|it| it["reason"] == "session_revoked")
        .unwrap();
    assert_eq!(used["example"]["id"], "used");
    assert_eq!(used["example"]["session_end"]["reason"], "account_disabled");
    assert_eq!(used["before"][0]["what"], "account_disabled");
    assert_eq!(used["before"][0]["by"], "operator:owner");
    assert_eq!(used["means"], Reason::SessionRevoked.meaning());
    let standing = &told.body["accounts"][0];
    assert_eq!(
        (&standing["state"], &standing["live_sessions"]),
        (&json!("disabled"), &json!(0))
    );
    assert_eq!(standing["last_login"]["address"], "192.0.2.7");
    assert_eq!(standing["last_end"]["reason"], "account_disabled");

    let later = server
        .get("/admin/v1/explain?login=acme&since=2030-01-01T00:00:00Z")
        .await;
    assert_eq!(later.body["causes"], json!([]));
    assert_eq!(later.body["from_its_addresses"], json!([]));
    let nobody = server.get("/admin/v1/explain?login=nobody").await;
    assert_eq!(
        (&nobody.body["accounts"], &nobody.body["causes"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(server.get("/admin/v1/explain").await.problem().0, 400);
}

/// A login may be a partner's at several apis, and what happens to a session
/// later is not a cause.
#[tokio::test]
async fn what_happened_elsewhere_or_later_is_not_told_as_what_led_to_a_refusal() {
    let server = Server::start().await;
    let theirs = server
        .account(json!({ "api": "coin", "login_prefix": "apr" }))
        .await;
    let login = server.get(&theirs).await.body["login"].clone();
    let login = login.as_str().unwrap();
    let account = server.account(partner(login)).await;
    let session = server.session(&account).await;
    let start = server.clock.now();
    server.clock.set(start + Duration::from_secs(60));
    server.patch(&theirs, json!({ "state": "disabled" })).await;
    server.clock.set(start + Duration::from_secs(120));
    let id = account.rsplit('/').next().unwrap().parse().unwrap();
    server.state.refusals.record(NewRefusal {
        account: AccountId::new(id),
        session: SessionId::from_hex(&session),
        ..refused("earlier", server.clock.now(), Reason::UpstreamFailed)
    });
    server.clock.set(start + Duration::from_secs(180));
    server
        .delete(&format!("/admin/v1/sessions/{session}"))
        .await;

    let told = server
        .get(&format!("/admin/v1/explain?login={login}&since=1h"))
        .await;
    assert_eq!(told.body["accounts"].as_array().unwrap().len(), 2);
    let cause = &told.body["causes"][0];
    assert_eq!(cause["example"]["id"], "earlier", "{}", told.text());
    assert_eq!(cause["example"]["session_end"], Value::Null);
    let before = cause["before"].to_string();
    assert!(!before.contains("account_disabled"), "{before}");
}
