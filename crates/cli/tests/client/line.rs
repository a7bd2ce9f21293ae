//! The command line and the profiles: mistakes are 64, and told.

use crate::run::{finish, run};
use crate::stage::Stage;

#[test]
fn a_profile_that_is_not_there_is_a_mistake() {
    let stage = Stage::start();
    for words in [
        &["login", "payy"][..],
        &["token", "payy"],
        &["request", "payy", "GET", "/"],
        &["exec", "payy", "--", "true"],
        &["status", "payy"],
        &["logout", "payy"],
        &["doctor", "payy"],
    ] {
        let ran = stage.run(words).code(64);
        assert!(
            ran.stderr.contains("did you mean"),
            "{words:?}: {}",
            ran.stderr
        );
    }
    assert_eq!(stage.sandbox.requests(), []);
}

#[test]
fn mistakes_in_the_profiles_are_told_at_once_with_their_lines() {
    let stage = Stage::start();
    stage.profiles("[pay]\ndialect = 'b2binpay'\nurl = 'http://192.0.2.1'\nlogim = 'ann'\n");
    let ran = stage.run(&["token", "pay"]).code(64);
    assert!(ran.stderr.contains("profiles.toml:3:"), "{}", ran.stderr);
    assert!(ran.stderr.contains("profiles.toml:4:"), "{}", ran.stderr);
    let error = stage.run(&["token", "pay", "--json"]).code(64).error();
    assert!(
        error["details"]["mistakes"].as_array().unwrap().len() >= 2,
        "{error}"
    );
}

#[test]
fn the_profiles_are_where_the_line_or_the_environment_says() {
    let stage = Stage::start();
    let text = stage.profile(stage.sandbox.url(), "secret_file = '~/secret'");
    let file = stage.write("other.toml", &text.replace("[pay]", "[other]"));
    let name = file.display().to_string();
    stage.run(&["token", "other"]).code(64);
    stage.run(&["token", "other", "--profiles", &name]).code(0);
    let mut command = stage.command(&["token", "other"]);
    finish(command.env("COUNTERSIGN_PROFILES", &name)).code(0);
}

#[test]
fn profiles_that_others_can_write_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::start();
    let file = stage.file(".config/countersign/profiles.toml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let ran = stage.run(&["token", "pay"]).code(64);
    assert!(ran.stderr.contains("chmod go-w"), "{}", ran.stderr);
}

#[test]
fn who_gives_a_secret_as_an_argument_is_told_where_it_belongs() {
    let stage = Stage::start();
    for option in ["--secret=planted", "--password=planted"] {
        let ran = stage.run(&["login", "pay", option]).code(64);
        assert!(ran.stderr.contains("never an argument"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("planted"), "{}", ran.stderr);
        let error = stage
            .run(&["login", "--json", "pay", option])
            .code(64)
            .error();
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains("secret_file") && !message.contains("planted"),
            "{error}"
        );
    }
}

#[test]
fn every_command_has_examples_in_its_help() {
    for command in [
        "login", "token", "request", "exec", "status", "logout", "doctor",
    ] {
        let help = run(&[command, "--help"]).code(0).stdout;
        assert!(help.contains("\nExamples:\n"), "{help}");
    }
}
