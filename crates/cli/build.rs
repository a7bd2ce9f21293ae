//! Tells the program of which commit it is built.
//!
//! A build without a repository, as of a package's sources, says it itself in
//! `COUNTERSIGN_COMMIT` and `SOURCE_DATE_EPOCH`
//! (<https://reproducible-builds.org/specs/source-date-epoch/>).

#![expect(
    clippy::disallowed_methods,
    reason = "a build is told what to do by the environment"
)]

use std::process::Command;

fn main() {
    for name in ["COUNTERSIGN_COMMIT", "SOURCE_DATE_EPOCH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    // Written with each commit and each change of branch.
    if let Some(log) = git(&[
        "rev-parse",
        "--path-format=absolute",
        "--git-path",
        "logs/HEAD",
    ]) {
        println!("cargo::rerun-if-changed={log}");
    }
    let commit = std::env::var("COUNTERSIGN_COMMIT").ok();
    if let Some(commit) = commit.or_else(|| git(&["rev-parse", "--short=12", "HEAD"])) {
        println!("cargo::rustc-env=COUNTERSIGN_COMMIT={commit}");
    }
    let date = std::env::var("SOURCE_DATE_EPOCH").ok();
    let date = date.and_then(|it| output("date", &["-u", "-d", &format!("@{it}"), "+%F"]));
    if let Some(date) = date.or_else(|| git(&["log", "-1", "--format=%cs"])) {
        println!("cargo::rustc-env=COUNTERSIGN_DATE={date}");
    }
    let target = std::env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=COUNTERSIGN_TARGET={target}");
}

/// What git says of the repository of this crate; not of another one, in which its
/// sources lie.
fn git(words: &[&str]) -> Option<String> {
    let prefix = output("git", &["rev-parse", "--show-prefix"])?;
    (prefix == "crates/cli/").then(|| output("git", words))?
}

/// What a program prints, if it ends well.
fn output(program: &str, words: &[&str]) -> Option<String> {
    let ran = Command::new(program).args(words).output().ok()?;
    let said = String::from_utf8(ran.stdout).ok()?;
    let said = said.trim();
    (ran.status.success() && !said.is_empty()).then(|| said.to_owned())
}
