//! `countersign login`.

use std::process::Command;

use countersign_domain::TokenOperation;
use serde_json::Value;

use crate::run::Ran;
use crate::stage::{DIALECTS, Stage};

#[test]
fn a_login_is_told_and_kept() {
    for dialect in DIALECTS {
        let stage = Stage::speaking(dialect);
        let ran = stage.run(&["login", "pay"]).code(0);
        assert!(
            ran.stdout.starts_with("Logged in to pay as "),
            "{}",
            ran.stdout
        );
        assert!(
            ran.stdout.contains("The access token ends in "),
            "{}",
            ran.stdout
        );
        assert!(ran.stderr.is_empty(), "{}", ran.stderr);
        stage.assert_discreet(&ran);
        stage.run(&["token", "pay"]).code(0);
        assert_eq!(stage.asked(TokenOperation::Login), 1, "{dialect}");
    }
}

#[test]
fn a_login_is_one_document_for_a_program() {
    let stage = Stage::speaking("mypopup");
    let told = stage.json(&["login", "pay"]);
    assert_eq!(told["profile"], "pay");
    assert_eq!(told["login"], stage.sandbox.login());
    assert_eq!(told["client_id"], stage.sandbox.client_id());
    for end in ["expires_at", "refresh_expires_at"] {
        assert!(told[end].as_str().unwrap().ends_with('Z'), "{told}");
    }
}

#[test]
fn a_login_is_made_even_if_a_token_is_fresh() {
    let stage = Stage::start();
    stage.run(&["login", "pay"]).code(0);
    stage.run(&["login", "pay"]).code(0);
    assert_eq!(stage.asked(TokenOperation::Login), 2);
}

/// 64 hexadecimal digits.
fn has_signature(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_ascii_hexdigit());
    words.any(|word| word.len() == 64)
}

#[test]
fn the_exchange_is_shown_without_its_secrets() {
    for dialect in DIALECTS {
        let stage = Stage::speaking(dialect);
        let ran = stage.run(&["login", "pay", "-v"]).code(0);
        stage.assert_discreet(&ran);
        assert!(!ran.stdout.contains("POST"), "{}", ran.stdout);
        assert!(!has_signature(&ran.stderr), "{}", ran.stderr);
        for part in [
            "> POST http://",
            "> user-agent: countersign/",
            "> accept: ",
            "\"[secret]\"",
            "< 200 OK",
            "[redacted, ",
            "$COUNTERSIGN_SECRET",
        ] {
            assert!(
                ran.stderr.contains(part),
                "{dialect} lacks {part}: {}",
                ran.stderr
            );
        }
        let told = stage.run(&["login", "pay", "-v", "--json"]).code(0);
        stage.assert_discreet(&told);
        assert_eq!(told.json()["exchange"]["reply"]["first"], "200 OK");
    }
}

#[test]
fn the_structure_of_the_reply_stays() {
    let stage = Stage::start();
    let told = stage.json(&["login", "pay", "-v"]);
    let body = told["exchange"]["reply"]["body"].as_str().unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    let attributes = &body["data"]["attributes"];
    for token in ["access", "refresh"] {
        let shown = attributes[token].as_str().unwrap();
        assert!(shown.starts_with("[redacted, "), "{shown}");
    }
    assert_eq!(attributes["is_2fa_confirmed"], false);
    assert!(
        attributes["access_expired_at"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
    assert_eq!(body["meta"]["sign"], "[redacted, 64 characters]");
}

#[test]
fn the_line_for_curl_does_the_same() {
    for dialect in DIALECTS {
        let stage = Stage::speaking(dialect);
        let told = stage.json(&["login", "pay", "-v"]);
        let line = told["exchange"]["curl"].as_str().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{line} -s -o /dev/null -w '%{{http_code}}'")]);
        shell.env("COUNTERSIGN_SECRET", stage.sandbox.secret().expose());
        let ran = Ran::from(shell.output().unwrap());
        assert_eq!(ran.stdout, "200", "{line}");
        assert_eq!(stage.asked(TokenOperation::Login), 2);
    }
}

#[test]
fn a_refused_login_shows_the_vendors_words_and_not_the_secret() {
    let stage = Stage::start();
    stage.set_secret("planted-secret-of-the-test");
    let ran = stage.run(&["login", "pay", "-v"]).code(77);
    assert!(ran.stderr.contains("< 400 Bad Request"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("No active account found"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("planted"), "{}", ran.stderr);
    let error = stage
        .run(&["login", "pay", "-v", "--json"])
        .code(77)
        .error();
    assert_eq!(error["details"]["refusal"], "bad_login");
    let exchange = &error["details"]["exchange"];
    assert_eq!(exchange["reply"]["first"], "400 Bad Request");
    assert!(!error.to_string().contains("planted"), "{error}");
}

/// The operations of exchanges, in their order.
fn operations(told: &Value) -> Vec<&str> {
    let exchanges = told["exchanges"].as_array().unwrap().iter();
    exchanges
        .map(|it| it["operation"].as_str().unwrap())
        .collect()
}

#[test]
fn the_logout_of_an_old_session_is_not_told_as_the_login() {
    let stage = Stage::speaking("apirone");
    stage.run(&["login", "pay"]).code(0);
    let told = stage.json(&["login", "pay", "-v"]);
    let reply = &told["exchange"]["reply"];
    assert!(
        reply["body"].as_str().unwrap().contains("[redacted, "),
        "{reply}"
    );
    assert_eq!(operations(&told), ["login", "logout"]);
    let logout = &told["exchanges"][1];
    let asked = logout["request"].to_string();
    assert!(asked.contains("[access_token]"), "{logout}");
    let ran = stage.run(&["login", "pay", "-v"]).code(0);
    stage.assert_discreet(&ran);
    let (login, logout) = ran.stderr.split_once("* logout\n").unwrap();
    assert!(login.contains("* login\n> POST "), "{login}");
    assert!(login.contains("[redacted, "), "{login}");
    assert!(logout.starts_with("> "), "{logout}");
}
