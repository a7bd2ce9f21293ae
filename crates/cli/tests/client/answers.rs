//! Answers that are not what one would think: refusals under HTTP 200, other
//! servers, redirects, ports that speak something else.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_testing::listening::{alerting_tls, closing_http, closing_tls, taciturn_tls};

use crate::run::Ran;
use crate::stage::{ALWAYS_200, Stage, vendor};
use crate::support::Server;

/// An answer with its length.
fn answer(head: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn said(ran: &Ran) -> String {
    format!("{}{}", ran.stdout, ran.stderr)
}

#[test]
fn a_refusal_under_http_200_is_77_and_not_asked_for_again() {
    for words in ["Invalid", "Account closed"] {
        let stage = Stage::start();
        let dialect = stage.write("small.toml", ALWAYS_200);
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let url = vendor(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            answer("200 OK", &format!(r#"{{"ok": false, "error": "{words}"}}"#))
        });
        stage.profiles(&format!(
            "[pay]\ndialect = '{}'\nurl = '{url}'\nlogin = 'ann'\nsecret_file = '~/secret'\n",
            dialect.display()
        ));
        for _ in 0..3 {
            let ran = stage.run(&["token", "pay"]).code(77);
            assert!(said(&ran).contains(words), "{}", said(&ran));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        stage.run(&["login", "pay"]).code(77);
    }
}

#[test]
fn another_servers_answer_is_told_with_its_status_and_type() {
    let stage = Stage::start();
    let admin = Server::start("[apis.pay]\ndialect = 'b2binpay'\n");
    let page = |status: &'static str| {
        vendor(move |_| {
            let head = format!("{status}\r\nContent-Type: text/html; charset=utf-8");
            answer(&head, "<!DOCTYPE html><title>No</title>")
        })
    };
    let moved = vendor(|_| {
        answer(
            "308 Permanent Redirect\r\nLocation: https://api.example/token/?planted",
            "",
        )
    });
    for (url, words) in [
        (
            page("401 Unauthorized"),
            &["401, text/html", "not of this dialect"][..],
        ),
        (
            page("501 Unsupported"),
            &["501, text/html", "not of this dialect"],
        ),
        (page("200 OK"), &["200, text/html", "not of the dialect"]),
        (admin.admin.clone(), &["not of this dialect", "json"]),
        (moved, &["308", "https://api.example/token/"]),
    ] {
        stage.profiles(&stage.profile(&url, "secret_file = '~/secret'"));
        let login = stage.run(&["login", "pay"]).code(1);
        let status = stage.run(&["status", "pay"]);
        for ran in [login, status] {
            for word in words {
                assert!(said(&ran).contains(word), "{url}: {}", said(&ran));
            }
            assert!(!said(&ran).contains("bad_login"), "{}", said(&ran));
            assert!(!said(&ran).contains("planted"), "{}", said(&ran));
        }
        std::fs::remove_dir_all(stage.file(".local")).unwrap();
    }
}

#[test]
fn a_port_of_the_other_scheme_is_named() {
    let stage = Stage::start();
    let plain = format!("http://{}", alerting_tls());
    let silent = format!("http://{}", closing_tls());
    let taciturn = format!("http://{}", taciturn_tls());
    let https = stage.sandbox.url().replace("http://", "https://");
    let closing = format!("https://{}", closing_http());
    for (url, words) in [
        (&*plain, "write https://"),
        (&silent, "write https://"),
        (&taciturn, "write https://"),
        (&https, "write http,"),
        (&closing, "write http,"),
    ] {
        stage.profiles(&stage.profile(url, "secret_file = '~/secret'"));
        for command in [
            &["login", "pay"][..],
            &["doctor", "pay"],
            &["doctor", "pay", "--json"],
        ] {
            let ran = stage.run(command).code(69);
            let help = match command.contains(&"--json") {
                true => format!("\"help\": \"{words}"),
                false => format!("help: {words}"),
            };
            assert!(said(&ran).contains(&help), "{command:?}: {}", said(&ran));
            assert!(!said(&ran).contains("InvalidContentType"), "{}", said(&ran));
        }
        let _ = std::fs::remove_dir_all(stage.file(".local"));
    }
}

#[test]
fn a_port_of_the_other_scheme_is_named_where_the_api_is_elsewhere() {
    let stage = Stage::start();
    for (url, words) in [
        (format!("http://{}", closing_tls()), "write https://"),
        (format!("https://{}", closing_http()), "write http,"),
    ] {
        let auth = format!(
            "auth_url = '{}'\nsecret_file = '~/secret'",
            stage.sandbox.url()
        );
        stage.profiles(&stage.profile(&url, &auth));
        let ran = stage.run(&["request", "pay", "GET", "/"]).code(69);
        assert!(said(&ran).contains(words), "{url}: {}", said(&ran));
        stage.assert_discreet(&ran);
    }
}

#[test]
fn a_certificate_that_is_its_own_authority_is_told_with_its_cure() {
    let directory = tempfile::tempdir().unwrap();
    // As the first answer to a search has it.
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .arg("-keyout")
        .arg(directory.path().join("tls.key"))
        .arg("-out")
        .arg(directory.path().join("tls.pem"))
        .output()
        .expect("openssl is needed: scripts/test installs it");
    assert!(made.status.success(), "{made:?}");
    let server = Server::start_in(
        directory,
        "[server]\ntls_certificate = 'tls.pem'\ntls_key = 'tls.key'\n[apis.pay]\ndialect = 'b2binpay'\n",
    );
    let stage = Stage::start();
    let roots = server.file("tls.pem");
    stage.profiles(&stage.profile(
        &server.api,
        &format!("secret_file = '~/secret'\nroots = '{}'", roots.display()),
    ));
    for command in [&["login", "pay"][..], &["doctor", "pay"]] {
        let ran = stage.run(command);
        assert_ne!(ran.code, 0);
        assert!(said(&ran).contains("CA:FALSE"), "{}", said(&ran));
    }
}
