//! `countersign request`: against the echo behind the sandbox's guard.

use std::fs;

use countersign_domain::TokenOperation;
use countersign_sandbox::{RevocationTarget, VendorFault};
use serde_json::Value;

use crate::run::{Ran, feed};
use crate::stage::{DIALECTS, Stage, vendor};

/// A guarded path of each dialect's sandbox.
fn guarded(stage: &Stage) -> String {
    match stage.sandbox.dialect().name() {
        "b2binpay" => "/deposit/".to_owned(),
        "mypopup" => "/api/v1/cards".to_owned(),
        _ => format!("/api/v2/accounts/{}/invoices", stage.sandbox.login()),
    }
}

/// What the vendor received.
fn received(ran: &Ran) -> Value {
    ran.json()
}

#[test]
fn a_request_is_sent_with_a_token_that_nobody_sees() {
    for dialect in DIALECTS {
        let stage = Stage::speaking(dialect);
        let path = format!("{}?page=2", guarded(&stage));
        let ran = stage.run(&["request", "pay", "get", &path]).code(0);
        let received = received(&ran);
        assert_eq!(received["method"], "GET");
        assert_eq!(received["query"], "page=2");
        assert!(ran.stderr.is_empty(), "{}", ran.stderr);
        stage.assert_discreet(&ran);
        assert_eq!(stage.asked(TokenOperation::Guard), 1);
    }
}

#[test]
fn a_body_comes_from_the_command_line_a_file_or_standard_input() {
    let stage = Stage::start();
    let file = stage.write("body.json", "{\"amount\": 10}");
    let at_file = format!("@{}", file.display());
    let words = |data: &'static str| ["request", "pay", "POST", "/deposit/", "--data", data];
    let text = stage.run(&words("{\"amount\": 10}")).code(0);
    let from_file = stage
        .run(&["request", "pay", "POST", "/deposit/", "-d", &at_file])
        .code(0);
    let from_input = feed(&mut stage.command(&words("@-")), "{\"amount\": 10}").code(0);
    for ran in [text, from_file, from_input] {
        let received = received(&ran);
        assert_eq!(received["body"], "{\"amount\": 10}");
        assert_eq!(received["headers"]["content-type"], "application/json");
    }
    let form = received(&stage.run(&words("a=b")).code(0));
    assert_eq!(
        form["headers"]["content-type"],
        "application/x-www-form-urlencoded"
    );
    let mut own = words("{}").to_vec();
    own.extend([
        "-H",
        "Content-Type: application/vnd.api+json",
        "-H",
        "X-Trace: 7",
    ]);
    let own = received(&stage.run(&own).code(0));
    assert_eq!(own["headers"]["content-type"], "application/vnd.api+json");
    assert_eq!(own["headers"]["x-trace"], "7");
}

#[test]
fn the_head_can_be_printed_and_the_answer_written_to_a_file() {
    let stage = Stage::start();
    let ran = stage
        .run(&["request", "pay", "GET", "/deposit/", "-i"])
        .code(0);
    assert!(
        ran.stdout.starts_with("HTTP/1.1 200 OK\r\n"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("\r\n\r\n{"), "{}", ran.stdout);
    let file = stage.write("answer", &"old ".repeat(1_000));
    let name = file.display().to_string();
    let ran = stage
        .run(&["request", "pay", "GET", "/deposit/", "-o", &name])
        .code(0);
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    let answer: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(answer["method"], "GET");
    let told = stage.json(&["request", "pay", "GET", "/deposit/", "-o", &name]);
    assert_eq!(told["file"], name);
    assert_eq!(told["bytes"], fs::metadata(&file).unwrap().len());
}

#[test]
fn an_answer_is_one_document_for_a_program() {
    let stage = Stage::start();
    let told = stage.json(&["request", "pay", "GET", "/deposit/"]);
    assert_eq!(told["status"], 200);
    assert_eq!(told["body"]["method"], "GET");
    assert!(told["headers"]["content-type"].is_string(), "{told}");
}

#[test]
fn another_status_is_1_and_its_body_is_printed() {
    let stage = Stage::start();
    stage.answers(TokenOperation::Guard, 503, 1);
    let ran = stage.run(&["request", "pay", "GET", "/deposit/"]).code(1);
    assert!(
        ran.stdout.contains("Service temporarily unavailable"),
        "{}",
        ran.stdout
    );
    assert!(ran.stderr.contains("the answer is 503"), "{}", ran.stderr);
    stage.answers(TokenOperation::Guard, 404, 1);
    let ran = stage
        .run(&["request", "--json", "pay", "GET", "/deposit/"])
        .code(1);
    assert_eq!(ran.json()["status"], 404);
    assert_eq!(ran.error()["exit"], 1);
}

#[test]
fn a_token_that_is_not_taken_is_swapped_and_the_request_sent_once_more() {
    for dialect in DIALECTS {
        let stage = Stage::speaking(dialect);
        stage.run(&["login", "pay"]).code(0);
        stage
            .sandbox
            .fault(VendorFault::revoke(RevocationTarget::Session).on(TokenOperation::Guard));
        let words = [
            "request",
            "pay",
            "POST",
            &guarded(&stage),
            "--data",
            "{\"a\": 1}",
        ];
        let ran = stage.run(&words).code(0);
        assert_eq!(received(&ran)["body"], "{\"a\": 1}", "{dialect}");
        assert_eq!(stage.asked(TokenOperation::Guard), 2, "{dialect}");
    }
}

#[test]
fn a_token_that_is_never_taken_is_swapped_once() {
    let stage = Stage::start();
    stage.sandbox.fault(
        VendorFault::revoke(RevocationTarget::Session)
            .on(TokenOperation::Guard)
            .times(9),
    );
    let ran = stage.run(&["request", "pay", "GET", "/deposit/"]).code(1);
    assert!(ran.stderr.contains("the answer is 401"), "{}", ran.stderr);
    assert_eq!(stage.asked(TokenOperation::Guard), 2);
}

#[test]
fn a_static_key_helps_out_where_the_profile_says_that_there_is_one() {
    let stage = Stage::speaking("apirone");
    stage.answers(TokenOperation::Login, 503, 9);
    let path = guarded(&stage);
    stage.run(&["request", "pay", "GET", &path]).code(69);
    let keyed = "secret_file = '~/secret'\nstatic_key = true";
    stage.profiles(&stage.profile(stage.sandbox.url(), keyed));
    let ran = stage.run(&["request", "pay", "GET", &path]).code(0);
    stage.assert_discreet(&ran);
    assert_eq!(received(&ran)["query"], "");
}

#[test]
fn an_answer_that_breaks_off_is_69() {
    let stage = Stage::start();
    for fault in [VendorFault::lost_reply(), VendorFault::cut()] {
        stage.sandbox.fault(fault.on(TokenOperation::Guard));
        stage.run(&["request", "pay", "GET", "/deposit/"]).code(69);
    }
    assert_eq!(
        stage.asked(TokenOperation::Guard),
        2,
        "nothing is sent twice"
    );
}

#[test]
fn mistakes_are_found_before_anybody_is_asked() {
    let stage = Stage::start();
    for words in [
        &["request", "pay", "GET", "deposit"][..],
        &["request", "pay", "GET", "https://other.example/deposit/"],
        &["request", "pay", "CONNECT", "/deposit/"],
        &[
            "request",
            "pay",
            "GET",
            "/deposit/",
            "-H",
            "Authorization: Bearer planted",
        ],
        &[
            "request",
            "pay",
            "GET",
            "/deposit/",
            "-H",
            "Host: other.example",
        ],
        &[
            "request",
            "pay",
            "POST",
            "/deposit/",
            "--data",
            "@/no/such/file",
        ],
        &[
            "request",
            "pay",
            "POST",
            "/deposit/",
            "--data",
            "@/dev/zero",
        ],
        &[
            "request",
            "pay",
            "GET",
            "/deposit/",
            "-o",
            "/no/such/directory/file",
        ],
        &["request", "pay", "GET"],
    ] {
        let ran = stage.run(words);
        assert!(ran.code == 64 || ran.code == 1, "{words:?} is {}", ran.code);
        assert!(!ran.stderr.contains("planted"), "{}", ran.stderr);
    }
    assert_eq!(stage.sandbox.requests(), []);
}

/// A vendor that logs anybody in, and else answers with the length that it was told.
fn measuring() -> String {
    vendor(|asked| {
        let told = asked
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let body = match asked.starts_with("POST /auth/login ") {
            true => {
                r#"{"success": true, "data": {"access_token": "a.b.c", "refresh_token": "d.e.f",
                "access_expires_at": "2099-01-15T10:30:00Z",
                "refresh_expires_at": "2099-01-22T09:30:00Z", "client_id": 123456}}"#
            }
            false => told.unwrap_or("none"),
        };
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    })
}

#[test]
fn a_request_without_a_body_says_so_where_a_body_means_something() {
    let stage = Stage::speaking("mypopup");
    stage.profiles(&stage.profile(&measuring(), "secret_file = '~/secret'"));
    for (words, told) in [
        (&["POST", "/x"][..], "0"),
        (&["put", "/x"], "0"),
        (&["PATCH", "/x"], "0"),
        (&["POST", "/x", "--data", ""], "0"),
        (&["POST", "/x", "--data", "a=b"], "3"),
        (&["GET", "/x"], "none"),
        (&["HEAD", "/x"], ""),
        (&["DELETE", "/x"], "none"),
        (&["OPTIONS", "/x"], "none"),
    ] {
        let words = [&["request", "pay"], words].concat();
        let ran = stage.run(&words).code(0);
        assert_eq!(ran.stdout.trim(), told, "{words:?}");
    }
}

#[test]
fn with_v_every_exchange_on_the_way_is_shown_in_its_order() {
    for dialect in DIALECTS {
        let stage = Stage::speaking(dialect);
        let path = guarded(&stage);
        let words = ["request", "pay", "GET", &path, "-v", "-H", "X-Trace: seven"];
        let ran = stage.run(&words).code(0);
        stage.assert_discreet(&ran);
        let (login, call) = ran.stderr.split_once("\n* request\n").unwrap();
        assert!(login.contains("* login\n> POST http://"), "{login}");
        let (asked, answered) = call.split_once("\n< 200 OK\n").unwrap();
        let first = format!("> GET {}{path}\n", stage.sandbox.url());
        assert!(asked.starts_with(&first), "{asked}");
        for part in [
            "> x-trace: seven",
            "[access_token]",
            "> user-agent: countersign/",
            "> accept: */*",
        ] {
            assert!(asked.contains(part), "{dialect} lacks {part}: {asked}");
        }
        assert!(answered.contains("< content-type: "), "{answered}");
        assert_eq!(received(&ran)["method"], "GET");
    }
}

#[test]
fn a_refused_token_shows_both_calls_and_the_refresh_between_them() {
    let stage = Stage::start();
    stage.run(&["login", "pay"]).code(0);
    stage.answers(TokenOperation::Guard, 401, 1);
    let told = stage.json(&["request", "pay", "GET", "/deposit/", "-v"]);
    let exchanges = told["exchanges"].as_array().unwrap().iter();
    let told: Vec<_> = exchanges
        .map(|it| (&it["operation"], &it["reply"]["first"]))
        .map(|(operation, first)| format!("{operation} {first}").replace('"', ""))
        .collect();
    assert_eq!(
        told,
        [
            "request 401 Unauthorized",
            "refresh 200 OK",
            "request 200 OK"
        ]
    );
}
