//! The command line and the profiles: mistakes are 64, and told.

use crate::run::{Ran, finish, run};
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
        assert!(
            ran.stderr.contains("cannot be an argument"),
            "{}",
            ran.stderr
        );
        assert!(!ran.stderr.contains("planted"), "{}", ran.stderr);
        let error = stage
            .run(&["login", "--json", "pay", option])
            .code(64)
            .error();
        let help = error["help"].as_str().unwrap();
        assert!(
            help.contains("secret_file") && !error.to_string().contains("planted"),
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

/// What a failed run says is wrong, and what to do, which never stand in one line.
#[track_caller]
fn error_and_help(ran: &Ran) -> (String, String) {
    let lines = || ran.stderr.lines();
    let error = lines().find_map(|it| it.strip_prefix("error: "));
    let help = lines().find_map(|it| it.trim_start().strip_prefix("help: "));
    let (error, help) = (error.unwrap(), help.unwrap_or_default());
    for cure in [
        "did you mean",
        "run `",
        "; ",
        ": use ",
        ": write ",
        ": name ",
    ] {
        assert!(!error.contains(cure), "{cure:?} in {error}");
    }
    (error.to_owned(), help.to_owned())
}

#[test]
fn what_is_wrong_and_what_to_do_stand_apart() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::start();
    let mode = |name: &str, mode| {
        let only = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(stage.file(name), only).unwrap();
    };
    let said = |words: &[&str], wrong: &str, cure: &str| {
        let ran = stage.run(words).code(64);
        let (error, help) = error_and_help(&ran);
        assert!(error.contains(wrong), "{words:?}: {}", ran.stderr);
        assert!(help.contains(cure), "{words:?}: {}", ran.stderr);
        let mut words = words.to_vec();
        words.insert(0, "--json");
        let told = stage.run(&words).code(64).error();
        let help = told["help"].as_str().unwrap_or_default();
        let in_list = told["details"].to_string();
        assert!(help.contains(cure) || in_list.contains(cure), "{told}");
        assert!(!told["message"].as_str().unwrap().contains(cure), "{told}");
    };
    said(
        &["token", "payy"],
        "no profile \"payy\"",
        "did you mean `pay`?",
    );
    said(
        &["dialect", "show", "mypopu"],
        "\"mypopu\" is neither",
        "did you mean `mypopup`?",
    );
    said(
        &["request", "pay", "GET", "https://x/"],
        "invalid value",
        "write the path alone",
    );
    said(
        &["login", "pay", "--secret=x"],
        "cannot be an argument",
        "name a file",
    );
    said(
        &["serve"],
        "neither --config nor --demo is given",
        "serve --demo",
    );
    said(&["key", "rewrap"], "there is no store", "--data");
    mode(".config/countersign/profiles.toml", 0o666);
    said(&["token", "pay"], "others can write", "chmod go-w");
    std::fs::remove_file(stage.file(".config/countersign/profiles.toml")).unwrap();
    said(&["token", "pay"], "does not exist", "create it");
    stage.profiles("[pay]\ndialect = 'b2binpay'\nurl = 'http://192.0.2.1'\nlogim = 'ann'\n");
    said(&["token", "pay"], "mistakes in the profile", "write https");
    stage.profiles(&stage.profile(stage.sandbox.url(), "secret_file = '~/secret'"));
    stage.run(&["token", "pay"]).code(0);
    mode(".config/countersign/store.key", 0o644);
    let ran = stage.run(&["token", "pay"]).code(1);
    let (error, help) = error_and_help(&ran);
    assert!(error.contains("others can read or change"), "{error}");
    assert!(help.starts_with("run `chmod 600 "), "{help}");
}
