//! `countersign logout`.

use countersign_domain::TokenOperation;

use crate::stage::{ALWAYS_200, Stage, vendor};

/// A stage with a vendor of [`ALWAYS_200`], whose token is `t0ken-of-ann`.
fn always_200(logged_out: &'static str) -> Stage {
    let stage = Stage::start();
    let dialect = stage.write("small.toml", ALWAYS_200);
    let url = vendor(move |request| {
        let body = match request.starts_with("POST /logout") {
            true => logged_out,
            false => r#"{"ok": true, "token": "t0ken-of-ann", "expires_in": 3600}"#,
        };
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
    });
    stage.profiles(&format!(
        "[pay]\ndialect = '{}'\nurl = '{url}'\nlogin = 'ann'\nsecret_file = '~/secret'\n",
        dialect.display()
    ));
    stage
}

#[test]
fn a_logout_that_is_denied_in_other_words_keeps_the_tokens() {
    let stage = always_200(r#"{"ok": false, "error": "xx of t0ken-of-ann"}"#);
    stage.run(&["login", "pay"]).code(0);
    let ran = stage.run(&["logout", "pay"]).code(1);
    assert!(ran.stderr.contains("\"xx of …\""), "{}", ran.stderr);
    assert_eq!(
        stage.run(&["token", "pay"]).code(0).stdout,
        "t0ken-of-ann\n"
    );
}

#[test]
fn a_session_is_ended_with_the_vendor_and_forgotten() {
    for dialect in ["mypopup", "apirone"] {
        let stage = Stage::speaking(dialect);
        stage.run(&["login", "pay"]).code(0);
        let ran = stage.run(&["logout", "pay"]).code(0);
        assert!(
            ran.stdout.contains("the vendor has ended the session"),
            "{}",
            ran.stdout
        );
        stage.assert_discreet(&ran);
        let status = stage.json(&["status"]);
        assert!(status["items"][0]["session"].is_null(), "{status}");
        assert_eq!(stage.asked(TokenOperation::Logout), 1);
        stage.run(&["token", "pay"]).code(0);
        assert_eq!(stage.asked(TokenOperation::Login), 2);
    }
}

#[test]
fn where_the_vendor_knows_no_logout_that_is_said() {
    let stage = Stage::start();
    stage.run(&["login", "pay"]).code(0);
    assert_eq!(stage.json(&["logout", "pay"])["outcome"], "forgotten");
    assert_eq!(stage.json(&["logout", "pay"])["outcome"], "not_logged_in");
}

#[test]
fn tokens_are_kept_as_long_as_the_vendor_cannot_be_told() {
    let stage = Stage::speaking("mypopup");
    stage.run(&["login", "pay"]).code(0);
    stage.answers(TokenOperation::Logout, 503, 9);
    stage.run(&["logout", "pay"]).code(69);
    stage.sandbox.clear_faults();
    assert_eq!(stage.json(&["logout", "pay"])["outcome"], "done");
}

#[test]
fn tokens_are_forgotten_without_the_vendor_if_somebody_says_so() {
    let stage = Stage::speaking("mypopup");
    stage.run(&["login", "pay"]).code(0);
    stage.answers(TokenOperation::Logout, 503, 9);
    let told = stage.json(&["logout", "pay", "--forget"]);
    assert_eq!(told["outcome"], "forgotten");
    assert!(stage.json(&["status"])["items"][0]["session"].is_null());
}

#[test]
fn with_v_the_logout_is_shown() {
    let stage = Stage::speaking("mypopup");
    stage.run(&["login", "pay"]).code(0);
    let ran = stage.run(&["logout", "pay", "-v"]).code(0);
    stage.assert_discreet(&ran);
    assert!(ran.stderr.contains("* logout\n> "), "{}", ran.stderr);
    stage.run(&["login", "pay"]).code(0);
    stage.answers(TokenOperation::Logout, 503, 9);
    let ran = stage.run(&["logout", "pay", "-v", "--json"]).code(69);
    let exchange = &ran.error()["details"]["exchanges"][0];
    assert_eq!(exchange["operation"], "logout");
    assert_eq!(exchange["reply"]["first"], "503 Service Unavailable");
}
