//! Keys, admin keys, apis, limits, scopes and the audit log from the command
//! line.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::run::{command, finish};
use crate::server::Server;

fn json(server: &Server, words: &[&str]) -> Value {
    let mut words = words.to_vec();
    words.push("--json");
    server.run(&words).code(0).json()
}

fn create(server: &Server, more: &[&str]) -> Value {
    let words = ["account", "create", "--api", "pay", "--login", "acme"];
    json(server, &[&words[..], more].concat())
}

#[test]
fn a_key_is_published_rotated_to_retired_and_killed() {
    let server = Server::start();
    let words = ["key", "publish", "--api", "pay"];
    let published = json(&server, &words)["kid"].as_str().unwrap().to_owned();
    let rotated = server
        .run(&["key", "rotate", "--api", "pay"])
        .code(0)
        .stdout;
    let first = rotated.lines().next().unwrap();
    assert_eq!(first, format!("New tokens are signed with {published}."));
    assert!(
        rotated.contains("retiring") && rotated.contains("active"),
        "{rotated}"
    );
    let retired = json(&server, &["key", "retire", &published]);
    assert_ne!(retired["active"], json!(published));
    let kill = ["key", "kill", &published];
    let asked = server.run(&kill).code(64);
    assert!(asked.stderr.contains("--yes"), "{}", asked.stderr);
    let killed = server.run(&[&kill[..], &["--yes"]].concat()).code(0).stdout;
    assert!(
        killed.contains("every token that it signed is refused"),
        "{killed}"
    );
    let shown = server.run(&["key", "show", &published]).code(0).stdout;
    assert!(shown.contains("state       killed"), "{shown}");
    let list = server.run(&["key", "list", "--api", "pay"]).code(0).stdout;
    assert_eq!(
        list.lines().count(),
        5,
        "a heading, a pepper, three keys: {list}"
    );
    server.run(&["key", "show", "nope"]).code(1);
}

#[test]
fn an_admin_key_does_what_its_role_admits() {
    let server = Server::start();
    create(&server, &[]);
    let words = [
        "admin-key",
        "create",
        "eye",
        "--role",
        "read",
        "--api",
        "pay",
    ];
    let made = json(&server, &words);
    let file = server.data().join("eye.key");
    std::fs::write(&file, made["secret"].as_str().unwrap()).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let as_eye = |words: &[&str]| {
        let mut command = command(words);
        command
            .env("COUNTERSIGN_ADMIN_URL", server.url())
            .env("COUNTERSIGN_ADMIN_KEY_FILE", &file);
        finish(&mut command)
    };
    as_eye(&["account", "list"]).code(0);
    let apis = as_eye(&["api", "list"]).code(0).stdout;
    assert!(apis.contains("pay") && !apis.contains("coin"), "{apis}");
    let refused = as_eye(&["account", "disable", "acme"]).code(77);
    assert!(refused.stderr.contains("operate"), "{}", refused.stderr);
    let list = server.run(&["admin-key", "list"]).code(0).stdout;
    assert!(list.contains("eye    read  pay"), "{list}");
    server.run(&["admin-key", "delete", "eye"]).code(64);
    server.run(&["admin-key", "delete", "eye", "--yes"]).code(0);
    as_eye(&["account", "list"]).code(77);
    server.run(&["admin-key", "delete", "eye", "--yes"]).code(1);
}

#[test]
fn what_is_shown_to_people_is_in_their_words() {
    let server = Server::start();
    let none = server.run(&["account", "list"]).code(0).stdout;
    assert_eq!(none, "none yet\n");
    let created = create(&server, &[]);
    let id = created["id"].to_string();
    let before = json(&server, &["account", "show", "acme"]);
    assert_eq!(before["last_login_at"], Value::Null);
    let session = server.log_in("acme");

    let account = server.run(&["account", "show", &id]).code(0).stdout;
    for said in [
        "allow          all",
        "budget default",
        &session,
        "key   active",
        "Credentials",
    ] {
        assert!(account.contains(said), "{said}: {account}");
    }
    let told = json(&server, &["account", "show", &id]);
    assert_eq!(told["credentials"][0]["login"], "acme");
    assert_eq!(told["sessions"][0]["id"], session);
    assert_eq!(told["last_login_at"], told["sessions"][0]["started_at"]);
    // Below a second nothing helps a person.
    let last = told["last_login_at"].as_str().unwrap();
    let second = last.split('.').next().unwrap();
    assert!(
        account.contains(&format!("last_login_at  {second}Z\n")),
        "{account}"
    );

    let api = server.run(&["api", "show", "pay"]).code(0).stdout;
    for said in [
        "absolute ",
        "budget unlimited",
        "hosts         any",
        "upstream      none",
    ] {
        assert!(api.contains(said), "{said}: {api}");
    }
    let spans = api
        .lines()
        .find(|line| line.starts_with("lifetimes"))
        .unwrap();
    assert!(!spans.contains("000"), "spans are in units: {spans}");
}

#[test]
fn a_command_says_beside_its_output_as_much_as_it_is_asked_to() {
    let server = Server::start();
    create(&server, &[]);
    let second = ["account", "create", "--api", "pay", "--login", "second"];
    server.run(&second).code(0);
    let said = |more: &[&str]| {
        let words = [&["account", "list", "--limit", "1"], more].concat();
        server.run(&words).code(0).stderr
    };
    let hint = "There are more: continue with --after";
    assert!(said(&[]).starts_with(hint), "{}", said(&[]));
    assert_eq!(said(&["-q"]), "");
    let loud = said(&["-v"]);
    assert!(loud.starts_with("debug: asked method=GET"), "{loud}");
    assert!(loud.contains("status=200") && loud.contains(hint), "{loud}");
    // Standard error is for the document of a failure.
    assert_eq!(said(&["-v", "--json"]), "");
}

#[test]
fn an_api_is_shown_and_revoked() {
    let server = Server::start();
    create(&server, &[]);
    let session = server.log_in("acme");
    let shown = json(&server, &["api", "show", "pay"]);
    assert_eq!(shown["dialect"], "mypopup");
    let revoke = ["api", "revoke-all", "pay"];
    server.run(&revoke).code(64);
    let said = server
        .run(&[&revoke[..], &["--yes"]].concat())
        .code(0)
        .stdout;
    assert_eq!(said, "Accounts revoked: 1. Sessions ended: 1.\n");
    let ended = json(&server, &["session", "show", &session]);
    assert_eq!(ended["state"], "ended");
    server.run(&["api", "revoke-all", "nope", "--yes"]).code(1);
}

#[test]
fn limits_and_scopes_are_given_and_taken_away() {
    let server = Server::start();
    let more = ["--budget", "40", "--sessions", "5", "--scope", "read"];
    let created = create(&server, &more);
    assert_eq!(created["limits"]["budget"], 40);
    assert_eq!(created["credential"]["scopes"], json!(["read"]));
    let words = ["account", "limits", "acme", "--budget", "default"];
    let words = [&words[..], &["--requests-per-second", "9"]].concat();
    let limits = json!({ "budget": null, "sessions": 5, "mints_per_minute": null,
        "requests_per_second": 9 });
    assert_eq!(json(&server, &words)["limits"], limits);
    let none = json(&server, &["account", "limits", "acme", "--default"]);
    assert!(
        none["limits"]
            .as_object()
            .unwrap()
            .values()
            .all(Value::is_null)
    );
    server.run(&["account", "limits", "acme"]).code(64);

    let id = created["credential"]["id"].to_string();
    let scopes = ["credential", "scopes", "acme", &id, "payout:write", "read"];
    assert_eq!(
        json(&server, &scopes)["scopes"],
        json!(["payout:write", "read"])
    );
    let second = ["credential", "create", "acme", "--scope", "read"];
    assert_eq!(json(&server, &second)["scopes"], json!(["read"]));
    server.run(&["credential", "scopes", "acme", &id]).code(64);
    server
        .run(&["credential", "scopes", "acme", &id, "--none"])
        .code(0);
    let list = server.run(&["credential", "list", "acme"]).code(0).stdout;
    assert!(list.contains("active  none"), "{list}");
}

#[test]
fn the_audit_log_is_listed_by_what_it_is_about() {
    let server = Server::start();
    create(&server, &[]);
    server.run(&["account", "disable", "acme"]).code(0);
    let of = |words: &[&str]| {
        let list = json(&server, &[&["audit", "list"], words].concat());
        list["items"].as_array().unwrap().clone()
    };
    let of_acme = of(&["--account", "acme"]);
    let actions: Vec<_> = of_acme.iter().map(|it| it["action"].clone()).collect();
    assert_eq!(actions, ["account_created", "account_disabled"]);
    assert_eq!(
        of(&["--account", "acme", "--newest", "--limit", "1"])[0],
        of_acme[1]
    );
    assert_eq!(of(&["--account", "acme", "--limit", "1"])[0], of_acme[1]);
    let from_the_beginning = ["--account", "acme", "--after", "0", "--limit", "1"];
    assert_eq!(of(&from_the_beginning)[0], of_acme[0]);
    let cut = server.run(&["audit", "list", "--limit", "2"]).code(0);
    let words = format!(
        "older ones: continue with --newest --after {}",
        of_acme[0]["number"]
    );
    assert!(cut.stderr.contains(&words), "{}", cut.stderr);
    assert_eq!(of(&["--action", "account_disabled"]), of_acme[1..]);
    assert_eq!(of(&["--api", "coin", "--since", "1h"]).len(), 2);
    assert!(of(&["--until", "2020-01-01T00:00:00Z"]).is_empty());
    let text = server
        .run(&["audit", "list", "--account", "acme"])
        .code(0)
        .stdout;
    assert!(text.contains("operator:owner"), "{text}");
    let wrong = server.run(&["audit", "list", "--action", "nope"]).code(1);
    assert!(wrong.stderr.contains("must be one of"), "{}", wrong.stderr);
}

#[test]
fn what_is_followed_comes_line_by_line_under_one_heading() {
    for json in [false, true] {
        let server = Server::start();
        create(&server, &[]);
        let mut command = server.command(&["audit", "list", "--follow"]);
        if json {
            command.arg("--json");
        }
        let mut following = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
        let mut seen = Vec::new();
        let mut await_line = |word: &str| {
            loop {
                let line = lines.next().unwrap().unwrap();
                seen.push(line);
                if seen.last().unwrap().contains(word) {
                    return;
                }
            }
        };
        await_line("account_created");
        server.run(&["account", "disable", "acme"]).code(0);
        await_line("account_disabled");
        server.run(&["account", "enable", "acme"]).code(0);
        await_line("account_enabled");
        following.kill().unwrap();
        following.wait().unwrap();
        if json {
            for line in &seen {
                let entry: Value = serde_json::from_str(line).unwrap();
                assert!(entry["number"].is_u64(), "{line}");
            }
        } else {
            let headings = seen.iter().filter(|line| line.starts_with("NUMBER"));
            assert_eq!(headings.count(), 1, "{seen:#?}");
            assert!(!seen.iter().any(String::is_empty), "{seen:#?}");
        }
    }
}
