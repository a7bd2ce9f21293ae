//! What goes wrong: each has its exit code, its words, and is not hammered.

use countersign_domain::TokenOperation;
use countersign_sandbox::VendorFault;

use crate::stage::{Stage, vendor};

/// The commands that need a token.
const COMMANDS: [&[&str]; 3] = [
    &["token", "pay"],
    &["request", "pay", "GET", "/deposit/"],
    &["exec", "pay", "--", "true"],
];

#[test]
fn a_wrong_secret_is_77_and_the_vendor_is_not_asked_again() {
    let stage = Stage::start();
    stage.set_secret("planted-secret-of-the-test");
    for command in COMMANDS.iter().cycle().take(6) {
        let ran = stage.run(command).code(77);
        assert!(ran.stdout.is_empty(), "{}", ran.stdout);
        assert!(
            ran.stderr.contains("No active account found"),
            "{}",
            ran.stderr
        );
        assert!(!ran.stderr.contains("planted"), "{}", ran.stderr);
    }
    assert_eq!(stage.asked(TokenOperation::Login), 1);
    let status = stage.run(&["status"]).code(0);
    assert!(
        status.stdout.contains("it is tried again in "),
        "{}",
        status.stdout
    );
    let status = stage.json(&["status"]);
    assert_eq!(status["items"][0]["paused"], true);
    assert_eq!(status["items"][0]["trouble"]["refusal"], "bad_login");
}

/// A vendor that repeats in its refusal what it was asked with.
fn indiscreet() -> String {
    vendor(|asked| {
        let body = asked.split("\r\n\r\n").nth(1).unwrap_or_default();
        let detail = serde_json::Value::from(format!("cannot log in with {body}"));
        let body = format!(
            r#"{{"errors": [{{"detail": {detail}, "status": "400", "source": {{"pointer": "/data"}}, "code": "2006"}}]}}"#
        );
        let length = body.len();
        format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {length}\r\n\r\n{body}")
    })
}

#[test]
fn a_vendor_that_repeats_the_secret_gives_nothing_away() {
    let stage = Stage::start();
    stage.profiles(&stage.profile(&indiscreet(), "secret_file = '~/secret'"));
    for secret in ["planted", "pla\"nted", "planted-and-long-0123456789"] {
        stage.set_secret(secret);
        for words in [
            &["login", "pay", "-v"][..],
            &["token", "pay"],
            &["login", "pay", "-v", "--json"],
            &["doctor", "pay", "--probe", "--yes"],
            &["doctor", "pay", "--json", "--probe", "--yes"],
            &["status"],
            &["status", "--json"],
        ] {
            let ran = stage.run(words);
            let all = format!("{}{}", ran.stdout, ran.stderr);
            assert!(all.contains("cannot log in"), "{words:?}: {all}");
            assert!(!all.contains("nted"), "{words:?}: {all}");
        }
    }
}

#[test]
fn a_login_by_hand_does_not_mind_the_pause() {
    let stage = Stage::start();
    stage.set_secret("wrong");
    stage.run(&["token", "pay"]).code(77);
    stage.run(&["login", "pay"]).code(77);
    assert_eq!(stage.asked(TokenOperation::Login), 2);
    stage.set_secret(stage.sandbox.secret().expose());
    stage.run(&["login", "pay"]).code(0);
    assert_eq!(stage.json(&["status"])["items"][0]["paused"], false);
}

#[test]
fn another_secret_ends_the_pause() {
    let stage = Stage::start();
    stage.set_secret("wrong");
    stage.run(&["token", "pay"]).code(77);
    stage.set_secret(stage.sandbox.secret().expose());
    stage.run(&["token", "pay"]).code(0);
    assert_eq!(stage.asked(TokenOperation::Login), 2);
}

#[test]
fn a_vendor_that_is_down_is_69() {
    let stage = Stage::start();
    stage.go_down();
    for command in COMMANDS.iter().chain(&[&["login", "pay"][..]]) {
        stage.run(command).code(69);
    }
    let error = stage.run(&["token", "pay", "--json"]).code(69).error();
    assert_eq!(error["error"], "unavailable");
    assert_eq!(error["details"]["transient"], true);
}

#[test]
fn a_vendor_that_asks_to_come_later_is_69_and_says_when() {
    let stage = Stage::start();
    let minute = std::time::Duration::from_secs(60);
    let fault = VendorFault::status(429).retry_after(minute);
    stage
        .sandbox
        .fault(fault.on(TokenOperation::Login).times(9));
    for _ in 0..3 {
        let error = stage.run(&["token", "pay", "--json"]).code(69).error();
        assert_eq!(error["details"]["kind"], "throttled", "{error}");
        assert!(error["details"]["retry_at"].is_string(), "{error}");
    }
    assert_eq!(stage.asked(TokenOperation::Login), 1);
}

#[test]
fn an_address_that_is_not_allowed_is_77() {
    let stage = Stage::start();
    stage
        .sandbox
        .fault(VendorFault::forbid().on(TokenOperation::Login));
    let error = stage.run(&["login", "pay", "--json"]).code(77).error();
    assert_eq!(error["details"]["refusal"], "address_denied");
}

#[test]
fn a_reply_that_breaks_off_costs_no_more_than_another_try() {
    let stage = Stage::start();
    stage
        .sandbox
        .fault(VendorFault::cut().on(TokenOperation::Login));
    let first = stage.run(&["token", "pay"]);
    assert!(first.code == 0 || first.code == 69, "{}", first.stderr);
    stage.run(&["login", "pay"]).code(0);
}
