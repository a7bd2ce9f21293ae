//! Operating a real server: over TLS, and with a new master key.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use std::path::Path;
use std::process::{Command, Output};

use countersign_testing::certificates::MadeCertificate;

use support::Server;

const API: &str = "[apis.mypopup]\ndialect = 'mypopup'\n";

fn rewrap(data: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["key", "rewrap", "--yes", "--data"])
        .arg(data)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_server_is_operated_over_tls_by_who_knows_its_authority() {
    let directory = tempfile::tempdir().unwrap();
    MadeCertificate::make(directory.path(), "admin", 2);
    MadeCertificate::make(directory.path(), "other", 2);
    let tls = "[server]\nadmin_tls_certificate = 'admin.pem'\nadmin_tls_key = 'admin.key'\n";
    let server = Server::start_in(directory, &format!("{tls}{API}"));
    assert!(server.admin.starts_with("https://"), "{}", server.admin);
    let list = |authority: &str| {
        Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["api", "list"])
            .env("COUNTERSIGN_ADMIN_URL", &server.admin)
            .env("COUNTERSIGN_ADMIN_KEY_FILE", server.file("data/admin.key"))
            .env("COUNTERSIGN_ADMIN_CA_FILE", server.file(authority))
            .output()
            .unwrap()
    };
    let listed = list("admin.pem");
    assert_eq!(listed.status.code(), Some(0), "{}", said(&listed));
    assert!(String::from_utf8_lossy(&listed.stdout).contains("mypopup"));
    let distrusted = list("other.pem");
    assert_eq!(distrusted.status.code(), Some(69), "{}", said(&distrusted));
    for words in ["certificate", "COUNTERSIGN_ADMIN_CA_FILE", "CA:FALSE"] {
        assert!(said(&distrusted).contains(words), "{}", said(&distrusted));
    }
    assert!(!said(&distrusted).contains("is it running?"));
    let missing = list("nothing.pem");
    assert_eq!(missing.status.code(), Some(64), "{}", said(&missing));
}

#[tokio::test]
async fn a_new_master_key_changes_nothing_for_partners() {
    let server = Server::start(API);
    let account = server.account("mypopup", "acme", &[]);
    let body = format!(
        r#"{{"username": "{}", "password": "{}"}}"#,
        account.login, account.secret
    );
    let json = [("content-type", "application/json"), ("host", "h")];
    let first = server
        .send("127.0.0.1", "POST", "/auth/login", &json, &body)
        .await;
    let pair: serde_json::Value = serde_json::from_slice(&first.body).unwrap();
    let running = rewrap(&server.file("data"));
    assert_eq!(running.status.code(), Some(64));
    assert!(
        said(&running).ends_with(
            "is open in another process\nhelp: stop that process, or use another data directory\n"
        ),
        "{}",
        said(&running)
    );

    let before = std::fs::read(server.file("data/master.key")).unwrap();
    let server = server.restart_after(|directory| {
        let done = rewrap(&directory.join("data"));
        assert_eq!(done.status.code(), Some(0), "{}", said(&done));
        let again = rewrap(&directory.join("data"));
        assert_eq!(again.status.code(), Some(64), "the old key is still there");
    });
    let old = std::fs::read(server.file("data/master.key.old")).unwrap();
    assert_eq!(old, before);
    assert_ne!(
        std::fs::read(server.file("data/master.key")).unwrap(),
        before
    );
    let token = pair["data"]["refresh_token"].as_str().unwrap();
    let body = format!(r#"{{"refresh_token": "{token}"}}"#);
    let refreshed = server
        .send("127.0.0.1", "POST", "/auth/refresh", &json, &body)
        .await;
    assert_eq!(refreshed.status, 200, "{:?}", refreshed.body);
}

#[test]
fn an_api_with_keys_of_two_algorithms_wants_to_know_which() {
    let server = Server::start("[apis.pay]\ndialect = 'b2binpay'\n");
    let (code, said) = server.operate(&["key", "rotate", "--api", "pay"]);
    assert_eq!(code, Some(1));
    let said: serde_json::Value = serde_json::from_str(said.as_str().unwrap()).unwrap();
    let several = "/algorithm: is needed, because the api has several";
    assert_eq!(said["message"], several);
    assert_eq!(said["help"], "name HS256 or RS256");
    assert_eq!(said["details"]["problem"]["help"], said["help"]);
    let rotate = ["key", "rotate", "--api", "pay", "--algorithm", "HS256"];
    let (code, rotated) = server.operate(&rotate);
    assert_eq!(code, Some(0), "{rotated}");
    assert_eq!(rotated["keys"].as_array().unwrap().len(), 2);
}
