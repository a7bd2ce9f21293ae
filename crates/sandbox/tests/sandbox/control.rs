//! The control endpoints.

use countersign_domain::TokenOperation;
use countersign_sandbox::{ClockSkew, RevocationTarget, Sandbox, VendorFault};
use serde_json::{Value, json};

use crate::client::{Client, exchange, reply};
use crate::{HOUR, SECOND, start};

/// What a request to the control endpoints comes to.
async fn control(sandbox: &Sandbox, request: &str, body: &str) -> (u16, Value) {
    let manifest = sandbox.manifest();
    let key = manifest["control_key"].as_str().unwrap();
    control_with(sandbox, key, request, body).await
}

async fn control_with(sandbox: &Sandbox, key: &str, request: &str, body: &str) -> (u16, Value) {
    let (method, path) = request.split_once(' ').unwrap();
    let head = format!("{method} /sandbox/v1{path} HTTP/1.1\r\nAuthorization: Bearer {key}\r\n");
    let answer = exchange(sandbox.control().unwrap(), &head, body.as_bytes()).await;
    let answer = reply(&answer);
    let document = serde_json::from_slice(answer.body()).unwrap();
    (answer.status().as_u16(), document)
}

async fn controlled(dialect: &str) -> Sandbox {
    start(Sandbox::shipped(dialect).still().controlled(None)).await
}

#[tokio::test]
async fn the_clock_is_advanced_and_set_and_not_moved_back() {
    let sandbox = controlled("mypopup").await;
    let began = sandbox.now();
    let (status, moved) = control(&sandbox, "POST /clock", r#"{"advance": "1h30m"}"#).await;
    assert_eq!(status, 200);
    assert_eq!(sandbox.now(), began + HOUR * 3 / 2);
    assert_eq!(control(&sandbox, "GET /clock", "").await, (200, moved));
    let set = control(
        &sandbox,
        "POST /clock",
        r#"{"set": "2101-01-01T00:00:00Z"}"#,
    )
    .await;
    assert_eq!(set.1["now"], "2101-01-01T00:00:00.000000Z");
    let (status, back) = control(
        &sandbox,
        "POST /clock",
        r#"{"set": "2100-01-01T00:00:00Z"}"#,
    )
    .await;
    assert_eq!(status, 422);
    let detail = back["detail"].as_str().unwrap();
    assert!(
        detail.contains("2101-01-01") && detail.contains("is not moved back"),
        "{detail}"
    );
}

#[tokio::test]
async fn a_fault_is_armed_as_it_is_written_and_told_as_it_is_left() {
    let cases = [
        (json!({"fault": "lost_reply"}), VendorFault::lost_reply()),
        (
            json!({"fault": "status", "status": 429, "retry_after": "30s", "on": "login", "count": 3}),
            VendorFault::status(429)
                .retry_after(SECOND * 30)
                .on(TokenOperation::Login)
                .times(3),
        ),
        (
            json!({"fault": "delay", "delay": "250ms", "on": "guard", "rate": 0.5}),
            VendorFault::delay(SECOND / 4)
                .on(TokenOperation::Guard)
                .rate(0.5),
        ),
        (json!({"fault": "cut", "on": "any"}), VendorFault::cut()),
        (
            json!({"fault": "skew", "by": "90s"}),
            VendorFault::skew(ClockSkew::Ahead(SECOND * 90)),
        ),
        (
            json!({"fault": "skew", "by": "-1h"}),
            VendorFault::skew(ClockSkew::Behind(HOUR)),
        ),
        (
            json!({"fault": "revoke", "what": "account", "on": "refresh"}),
            VendorFault::revoke(RevocationTarget::Account).on(TokenOperation::Refresh),
        ),
        (
            json!({"fault": "forbid", "on": "logout"}),
            VendorFault::forbid().on(TokenOperation::Logout),
        ),
    ];
    for (written, fault) in cases {
        let sandbox = controlled("mypopup").await;
        let (status, armed) = control(&sandbox, "POST /faults", &written.to_string()).await;
        assert_eq!(status, 200, "{armed}");
        assert_eq!(sandbox.faults(), [fault]);
        let told = armed[0].to_string();
        sandbox.clear_faults();
        control(&sandbox, "POST /faults", &told).await;
        assert_eq!(sandbox.faults(), [fault], "{told} is read as it is told");
        let cleared = control(&sandbox, "DELETE /faults", "").await;
        assert_eq!((cleared, sandbox.faults()), ((200, json!([])), vec![]));
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_told_with_what_could_be() {
    let cases = [
        ("POST /clock", "{}", "either advance"),
        (
            "POST /clock",
            r#"{"advance": "1h", "set": "2101-01-01T00:00:00Z"}"#,
            "either advance",
        ),
        ("POST /clock", r#"{"advance": 6}"#, "advance is not text"),
        ("POST /clock", r#"{"advance": "6"}"#, "6h or 1d2h"),
        ("POST /clock", r#"{"set": "tomorrow"}"#, "RFC 3339"),
        (
            "POST /clock",
            r#"{"advanse": "1h"}"#,
            r#""advanse" is not known here"#,
        ),
        ("POST /clock", "[]", "not a JSON object"),
        ("POST /clock", "advance=1h", "not JSON"),
        ("POST /faults", "{}", "fault is missing"),
        (
            "POST /faults",
            r#"{"fault": "lost"}"#,
            "lost_reply, status, delay",
        ),
        (
            "POST /faults",
            r#"{"fault": "cut", "on": "guards"}"#,
            "login, refresh, guard, logout, any",
        ),
        (
            "POST /faults",
            r#"{"fault": "cut", "count": 0}"#,
            "whole number from 1",
        ),
        (
            "POST /faults",
            r#"{"fault": "cut", "rate": 1.5}"#,
            "from 0 to 1",
        ),
        (
            "POST /faults",
            r#"{"fault": "cut", "rate": 1, "count": 1}"#,
            "either count or rate",
        ),
        (
            "POST /faults",
            r#"{"fault": "status"}"#,
            "status is missing",
        ),
        (
            "POST /faults",
            r#"{"fault": "status", "status": 200}"#,
            "from 400",
        ),
        (
            "POST /faults",
            r#"{"fault": "status", "status": 600}"#,
            "400 to 599",
        ),
        (
            "POST /faults",
            r#"{"fault": "skew", "by": "soon"}"#,
            "90s or -6h",
        ),
        (
            "POST /faults",
            r#"{"fault": "cut", "status": 500}"#,
            r#""status" is not known here"#,
        ),
        ("POST /assert", r#"{"logins": -1}"#, "whole number from 0"),
        ("POST /assert", "{}", "nothing is expected"),
        (
            "POST /assert",
            r#"{"no_expired": false}"#,
            "nothing is expected",
        ),
        (
            "POST /assert",
            r#"{"no_expired": true, "max_expired": 1}"#,
            "either no_expired",
        ),
    ];
    let sandbox = controlled("mypopup").await;
    for (request, body, expected) in cases {
        let (status, problem) = control(&sandbox, request, body).await;
        let status = (status, problem["status"].as_u64());
        assert_eq!(status, (422, Some(422)), "{body}");
        let detail = problem["detail"].as_str().unwrap();
        let help = problem["help"].as_str().unwrap_or_default();
        let is_told = detail.contains(expected) || help.contains(expected);
        assert!(is_told, "{body}: {detail} {help}");
        assert_ne!(problem["errors"], Value::Null, "{problem}");
        for cure in ["give ", "such as", "write ", ": there are"] {
            assert!(!detail.contains(cure), "{cure} in {detail}");
        }
    }
    assert_eq!(sandbox.faults(), []);
}

#[tokio::test]
async fn the_record_holds_no_secret_and_is_judged() {
    let sandbox = controlled("b2binpay").await;
    let mut client = Client::logged_in(&sandbox).await;
    client.refresh().await.unwrap();
    client.call().await;
    sandbox.advance(HOUR);
    client.call().await;
    let (_, requests) = control(&sandbox, "GET /requests", "").await;
    let line = |at: usize, name: &str| requests[at][name].clone();
    assert_eq!(line(0, "operation"), "login");
    assert_eq!(line(1, "change"), "rotated");
    assert_eq!(
        (line(2, "path"), line(2, "generation")),
        (json!("/deposit/7"), json!(1))
    );
    assert_eq!(
        (line(3, "status"), line(3, "refusal")),
        (json!(401), json!("token_expired"))
    );
    let held = client.held.unwrap();
    let text = requests.to_string();
    for secret in [
        sandbox.secret(),
        &held.access_token,
        held.refresh_token.as_ref().unwrap(),
    ] {
        assert!(!text.contains(secret.expose()));
    }
    let passed = r#"{"logins": 1, "max_refreshes": 1, "max_expired": 1}"#;
    let (_, verdict) = control(&sandbox, "POST /assert", passed).await;
    assert_eq!(
        (&verdict["passed"], &verdict["asked"]["expired"]),
        (&json!(true), &json!(1))
    );
    let failed = r#"{"logins": 2, "no_expired": true}"#;
    let (status, verdict) = control(&sandbox, "POST /assert", failed).await;
    assert_eq!((status, &verdict["passed"]), (200, &json!(false)));
    assert_eq!(verdict["failures"].as_array().unwrap().len(), 2);
    control(&sandbox, "DELETE /requests", "").await;
    assert_eq!(
        control(&sandbox, "GET /requests", "").await,
        (200, json!([]))
    );
}

#[tokio::test]
async fn nothing_opens_without_the_key_and_the_vendor_has_no_such_path() {
    let sandbox = controlled("mypopup").await;
    for key in ["", "wrong", sandbox.secret().expose()] {
        let (status, _) = control_with(&sandbox, key, "POST /clock", r#"{"advance": "1h"}"#).await;
        assert_eq!(status, 401);
    }
    let manifest = sandbox.manifest();
    let key = manifest["control_key"].as_str().unwrap();
    let head = format!("GET /sandbox/v1/clock HTTP/1.1\r\nAuthorization: Bearer {key}\r\n");
    let answer = reply(&exchange(sandbox.url(), &head, b"").await);
    assert_eq!(answer.status(), 401, "it is a guarded path like any other");
    assert_eq!(sandbox.requests().len(), 1);
}

#[tokio::test]
async fn other_paths_and_methods_are_told_what_there_is() {
    let sandbox = controlled("mypopup").await;
    let (status, problem) = control(&sandbox, "GET /clocks", "").await;
    assert_eq!(status, 404);
    assert!(
        problem["help"]
            .as_str()
            .unwrap()
            .contains("/sandbox/v1/clock,")
    );
    let (status, problem) = control(&sandbox, "PUT /clock", "").await;
    assert_eq!(
        (status, &problem["detail"], &problem["help"]),
        (
            405,
            &json!("/sandbox/v1/clock does not take PUT"),
            &json!("it takes GET, POST")
        )
    );
}
