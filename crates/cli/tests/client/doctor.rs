//! `countersign doctor`.

use countersign_domain::TokenOperation;
use countersign_sandbox::{ClockSkew, VendorFault};
use countersign_testing::certificates::MadeCertificate;
use countersign_testing::listening::nowhere;
use serde_json::Value;

use crate::run::Ran;
use crate::stage::{DIALECTS, Stage, vendor};
use crate::support::Server;

/// What was found by one check.
fn found(document: &Value, check: &str) -> String {
    let checks = document["items"][0]["checks"].as_array().unwrap();
    let check = checks.iter().find(|it| it["check"] == check);
    check.map_or(String::new(), |it| it["found"].as_str().unwrap().to_owned())
}

fn measured(ran: &Ran) -> Value {
    ran.json()["items"][0]["measured"].clone()
}

#[test]
fn a_healthy_profile_is_found_healthy_and_nobody_is_logged_in() {
    for dialect in DIALECTS {
        let stage = Stage::speaking(dialect);
        let ran = stage.run(&["doctor"]).code(0);
        for check in [
            "profile",
            "secret",
            "store",
            "DNS",
            "TCP",
            "login path",
            "clock",
        ] {
            let good = ran.stdout.lines().any(|line| {
                let words = line.split_once("  ");
                words.is_some_and(|(found, rest)| {
                    found == "ok" && rest.trim_start().starts_with(check)
                })
            });
            assert!(good, "{dialect}: {check} is not good: {}", ran.stdout);
        }
        stage.assert_discreet(&ran);
        assert!(
            stage
                .sandbox
                .requests()
                .iter()
                .all(|it| it.change.is_none())
        );
    }
}

#[test]
fn each_thing_that_is_wrong_is_found() {
    let stage = Stage::start();
    let wrong = |secret: &str, url: &str| {
        stage.profiles(&stage.profile(url, secret));
        stage.run(&["doctor", "pay", "--json"])
    };
    let (url, secret) = (stage.sandbox.url(), "secret_file = '~/secret'");
    let document = wrong(secret, &nowhere()).code(69).json();
    assert_eq!(found(&document, "TCP"), "unreachable", "{document}");
    let document = wrong(secret, "https://no-such-host.invalid")
        .code(69)
        .json();
    assert_eq!(found(&document, "DNS"), "unreachable", "{document}");
    let document = wrong(secret, &url.replace("http://", "https://")).json();
    assert!(
        ["failed", "unreachable"].contains(&&*found(&document, "TLS")),
        "{document}"
    );
    let document = wrong("secret_file = '~/no-such-file'", url).code(1).json();
    assert_eq!(found(&document, "secret"), "failed", "{document}");
}

#[test]
fn what_may_have_come_into_a_secret_by_mistake_is_asked_about() {
    let stage = Stage::start();
    let secret = stage.sandbox.secret().expose().to_owned();
    for (text, outcome, words) in [
        (format!("{secret}\n"), "ok", "it can be read"),
        (format!(" {secret}"), "warning", "with a blank"),
        (
            format!("{secret}\nlogin: ann\n"),
            "warning",
            "several lines",
        ),
        (format!("\u{feff}{secret}"), "failed", "a byte order mark"),
        (format!("{secret}\u{200b}\n"), "failed", "U+200B"),
    ] {
        stage.set_secret(&text);
        let ran = stage.run(&["doctor", "pay", "--json"]);
        assert_eq!(found(&ran.json(), "secret"), outcome, "{}", ran.stdout);
        assert!(ran.stdout.contains(words), "{}", ran.stdout);
        assert!(!ran.stdout.contains(&secret), "{}", ran.stdout);
    }
}

#[test]
fn what_answers_in_the_vendors_place_is_judged_by_its_status() {
    let stage = Stage::start();
    for (head, code, outcome, words) in [
        ("405 Method Not Allowed", 0, "ok", "answered with 405"),
        ("404 Not Found", 0, "warning", "`url` in the profile"),
        ("403 Forbidden", 0, "warning", "the vendor's list"),
        ("429 Too Many Requests", 0, "warning", "too many"),
        (
            "301 Moved\r\nLocation: https://x.example/?planted",
            1,
            "failed",
            "to https://x.example/, which",
        ),
        ("502 Bad Gateway", 69, "unreachable", "in trouble"),
        ("no HTTP", 69, "unreachable", "gives no answer"),
    ] {
        stage.profiles(&stage.profile(
            &vendor(move |_| format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n")),
            "secret_file = '~/secret'",
        ));
        let ran = stage.run(&["doctor", "pay", "--json"]).code(code);
        assert_eq!(found(&ran.json(), "login path"), outcome, "{}", ran.stdout);
        assert!(
            ran.stdout.contains(words) && !ran.stdout.contains("planted"),
            "{}",
            ran.stdout
        );
    }
}

#[test]
fn the_end_of_a_certificate_is_told_and_one_that_is_not_trusted_is_found() {
    let directory = tempfile::tempdir().unwrap();
    MadeCertificate::make(directory.path(), "tls", 2);
    let server = Server::start_in(
        directory,
        "[server]\ntls_certificate = 'tls.pem'\ntls_key = 'tls.key'\n[apis.pay]\ndialect = 'b2binpay'\n",
    );
    let stage = Stage::start();
    let secret = "secret_file = '~/secret'";
    stage.profiles(&stage.profile(&server.api, secret));
    let document = stage.run(&["doctor", "pay", "--json"]).code(1).json();
    assert_eq!(found(&document, "TLS"), "failed", "{document}");
    stage.profiles(&stage.profile(
        &server.api,
        &format!("{secret}\nroots = '{}'", server.file("tls.pem").display()),
    ));
    let ran = stage.run(&["doctor", "pay"]).code(0);
    // It is made for two days.
    assert!(
        ran.stdout
            .contains("TLS 1.3, its certificate ends in 1d 23h"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_vendor_whose_clock_is_wrong_is_a_warning() {
    let stage = Stage::start();
    let hour = std::time::Duration::from_secs(3_600);
    stage
        .sandbox
        .fault(VendorFault::skew(ClockSkew::Ahead(hour)));
    let document = stage.json(&["doctor"]);
    assert_eq!(found(&document, "clock"), "warning", "{document}");
}

#[test]
fn a_probe_measures_what_the_vendor_does_and_leaves_the_session_alone() {
    let stage = Stage::start();
    let token = stage.run(&["token", "pay"]).code(0).stdout;
    let words = [
        "doctor",
        "pay",
        "--probe",
        "--yes",
        "--path",
        "/deposit/",
        "--json",
    ];
    let ran = stage.run(&words).code(0);
    stage.assert_discreet(&ran);
    let measured = measured(&ran);
    let near = |value: &Value, seconds: u64| {
        let told = value.as_u64().unwrap();
        assert!((seconds - 2..=seconds).contains(&told), "{measured}");
    };
    near(&measured["login"]["access_seconds"], 180);
    near(&measured["login"]["refresh_seconds"], 21_600);
    assert_eq!(measured["login"]["exp_off_seconds"], 0);
    assert_eq!(measured["rotates"], true);
    assert_eq!(measured["reuse"], "same_successor");
    assert_eq!(measured["session_survives_reuse"], true);
    assert_eq!(measured["old_access_token_survives_refresh"], true);
    assert_eq!(measured["logged_out"], false);
    assert_eq!(stage.run(&["token", "pay"]).code(0).stdout, token);
    assert_eq!(stage.sessions(), 2);
}

#[test]
fn a_probe_logs_out_where_that_ends_its_own_session_only() {
    let stage = Stage::speaking("apirone");
    let measured = measured(
        &stage
            .run(&["doctor", "pay", "--probe", "--yes", "--json"])
            .code(0),
    );
    assert_eq!(measured["logged_out"], true);
    assert_eq!(measured["access_token_survives_logout"], false);
    assert_eq!(measured["refresh_token_survives_logout"], false);
    let stage = Stage::speaking("mypopup");
    let words = ["doctor", "pay", "--probe", "--yes", "--json"];
    let told = stage.run(&words).code(0).json();
    assert_eq!(told["items"][0]["measured"]["logged_out"], false);
    assert_eq!(stage.asked(TokenOperation::Logout), 0);
    let told = stage
        .run(&[&words[..], &["--end-all"]].concat())
        .code(0)
        .json();
    assert_eq!(told["items"][0]["measured"]["logged_out"], true);
}

#[test]
fn a_probe_tells_why_it_stopped() {
    let stage = Stage::start();
    stage.set_secret("planted-secret-of-the-test");
    let ran = stage.run(&["doctor", "pay", "--probe", "--yes"]).code(77);
    assert!(
        ran.stdout.contains("No active account found"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains("planted"), "{}", ran.stdout);
    stage.set_secret(stage.sandbox.secret().expose());
    stage.answers(TokenOperation::Refresh, 503, 1);
    let ran = stage
        .run(&["doctor", "pay", "--probe", "--yes", "--json"])
        .code(77);
    assert_eq!(measured(&ran)["rotates"], Value::Null);
}

#[test]
fn a_probe_is_not_made_unasked() {
    let stage = Stage::start();
    stage.run(&["doctor", "pay", "--probe"]).code(64);
    stage.run(&["doctor", "--probe", "--yes"]).code(64);
    stage
        .run(&["doctor", "pay", "--path", "/deposit/"])
        .code(64);
    assert_eq!(stage.sandbox.requests(), []);
}
