//! `countersign dialect`.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::run::run;

fn shipped() -> String {
    format!("{}/../../dialects", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_shipped_dialects_are_listed() {
    let list = run(&["dialect", "list", "--json"]).code(0).json();
    let names: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["apirone", "b2binpay", "mypopup", "mypopup-flat"]);
    let apirone = json!({
        "name": "apirone",
        "title": "Apirone",
        "operations": ["login", "refresh", "logout"],
        "serves": ["issuer", "client"],
    });
    assert_eq!(list["items"][0], apirone);
    let text = run(&["dialect", "list"]).code(0).stdout;
    assert!(text.starts_with("NAME "), "{text}");
    assert_eq!(text.lines().count(), 1 + names.len());
}

#[test]
fn a_dialect_is_shown_on_one_page() {
    let page = run(&["dialect", "show", "b2binpay"]).code(0).stdout;
    for part in [
        "login      v2       POST    /token/",
        "login      v3       POST    /token/",
        "slash optional",
        "access                3m",
        "bad_refresh         401",
    ] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    let shown = run(&["--json", "dialect", "show", "b2binpay"])
        .code(0)
        .json();
    assert_eq!(shown["preset"]["budget"], 40);
    assert_eq!(shown["refusals"]["bad_login"]["login"], 400);
    let endpoints = shown["endpoints"].as_array().unwrap();
    let refresh = endpoints.iter().find(|it| it["operation"] == "refresh");
    let refresh = refresh.unwrap();
    assert_eq!(
        (&refresh["method"], &refresh["path"]),
        (&json!("POST"), &json!("/token/refresh/"))
    );
}

#[test]
fn the_source_can_be_started_from() {
    let file = format!("{}/mypopup/dialect.toml", shipped());
    let source = run(&["dialect", "show", "mypopup", "--source"]).code(0);
    assert_eq!(source.stdout, fs::read_to_string(&file).unwrap());
    let from_file = run(&["dialect", "show", &file, "--json"]).code(0).json();
    assert_eq!(
        from_file,
        run(&["dialect", "show", "mypopup", "--json"]).json()
    );
}

#[test]
fn a_dialect_that_is_nowhere_is_a_mistake_in_the_line() {
    let ran = run(&["dialect", "show", "mypopop"]).code(64);
    assert!(
        ran.stderr.contains("apirone, b2binpay, mypopup"),
        "{}",
        ran.stderr
    );
    run(&["dialect", "check", "/nonexistent/dialect.toml"]).code(64);
}

#[test]
fn the_shipped_dialects_are_valid_as_file_and_as_directory() {
    for name in ["apirone", "b2binpay", "mypopup", "mypopup-flat"] {
        let directory = format!("{}/{name}", shipped());
        let checked = run(&["dialect", "check", &directory, "--json"]);
        let checked = checked.code(0).json();
        assert_eq!(
            (&checked["valid"], &checked["name"]),
            (&json!(true), &json!(name))
        );
        assert!(checked["examples"].as_u64() > Some(3), "{checked}");
        let file = format!("{directory}/dialect.toml");
        let said = run(&["dialect", "check", &file]).code(0).stdout;
        assert!(said.contains("is valid"), "{said}");
    }
}

/// A copy of a shipped dialect with two mistakes in it.
fn broken(directory: &Path) -> String {
    let source = fs::read_to_string(format!("{}/apirone/dialect.toml", shipped())).unwrap();
    let source = source
        .replace(
            "path = \"/api/v2/auth/login\"",
            "path = \"https://example.com/\"",
        )
        .replace(
            "address_denied     = { status = 403",
            "address_denied     = { status = 999",
        );
    let file = directory.join("dialect.toml");
    fs::write(&file, source).unwrap();
    file.display().to_string()
}

#[test]
fn every_mistake_in_a_file_is_told_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let file = broken(directory.path());
    let ran = run(&["dialect", "check", &file]).code(64);
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    let places = ran
        .stderr
        .lines()
        .filter(|line| line.starts_with(&format!("{file}:")));
    assert_eq!(places.count(), 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("2 mistakes"), "{}", ran.stderr);

    let error = run(&["dialect", "check", &file, "--json"]).code(64).error();
    let mistakes = error["details"]["mistakes"].as_array().unwrap();
    let pointers: Vec<_> = mistakes
        .iter()
        .map(|it| it["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(
        pointers,
        ["/login/0/path", "/refusals/address_denied/status"]
    );
    assert!(mistakes.iter().all(|it| it["line"].as_u64() > Some(1)));
    run(&["dialect", "show", &file]).code(64);
}

/// The configuration is told in the same way.
#[test]
fn every_mistake_in_a_configuration_is_told_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("countersign.toml");
    fs::write(&file, "[server]\nlog = 'xml'\n[apis.pay]\ndialect = 3\n").unwrap();
    let file = file.display().to_string();
    for words in [
        &["config", "check", &file, "--json"] as &[_],
        &["config", "explain", &file, "--json"],
        &["serve", "--config", &file, "--json"],
    ] {
        let error = run(words).code(64).error();
        let mistakes = error["details"]["mistakes"].as_array().unwrap();
        let places: Vec<_> = mistakes
            .iter()
            .map(|it| {
                (
                    it["line"].as_u64().unwrap(),
                    it["pointer"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(places, [(2, "/server/log"), (4, "/apis/pay/dialect")]);
    }
}

#[test]
fn an_example_that_does_not_run_as_recorded_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let examples = directory.path().join("examples");
    fs::create_dir(&examples).unwrap();
    let copy = |name: &str| {
        let text = fs::read_to_string(format!("{}/apirone/{name}", shipped())).unwrap();
        fs::write(directory.path().join(name), text).unwrap();
    };
    copy("dialect.toml");
    let path = directory.path().to_str().unwrap();
    let none = run(&["dialect", "check", path]).code(0).stdout;
    assert!(none.contains("no examples beside it"), "{none}");
    copy("examples/login.http");
    run(&["dialect", "check", path]).code(0);

    let file = examples.join("login.http");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("HTTP/1.1 200", "HTTP/1.1 201")).unwrap();
    let ran = run(&["dialect", "check", path]).code(1);
    let place = format!("{}:3:1: Log in with an account", file.display());
    assert!(ran.stderr.starts_with(&place), "{}", ran.stderr);
    let error = run(&["dialect", "check", path, "--json"]).code(1).error();
    assert_eq!(error["details"]["examples"][0]["line"], 3, "{error}");
    fs::write(&file, "no exchange").unwrap();
    let ran = run(&["dialect", "check", path]).code(1);
    assert!(
        ran.stderr.contains(":1:1: no exchange\n  help: "),
        "{}",
        ran.stderr
    );
}

/// The least that a file for clients only says.
const LEAST: &str = r#"
schema = 1
name = "acme"
serves = ["client"]

[[login]]
path = "/token"
request.form = { client_id = "{login}", client_secret = "{secret}" }
reply.body = '{"access_token": "{access_token}"}'

[expiry]
access = "240h"

[guard]
present = [{ header = "Authorization", value = "Bearer {access_token}" }]
"#;

#[test]
fn a_file_for_clients_is_shown_with_what_it_says_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("acme.toml");
    fs::write(&file, LEAST).unwrap();
    let name = file.to_str().unwrap();
    let page = run(&["dialect", "show", name]).code(0).stdout;
    assert!(page.contains("access ends  10d after the reply"), "{page}");
    assert!(page.contains("Refusals are those of RFC 6749"), "{page}");
    for invented in ["10m", "absolute", "bad_login", "throttled"] {
        assert!(!page.contains(invented), "{invented}: {page}");
    }
    let shown = run(&["--json", "dialect", "show", name]).code(0).json();
    assert_eq!(shown["preset"], json!({}));
    assert_eq!(shown["refusals"], json!({}));

    let spelled = "[errors]\nbody = '{\"m\": \"{detail}\"}'\n[refusals]\n\
                   bad_login = { status = 422, detail = \"no\" }\n[preset]\naccess = \"20m\"\n";
    fs::write(&file, format!("{LEAST}{spelled}")).unwrap();
    let shown = run(&["--json", "dialect", "show", name]).code(0).json();
    assert_eq!(shown["preset"], json!({ "access": "20m" }));
    assert_eq!(shown["refusals"], json!({ "bad_login": { "login": 422 } }));
}

#[test]
fn a_name_that_is_nearly_one_is_recognised() {
    for words in [&["dialect", "show", "mypopu"][..], &["sandbox", "b2bipay"]] {
        let told = run(words).code(64).stderr;
        let meant = if words[0] == "dialect" {
            "mypopup"
        } else {
            "b2binpay"
        };
        assert!(told.contains(&format!("did you mean `{meant}`?")), "{told}");
    }
}

#[test]
fn the_reference_of_dialect_files_comes_with_the_program() {
    let printed = run(&["dialect", "reference"]).code(0).stdout;
    let file = fs::read_to_string(format!("{}/README.md", shipped())).unwrap();
    assert_eq!(printed, file);
    let printed = run(&["--json", "dialect", "reference"]).code(0).json();
    assert_eq!(printed["text"], json!(file));
}
