//! `countersign exec`.

use std::os::unix::process::ExitStatusExt;

use countersign_domain::TokenOperation;

use crate::run::finish;
use crate::stage::{Stage, vendor};

#[test]
fn the_command_finds_the_token_and_the_api_in_its_environment() {
    let stage = Stage::start();
    let script = "echo $COUNTERSIGN_TOKEN; echo $COUNTERSIGN_URL; echo $COUNTERSIGN_TOKEN_EXPIRES_AT; echo $MINE";
    let ran = stage
        .run(&["exec", "pay", "--env", "MINE", "--", "sh", "-c", script])
        .code(0);
    let lines: Vec<_> = ran.stdout.lines().collect();
    let token = stage.run(&["token", "pay"]).code(0).stdout;
    assert_eq!(lines[0], token.trim());
    assert_eq!(lines[1], stage.sandbox.url());
    assert!(lines[2].ends_with('Z'), "{lines:?}");
    assert_eq!(lines[3], lines[0]);
    assert_eq!(stage.asked(TokenOperation::Login), 1);
}

#[test]
fn the_commands_exit_code_and_signal_are_passed_on() {
    let stage = Stage::start();
    stage
        .run(&["exec", "pay", "--", "sh", "-c", "exit 7"])
        .code(7);
    let mut killed = stage.command(&["exec", "pay", "--", "sh", "-c", "kill -TERM $$"]);
    assert_eq!(killed.status().unwrap().signal(), Some(15));
}

#[test]
fn the_command_does_not_see_the_secret() {
    let stage = Stage::start();
    stage.profiles(&stage.profile(stage.sandbox.url(), "secret_env = 'PAY_SECRET'"));
    let mut command = stage.command(&["exec", "pay", "--", "env"]);
    command.env("PAY_SECRET", stage.sandbox.secret().expose());
    let ran = finish(&mut command).code(0);
    assert!(ran.stdout.contains("COUNTERSIGN_TOKEN="), "{}", ran.stdout);
    assert!(!ran.stdout.contains("PAY_SECRET"), "{}", ran.stdout);
}

#[test]
fn a_command_that_is_not_there_is_a_mistake_and_one_without_token_is_not_run() {
    let stage = Stage::start();
    let ran = stage
        .run(&["exec", "pay", "--", "./no-such-command"])
        .code(64);
    assert!(
        ran.stderr.contains("./no-such-command cannot be run"),
        "{}",
        ran.stderr
    );
    stage.run(&["exec", "pay", "--"]).code(64);
    stage
        .run(&["exec", "pay", "--env", "A=B", "--", "true"])
        .code(64);
    let other = Stage::start();
    other.go_down();
    let ran = other.run(&["exec", "pay", "--", "echo", "ran"]).code(69);
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
}

/// A vendor that wants a key at its login and with each token, and names its
/// tokens by that.
const ACME: &str = r#"
schema = 1
name = "acme"
serves = ["client"]

[credential]
extra = ["key"]

[session]
refresh = "rotate"
login = "keeps"

[[login]]
path = "/login"
request.body = '{"login": "{login}", "password": "{secret}", "key": "{extra.key}"}'
reply.body = '{"token": "{access_token}", "ttl": "{access_expires_at:in}"}'

[guard]
present = [
    { header = "Authorization", value = "Bearer {access_token}" },
    { header = "X-Key", value = "{extra.key}" },
]
"#;

#[test]
fn a_further_part_of_the_credential_reaches_the_vendor_and_not_the_command() {
    let url = vendor(|asked| {
        let key = asked.split(r#""key":""#).nth(1).unwrap();
        let key = key.split('"').next().unwrap();
        let body = format!(r#"{{"token":"of-{key}","ttl":600}}"#);
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    });
    let stage = Stage::start();
    let dialect = stage.write("acme.toml", ACME);
    stage.write("key", "from-file\n");
    let exec = |extra: &str| {
        stage.profiles(&format!(
            "[acme]\ndialect = '{}'\nurl = '{url}'\nlogin = 'l'\nsecret_file = '~/secret'\n\
             store = 'memory'\n[acme.extra]\n{extra}\n",
            dialect.display()
        ));
        let script = "echo $COUNTERSIGN_TOKEN $ACME_KEY";
        let mut command = stage.command(&["exec", "acme", "--", "sh", "-c", script]);
        finish(command.env("ACME_KEY", "from-env"))
    };
    for (extra, token) in [
        ("key = 'k1'", "of-k1 from-env\n"),
        ("key = { file = '~/key' }", "of-from-file from-env\n"),
        ("key = { command = ['echo', 'told'] }", "of-told from-env\n"),
        ("key = { env = 'ACME_KEY' }", "of-from-env\n"),
    ] {
        assert_eq!(exec(extra).code(0).stdout, token, "{extra}");
    }
    for (extra, code, named) in [
        ("", 64, "extra.key is missing"),
        ("key = { file = '~/none' }", 64, "extra.key"),
        ("key = { env = 'ACME_NONE' }", 64, "ACME_NONE"),
        ("kez = 'k1'", 64, "did you mean `key`?"),
        ("other = 'k1'", 64, "it has `key`"),
    ] {
        let ran = exec(extra).code(code);
        assert!(ran.stderr.contains(named), "{extra}: {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{extra}: {}", ran.stdout);
    }
}

#[test]
fn with_v_the_exchanges_come_before_what_the_command_says() {
    let stage = Stage::start();
    let words = ["exec", "pay", "-v", "--", "sh", "-c", "echo begun >&2"];
    let ran = stage.run(&words).code(0);
    stage.assert_discreet(&ran);
    assert!(ran.stderr.contains("* login\n> POST "), "{}", ran.stderr);
    assert!(ran.stderr.ends_with("\nbegun\n"), "{}", ran.stderr);
}
