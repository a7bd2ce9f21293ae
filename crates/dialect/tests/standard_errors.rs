//! The refusals that a file for clients has which says nothing of errors: those of
//! RFC 6749 section 5.2.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use bytes::Bytes;
use countersign_dialect::{ClientValues, Dialect, RefusedBy, UnderstoodReply, UnintelligibleReply};
use countersign_domain::{RefreshMode, Refusal, Timestamp, TokenOperation};
use http::Response;

const LEAST: &str = r#"
schema = 1
name = "acme"
serves = ["client"]

[[login]]
path = "/token"
request.form = { client_id = "{login}", client_secret = "{secret}" }
reply.body = '{"access_token": "{access_token}", "expires_in": "{access_expires_at:in}"}'

[[refresh]]
path = "/renew"
request.form = { refresh_token = "{refresh_token}" }
reply.body = '{"access_token": "{access_token}", "expires_in": "{access_expires_at:in}"}'

[guard]
present = [{ header = "Authorization", value = "Bearer {access_token}" }]
"#;

fn understood(
    source: &str,
    operation: TokenOperation,
    (status, media, body): (u16, Option<&str>, &'static str),
) -> Result<UnderstoodReply, UnintelligibleReply> {
    let dialect = Dialect::compile(source, "f").unwrap_or_else(|it| panic!("{it}"));
    let variant = dialect.variants().next().unwrap();
    let mut reply = Response::builder().status(status);
    if let Some(media) = media {
        reply = reply.header("content-type", media);
    }
    let reply = reply.body(Bytes::from_static(body.as_bytes())).unwrap();
    let asking = ClientValues::default();
    let now = Timestamp::from_seconds(1_800_000_000);
    dialect.understand(operation, variant, &asking, &reply, now)
}

fn refused(source: &str, operation: TokenOperation, status: u16, body: &'static str) -> RefusedBy {
    match understood(source, operation, (status, None, body)) {
        Ok(UnderstoodReply::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_error_is_judged_by_its_code_under_any_status() {
    use TokenOperation::{Guard, Login, Refresh};
    for (operation, status, body, refusal) in [
        (
            Login,
            400,
            r#"{"error": "invalid_client"}"#,
            Refusal::BadLogin,
        ),
        (
            Login,
            401,
            r#"{"error": "invalid_client"}"#,
            Refusal::BadLogin,
        ),
        (
            Login,
            403,
            r#"{"error": "invalid_grant"}"#,
            Refusal::BadLogin,
        ),
        (
            Login,
            400,
            r#"{"error": "unauthorized_client"}"#,
            Refusal::BadLogin,
        ),
        (
            Refresh,
            400,
            r#"{"error": "invalid_grant"}"#,
            Refusal::BadRefresh,
        ),
        (
            Refresh,
            401,
            r#"{"error": "invalid_client"}"#,
            Refusal::BadRefresh,
        ),
        (
            Login,
            400,
            r#"{"error": "invalid_request"}"#,
            Refusal::Malformed,
        ),
        (
            Login,
            400,
            r#"{"error": "invalid_scope"}"#,
            Refusal::Malformed,
        ),
        (
            Login,
            400,
            r#"{"error": "something_else"}"#,
            Refusal::Malformed,
        ),
        (Login, 400, "", Refusal::Malformed),
        (Login, 401, "", Refusal::BadLogin),
        (Login, 403, "", Refusal::Forbidden),
        (
            Login,
            401,
            r#"{"error": {"message": "no"}}"#,
            Refusal::BadLogin,
        ),
        (Login, 429, "", Refusal::Throttled),
        (Login, 503, r#"{"error": "x"}"#, Refusal::Unavailable),
        (
            Guard,
            401,
            r#"{"error": "invalid_token"}"#,
            Refusal::BadBearer,
        ),
    ] {
        for source in [LEAST, &format!("{LEAST}\n[errors]\n[refusals]\n")] {
            let told = refused(source, operation, status, body);
            assert_eq!(told.refusal, refusal, "{operation:?} {status} {body}");
        }
    }
    let body = r#"{"error": "invalid_client", "error_description": "No such client"}"#;
    let told = refused(LEAST, Login, 400, body);
    assert_eq!(told.code.as_deref(), Some("invalid_client"));
    assert_eq!(told.detail.as_deref(), Some("No such client"));
}

/// Refusals of servers that know nothing of RFC 6749.
const OF_OTHERS: [(u16, Option<&str>, &str); 10] = [
    (
        404,
        Some("text/plain; charset=utf-8"),
        "404 page not found\n",
    ),
    (
        403,
        Some("application/json"),
        r#"{"message": "Missing Authentication Token"}"#,
    ),
    (
        401,
        Some("application/problem+json"),
        r#"{"type": "about:blank", "title": "Unauthorized"}"#,
    ),
    (
        401,
        Some("application/json"),
        r#"{"kind": "Status", "status": "Failure", "code": 401}"#,
    ),
    (
        403,
        Some("application/xml"),
        "<Error><Code>AccessDenied</Code></Error>",
    ),
    (401, None, "<html><title>401</title></html>"),
    (405, Some("text/plain"), "Method Not Allowed"),
    (418, Some("text/plain"), "I'm a teapot"),
    (400, Some("application/json"), r#"["no"]"#),
    (
        501,
        Some("application/json"),
        r#"{"detail": "Not implemented"}"#,
    ),
];

#[test]
fn a_refusal_that_is_not_of_the_standard_is_another_servers() {
    for reply in OF_OTHERS {
        for operation in [TokenOperation::Login, TokenOperation::Refresh] {
            let fault = understood(LEAST, operation, reply).unwrap_err();
            let told = format!("{fault} {}", fault.help().unwrap_or_default());
            for words in [
                "not of this dialect",
                "is the URL that of the API?",
                "RFC 6749",
            ] {
                assert!(told.contains(words), "{reply:?}: {told}");
            }
        }
    }
    let passing = (503, Some("text/plain"), "Service Unavailable");
    let told = understood(LEAST, TokenOperation::Login, passing);
    assert!(matches!(told, Ok(UnderstoodReply::Refused(by)) if by.refusal == Refusal::Unavailable));
}

#[test]
fn a_line_for_a_status_says_that_its_body_does_not_matter() {
    let own = format!("{LEAST}\n[refusals]\nbad_login = {{ status = 401 }}\n");
    for body in [r#"{"message": "no"}"#, "Unauthorized"] {
        let told = refused(&own, TokenOperation::Login, 401, body);
        assert_eq!(told.refusal, Refusal::BadLogin);
    }
    for reply in [
        (401, Some("text/html"), "<h1>Login</h1>"),
        (403, Some("application/json"), r#"{"message": "no"}"#),
    ] {
        let told = understood(&own, TokenOperation::Login, reply).unwrap_err();
        assert!(told.to_string().contains("not of this dialect"), "{told}");
    }
}

#[test]
fn a_no_under_a_status_of_success_is_one_in_other_words_too() {
    let tested = LEAST.replace(
        "reply.body",
        "reply.success = { \"/ok\" = true }\nreply.body",
    );
    for error in [
        r#"{"ok": false, "error": "invalid_auth"}"#,
        r#"{"ok": false}"#,
    ] {
        let told = refused(&tested, TokenOperation::Login, 200, error);
        assert_eq!(told.refusal, Refusal::BadLogin, "{error}");
    }
}

#[test]
fn a_status_that_the_file_spells_is_the_files_alone() {
    let own = format!("{LEAST}\n[refusals]\nthrottled = {{ status = 403 }}\n");
    let told = refused(
        &own,
        TokenOperation::Login,
        403,
        r#"{"error": "invalid_grant"}"#,
    );
    assert_eq!(told.refusal, Refusal::Throttled);
    let told = refused(
        &own,
        TokenOperation::Login,
        400,
        r#"{"error": "invalid_grant"}"#,
    );
    assert_eq!(told.refusal, Refusal::BadLogin);
    let shape = format!("{LEAST}\n[errors]\nbody = '{{\"message\": \"{{detail?}}\"}}'\n");
    let told = refused(
        &shape,
        TokenOperation::Login,
        400,
        r#"{"message": "invalid_grant"}"#,
    );
    assert_eq!(told.refusal, Refusal::Malformed);
}

#[test]
fn what_a_refresh_does_follows_from_its_reply() {
    let mode = |source: &str| Dialect::compile(source, "f").unwrap().refresh_mode();
    assert_eq!(mode(LEAST), RefreshMode::Keep);
    let rotating = LEAST.replace(
        "{\"access_token\"",
        "{\"refresh\": \"{refresh_token}\", \"access_token\"",
    );
    assert_eq!(mode(&rotating), RefreshMode::Rotate);
    let (head, rest) = LEAST.split_once("[[refresh]]").unwrap();
    let (_, tail) = rest.split_once("[guard]").unwrap();
    assert_eq!(mode(&format!("{head}[guard]{tail}")), RefreshMode::None);
}

#[test]
fn an_issuer_says_all_of_it() {
    let issuer = LEAST.replace("[\"client\"]", "[\"issuer\", \"client\"]");
    let told = Dialect::compile(&issuer, "f").unwrap_err().to_string();
    for section in ["/session", "/errors", "/refusals", "/preset"] {
        assert!(told.contains(&format!("{section}: is missing")), "{told}");
    }
}
