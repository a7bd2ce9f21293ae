//! The line itself: help, version, mistakes in it, and readers that go away.

use std::io::Read;
use std::process::Stdio;

use crate::run::{command, run};

/// Every command that there is.
const COMMANDS: &[&str] = &[
    "",
    "serve",
    "account",
    "account list",
    "account show",
    "account create",
    "account disable",
    "account enable",
    "account allow",
    "account delete",
    "credential",
    "credential list",
    "credential create",
    "credential disable",
    "credential enable",
    "credential delete",
    "session",
    "session list",
    "session show",
    "session end",
    "session end-all",
    "account limits",
    "credential scopes",
    "api",
    "api list",
    "api show",
    "api revoke-all",
    "key",
    "key list",
    "key show",
    "key publish",
    "key rotate",
    "key retire",
    "key kill",
    "key rewrap",
    "admin-key",
    "admin-key list",
    "admin-key create",
    "admin-key delete",
    "store",
    "store mend-clock",
    "audit",
    "audit list",
    "dialect",
    "dialect list",
    "dialect show",
    "dialect check",
    "config",
    "config check",
    "config example",
    "config explain",
    "explain",
    "completion",
    "version",
];

#[test]
fn every_command_has_help_and_every_leaf_has_an_example() {
    for name in COMMANDS {
        let mut words: Vec<_> = name.split_whitespace().collect();
        words.push("--help");
        let ran = run(&words).code(0);
        assert!(ran.stderr.is_empty(), "{name}: {}", ran.stderr);
        let usage = format!("Usage: countersign {name}");
        assert!(ran.stdout.contains(usage.trim_end()), "{}", ran.stdout);
        if !ran.stdout.contains("<COMMAND>") {
            let example = format!("\n  countersign {name}");
            assert!(ran.stdout.contains(&example), "{name}: {}", ran.stdout);
        }
    }
}

#[test]
fn the_version_is_told() {
    let head = std::process::Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output();
    let commit = String::from_utf8(head.unwrap().stdout).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let begins = format!("countersign {version} ({} 20", commit.trim());
    for words in [&["--version"][..], &["-V"], &["version"]] {
        let ran = run(words).code(0);
        assert!(ran.stdout.starts_with(&begins), "{}", ran.stdout);
        assert!(ran.stdout.contains("\nfeatures: none\n"), "{}", ran.stdout);
    }
    for words in [&["--json", "--version"][..], &["version", "--json"]] {
        let told = run(words).code(0).json();
        assert_eq!(told["version"], version);
        assert_eq!(told["commit"], commit.trim());
        assert_eq!(told["features"], serde_json::json!([]));
    }
}

#[test]
fn loud_and_quiet_go_with_every_command() {
    for name in COMMANDS.iter().filter(|it| !it.is_empty()) {
        for word in ["-v", "--verbose", "-q", "--quiet"] {
            let mut words: Vec<_> = name.split_whitespace().collect();
            words.extend([word, "--help"]);
            run(&words).code(0);
        }
    }
    let both = run(&["status", "-v", "-q"]).code(64);
    assert!(
        both.stderr.contains("cannot be used with"),
        "{}",
        both.stderr
    );
}

#[test]
fn a_mistake_in_the_line_is_64_and_prints_nothing() {
    let cases: &[&[&str]] = &[
        &[],
        &["acount"],
        &["account"],
        &["account", "create"],
        &["account", "create", "--api"],
        &[
            "account",
            "create",
            "--api",
            "a",
            "--login",
            "x",
            "--login-prefix",
            "y",
        ],
        &["account", "create", "--api", "a", "--secret", "x"],
        &["account", "create", "--api", "a", "--id", "x"],
        &["account", "allow", "1"],
        &["account", "allow", "1", "::1", "--everywhere"],
        &["account", "list", "--limit", "-1"],
        &["credential", "delete", "1"],
        &["session", "end"],
        &["account", "limits", "1", "--budget", "0"],
        &["account", "limits", "1", "--budget", "many"],
        &["key", "rotate"],
        &["admin-key", "create", "ci"],
        &["admin-key", "create", "ci", "--role", "root"],
        &["audit", "list", "--follow", "--until", "1h"],
        &["key", "rewrap", "--data", "/nonexistent", "--yes"],
        &["dialect", "show"],
        &["completion", "tcsh"],
        &["--jsn"],
    ];
    for words in cases {
        let ran = run(words).code(64);
        assert!(ran.stdout.is_empty(), "{words:?}: {}", ran.stdout);
        assert!(!ran.stderr.is_empty(), "{words:?}");
        let mut words = words.to_vec();
        words.push("--json");
        let error = run(&words).code(64).error();
        assert_eq!(error["exit"], 64, "{words:?}");
        assert_eq!(error["error"], "usage", "{words:?}");
        assert!(error["message"].is_string(), "{words:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = command(&["completion", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    let mut pipe = child.stderr.take().unwrap();
    pipe.read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(stderr, "");
}

#[test]
fn an_output_that_cannot_be_written_is_a_failure() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let ran = command(&["dialect", "list"])
        .stdout(full.unwrap())
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("cannot be written"));
}

#[test]
fn each_shell_gets_its_script() {
    for (shell, sign) in [
        ("bash", "_countersign()"),
        ("zsh", "#compdef countersign"),
        ("fish", "complete -c countersign"),
    ] {
        let ran = run(&["completion", shell]).code(0);
        assert!(ran.stdout.contains(sign), "{shell}");
        assert!(ran.stdout.contains("end-all"), "{shell}");
    }
}

#[test]
fn explain_without_a_question_is_a_mistake_before_any_server_is_looked_for() {
    let nowhere = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_countersign"))
        .arg("explain")
        .current_dir(&nowhere)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64), "{output:?}");
}

/// What the parser says of it would be its help, under `error:`.
#[test]
fn a_command_that_is_not_named_is_told_apart_from_what_there_is() {
    for (line, named) in [
        (&[][..], "serve, login, token, "),
        (&["config"], "check, explain, example; "),
        (&["audit"], "list; "),
        (&["sandbox", "ctl"], "advance, set, clock, "),
    ] {
        let told = run(line).code(64).stderr;
        let begins = format!("error: the subcommand is missing\nhelp: name one of {named}");
        assert!(told.starts_with(&begins), "{line:?}: {told}");
        assert_eq!(told.lines().count(), 2, "{line:?}: {told}");
    }
    let told = run(&["completion", "tcsh"]).code(64).stderr;
    let help = "help: write one of bash, elvish, fish, powershell, zsh; ";
    let second = told.lines().nth(1);
    assert!(second.is_some_and(|it| it.starts_with(help)), "{told}");
}
