//! Operator commands, as stories on a server.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::run::{feed, finish};
use crate::server::Server;

/// The document that a command prints.
fn json(server: &Server, words: &[&str]) -> Value {
    let mut words = words.to_vec();
    words.push("--json");
    server.run(&words).code(0).json()
}

fn create(server: &Server, login: &str) -> Value {
    json(
        server,
        &["account", "create", "--api", "pay", "--login", login],
    )
}

#[test]
fn a_partner_is_created_and_its_secret_is_shown_once() {
    let server = Server::start();
    let words = ["account", "create", "--api", "pay", "--login", "acme"];
    let ran = server.run(&words).code(0);
    let secret = ran.stdout.lines().find(|line| line.starts_with("secret"));
    let secret = secret.unwrap().split_whitespace().nth(1).unwrap();
    assert!(secret.starts_with("cs_"), "{secret}");
    assert!(ran.stdout.contains("shown this once"), "{}", ran.stdout);
    assert!(ran.stderr.is_empty(), "{}", ran.stderr);
    for words in [
        &["account", "list"][..],
        &["account", "show", "acme"],
        &["credential", "list", "acme"],
    ] {
        let ran = server.run(words).code(0);
        assert!(
            ran.stdout.contains("acme") && !ran.stdout.contains(secret),
            "{}",
            ran.stdout
        );
    }
}

#[test]
fn an_account_is_named_by_its_id_or_by_a_login() {
    let server = Server::start();
    let created = create(&server, "acme & sons/ü");
    let id = created["id"].to_string();
    let by_id = json(&server, &["account", "show", &id]);
    assert_eq!(by_id, json(&server, &["account", "show", "acme & sons/ü"]));
    assert_eq!(by_id["login"], "acme & sons/ü");
    let ran = server.run(&["account", "show", "nobody"]).code(1);
    assert!(
        ran.stderr.contains("no account has the login"),
        "{}",
        ran.stderr
    );
    let ran = server.run(&["account", "show", "7"]).code(1);
    assert!(
        ran.stderr.contains("there is no such account"),
        "{}",
        ran.stderr
    );
}

#[test]
fn an_account_is_disabled_enabled_and_moved_to_other_networks() {
    let server = Server::start();
    create(&server, "acme");
    let session = server.log_in("acme");
    let state = |words: &[&str]| json(&server, words)["state"].clone();
    assert_eq!(state(&["account", "disable", "acme"]), "disabled");
    let ended = json(&server, &["session", "show", &session]);
    assert_eq!(ended["ended"]["reason"], "account_disabled");
    assert_eq!(state(&["account", "enable", "acme"]), "active");
    let allow = ["account", "allow", "acme", "192.0.2.0/24", "::1"];
    let allowed = json(&server, &allow)["allow"].clone();
    assert_eq!(allowed, json!(["192.0.2.0/24", "::1/128"]));
    let everywhere = json(&server, &["account", "allow", "acme", "--everywhere"]);
    assert_eq!(everywhere["allow"], json!([]));
    let ran = server.run(&["account", "allow", "acme", "nowhere"]).code(1);
    assert!(ran.stderr.contains("is not a network"), "{}", ran.stderr);
}

#[test]
fn everything_of_a_creation_can_be_said() {
    let server = Server::start();
    let words = [
        "account",
        "create",
        "--api",
        "pay",
        "--login",
        "acme",
        "--id",
        "17",
        "--allow",
        "192.0.2.0/24",
        "--allow",
        "::1",
        "--disabled",
    ];
    let created = json(&server, &words);
    assert_eq!(created["id"], 17);
    assert_eq!(created["state"], "disabled");
    assert_eq!(created["allow"], json!(["192.0.2.0/24", "::1/128"]));
    let wallet = [
        "account",
        "create",
        "--api",
        "coin",
        "--login-prefix",
        "btc",
    ];
    let wallet = json(&server, &wallet);
    assert!(wallet["login"].as_str().unwrap().starts_with("btc-"));
}

#[test]
fn a_secret_of_ones_own_comes_from_a_file_or_a_pipe() {
    let server = Server::start();
    let file = server.data().join("secret");
    fs::write(&file, "correct horse\n").unwrap();
    let create = |login: &str, file: &str| {
        let words = ["account", "create", "--api", "pay", "--login", login];
        let mut command = server.command(&words);
        command.args(["--secret-file", file]);
        command
    };
    let ran = finish(&mut create("acme", file.to_str().unwrap())).code(0);
    let warning = "warning: others can read the secret file";
    assert!(ran.stderr.contains(warning), "{}", ran.stderr);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let ran = finish(&mut create("again", file.to_str().unwrap())).code(0);
    assert!(!ran.stderr.contains(warning), "{}", ran.stderr);
    assert!(!ran.stdout.contains("correct horse"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("the one that you gave"),
        "{}",
        ran.stdout
    );
    feed(&mut create("piped", "-"), "battery staple").code(0);
    let credentials = json(&server, &["credential", "list", "piped"]);
    assert_eq!(credentials["items"][0]["kind"], "password");
    let long = "x".repeat(5_000);
    for bad in ["", "\n", "two\nlines\n", long.as_str()] {
        let ran = feed(&mut create("bad", "-"), bad).code(64);
        assert!(ran.stderr.contains("standard input"), "{}", ran.stderr);
    }
    finish(&mut create("bad", "/nonexistent")).code(64);
    let ran = feed(&mut create("bad", "-"), "h").code(1);
    assert!(
        ran.stderr.contains("8 characters or more"),
        "{}",
        ran.stderr
    );
    let ran = feed(&mut create("bad", "-"), "\u{feff}correct horse").code(1);
    assert!(ran.stderr.contains("byte order mark"), "{}", ran.stderr);
    let coin = ["account", "create", "--api", "coin", "--secret-file", "-"];
    let ran = feed(&mut server.command(&coin), "own").code(1);
    assert!(ran.stderr.contains("generated keys only"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("own\""), "{}", ran.stderr);
}

#[test]
fn what_the_server_refuses_is_told_with_its_code() {
    let server = Server::start();
    create(&server, "acme");
    let again = ["account", "create", "--api", "pay", "--login", "acme"];
    let ran = server.run(&again).code(1);
    assert!(ran.stderr.contains("has this login"), "{}", ran.stderr);
    assert!(ran.stdout.is_empty());
    let mut again = again.to_vec();
    again.push("--json");
    let error = server.run(&again).code(1).error();
    assert_eq!(error["error"], "failed");
    assert_eq!(error["details"]["problem"]["code"], "login_taken");
    let ran = server.run(&["account", "create", "--api", "pey"]).code(1);
    let parted = "there is no api \"pey\"\nhelp: name one of coin, pay\n";
    assert!(ran.stderr.ends_with(parted), "{}", ran.stderr);
}

#[test]
fn deleting_asks_and_where_nobody_can_be_asked_needs_a_yes() {
    let server = Server::start();
    create(&server, "acme");
    let ran = server.run(&["account", "delete", "acme"]).code(64);
    assert!(ran.stderr.contains("--yes"), "{}", ran.stderr);
    json(&server, &["account", "show", "acme"]);
    let deleted = json(&server, &["account", "delete", "acme", "--yes"]);
    assert_eq!(deleted, json!({ "account": 100_001, "deleted": true }));
    server.run(&["account", "show", "100001"]).code(1);
}

#[test]
fn a_credential_is_replaced_and_the_old_one_deleted() {
    let server = Server::start();
    let first = create(&server, "acme")["credential"]["id"].to_string();
    let second = ["credential", "create", "acme", "--login", "acme-2"];
    let second = json(&server, &second);
    assert!(second["secret"].as_str().unwrap().starts_with("cs_"));
    let of_acme = |verb: &str| json(&server, &["credential", verb, "acme", &first]);
    assert_eq!(of_acme("disable")["state"], "disabled");
    assert_eq!(of_acme("enable")["state"], "active");
    let delete = ["credential", "delete", "acme-2", &first];
    server.run(&delete).code(64);
    let ran = server.run(&[&delete[..], &["--yes"]].concat()).code(0);
    assert_eq!(ran.stdout, format!("Credential {first} is deleted.\n"));
    let left = json(&server, &["credential", "list", "100001"]);
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    assert_eq!(left["items"][0]["login"], "acme-2");
}

#[test]
fn sessions_are_listed_and_ended() {
    let server = Server::start();
    create(&server, "acme");
    let sessions = [server.log_in("acme"), server.log_in("acme")];
    let list = server.run(&["session", "list", "acme"]).code(0).stdout;
    assert_eq!(list.lines().count(), 3, "{list}");
    assert!(sessions.iter().all(|id| list.contains(id)), "{list}");
    let shown = server
        .run(&["session", "show", &sessions[0]])
        .code(0)
        .stdout;
    assert!(
        shown.contains("\u{fffd}[31mcurl"),
        "no colours from outside: {shown:?}"
    );
    let ended = json(&server, &["session", "end", &sessions[0]]);
    assert_eq!(ended["ended"]["reason"], "operator");
    let all = json(&server, &["session", "end-all", "acme"]);
    assert_eq!(all, json!({ "ended": 1 }));
    let said = server.run(&["session", "end-all", "acme"]).code(0).stdout;
    assert_eq!(said, "Sessions ended: 0.\n");
    server
        .run(&["session", "end", "../accounts/100001"])
        .code(1);
    json(&server, &["account", "show", "acme"]);
}

#[test]
fn a_long_listing_says_how_to_go_on() {
    let server = Server::start();
    for login in ["a", "b", "c"] {
        create(&server, login);
    }
    let ran = server.run(&["account", "list", "--limit", "2"]).code(0);
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert!(lines[0].starts_with("ID      API  LOGIN  STATE   ALLOWED FROM  CREATED"));
    assert!(lines[1].starts_with("100001  pay  a      active  all           2027-01-15"));
    assert_eq!(lines.len(), 3);
    assert_eq!(ran.stderr, "There are more: continue with --after 100002\n");
    let rest = ["account", "list", "--after", "100002", "--api", "pay"];
    let rest = json(&server, &rest);
    assert_eq!(rest["items"][0]["login"], "c");
    assert_eq!(rest["next"], Value::Null);
    server.run(&["account", "list", "--limit", "0"]).code(1);
}
