//! How an operator command finds its server and key, and what it says when it
//! does not.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use countersign_testing::listening::{
    alerting_tls, closing_http, closing_tls, listen_blocking, nowhere, taciturn_tls,
};
use countersign_testing::raw::read_head_blocking;

use crate::run::{Ran, command, finish};
use crate::server::Server;

const LIST: [&str; 2] = ["account", "list"];

/// A data directory that names this URL and key.
fn directory(url: &str, key: &str) -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    fs::write(data.path().join("admin.url"), url).unwrap();
    write_key(&data.path().join("admin.key"), key, 0o600);
    data
}

fn write_key(file: &Path, key: &str, mode: u32) {
    fs::write(file, key).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_environment_names_the_server_and_the_command_line_beats_it() {
    let server = Server::start();
    let elsewhere = tempfile::tempdir().unwrap();
    let named = |url: &str| {
        let mut command = command(&LIST);
        command
            .current_dir(elsewhere.path())
            .env("COUNTERSIGN_ADMIN_URL", url)
            .env("COUNTERSIGN_ADMIN_KEY_FILE", server.key_file());
        command
    };
    finish(&mut named(&server.url())).code(0);
    finish(&mut named(&format!("{}/", server.url()))).code(0);
    let over = finish(named("http://127.0.0.1:1").arg("--data").arg(server.data()));
    over.code(0);
    let empty = finish(named("").arg("--data").arg(server.data()));
    empty.code(0);
}

#[test]
fn the_data_directory_beside_the_command_is_the_default() {
    let server = Server::start();
    let place = tempfile::tempdir().unwrap();
    let beside = place.path().join("countersign-data");
    std::os::unix::fs::symlink(server.data(), beside).unwrap();
    finish(command(&LIST).current_dir(place.path())).code(0);
}

#[test]
fn where_no_server_ever_served_it_says_how_to_start_one() {
    let empty = tempfile::tempdir().unwrap();
    let ran = finish(command(&LIST).current_dir(empty.path())).code(69);
    for part in ["countersign-data/admin.url", "countersign serve", "--data"] {
        assert!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
}

#[test]
fn a_server_that_is_down_is_69_and_says_where_it_was_looked_for() {
    let url = nowhere();
    let data = directory(&url, "key");
    let ran = finish(command(&LIST).arg("--data").arg(data.path())).code(69);
    for part in [url.as_str(), "is it running?", "admin.url"] {
        assert!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
    let json = finish(command(&LIST).args(["--json", "--data"]).arg(data.path()));
    let error = json.code(69).error();
    assert_eq!(
        (&error["error"], &error["exit"]),
        (&"unavailable".into(), &69.into())
    );
}

#[test]
fn the_scheme_of_a_wrong_port_is_named() {
    let server = Server::start();
    let plain = format!("http://{}", alerting_tls());
    let silent = format!("http://{}", closing_tls());
    let taciturn = format!("http://{}", taciturn_tls());
    let closing = format!("https://{}", closing_http());
    for (url, words) in [
        (taciturn, "write https://"),
        (closing, "write http,"),
        (server.url().replace("http://", "https://"), "write http,"),
        (plain, "write https://"),
        (silent, "write https://"),
    ] {
        let data = directory(&url, "key");
        let ran = finish(command(&LIST).arg("--data").arg(data.path())).code(69);
        for part in [&*url, words, "admin.url"] {
            assert!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
        }
        assert!(!ran.stderr.contains("is it running?"), "{}", ran.stderr);
    }
}

#[test]
fn a_wrong_key_is_77_and_says_which_file_it_was_in() {
    let server = Server::start();
    write_key(&server.key_file(), "another-key", 0o600);
    let ran = server.run(&LIST).code(77);
    assert!(
        ran.stderr.contains("this is not an admin key"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("admin.key"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("another-key"), "{}", ran.stderr);
}

#[test]
fn a_key_file_that_others_can_read_is_not_used() {
    let server = Server::start();
    for mode in [0o644, 0o640, 0o604, 0o620] {
        write_key(&server.key_file(), "admin-key-of-the-test", mode);
        let ran = server.run(&LIST).code(64);
        assert!(ran.stderr.contains("chmod 600"), "{mode:o}: {}", ran.stderr);
    }
    write_key(&server.key_file(), "admin-key-of-the-test", 0o400);
    server.run(&LIST).code(0);
}

#[test]
fn a_key_file_that_holds_no_key_is_told() {
    let server = Server::start();
    for bad in ["", "\n", "two words", "two\nlines", "umläut"] {
        write_key(&server.key_file(), bad, 0o600);
        let ran = server.run(&LIST).code(64);
        assert!(
            ran.stderr.contains("does not hold an admin key"),
            "{bad:?}: {}",
            ran.stderr
        );
    }
    fs::remove_file(server.key_file()).unwrap();
    let ran = server.run(&LIST).code(64);
    assert!(ran.stderr.contains("cannot be read"), "{}", ran.stderr);
}

#[test]
fn the_key_is_sent_to_this_machine_only() {
    for (url, part) in [
        ("http://192.0.2.1:8081", "tunnel"),
        ("http://example.com", "tunnel"),
        ("127.0.0.1:8081", "http://127.0.0.1:8081"),
        ("ftp://127.0.0.1", "not an http or https URL"),
        ("not a url", "is not a URL"),
    ] {
        let data = directory(url, "key");
        let ran = finish(command(&LIST).arg("--data").arg(data.path())).code(64);
        assert!(ran.stderr.contains(part), "{url}: {}", ran.stderr);
    }
}

/// Runs the listing on a program that gives one answer to whoever asks.
fn listing_from(answer: String) -> Ran {
    let other = listen_blocking(move |mut stream| {
        read_head_blocking(&mut stream).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let data = directory(&format!("http://{other}"), "key");
    finish(command(&LIST).arg("--data").arg(data.path()))
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

#[test]
fn another_program_on_the_port_is_told_from_a_server() {
    for (status, body) in [
        ("404 Not Found", "nope"),
        ("200 OK", "<html>"),
        ("302 Found", "{}"),
    ] {
        let ran = listing_from(answer(status, body)).code(1);
        assert!(ran.stderr.contains("is the URL right?"), "{}", ran.stderr);
    }
}

#[test]
fn a_redirect_is_told_with_where_it_leads() {
    for (to, told) in [
        (
            "https://admin.example:8443/admin/v1/accounts?planted",
            "https://admin.example:8443/admin",
        ),
        (
            "https://ann:planted@admin.example/#x",
            "https://admin.example/",
        ),
        ("/login", "/login"),
    ] {
        let ran = listing_from(answer(&format!("302 Found\r\nLocation: {to}"), "")).code(1);
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
        assert!(!ran.stderr.contains("planted"), "{}", ran.stderr);
    }
}

#[test]
fn the_servers_answer_decides_the_exit_code() {
    let problem = r#"{"code": "some_code", "detail": "in \u001b[31mwords"}"#;
    for (status, code) in [
        ("403 Forbidden", 77),
        ("503 Service Unavailable", 69),
        ("409 Conflict", 1),
        ("500 Internal Server Error", 1),
    ] {
        let ran = listing_from(answer(status, problem)).code(code);
        assert_eq!(ran.stderr, "error: in \u{fffd}[31mwords\n", "{status}");
    }
    let mut cut = answer("200 OK", "{\"items\": []}");
    cut.truncate(cut.len() - 3);
    let ran = listing_from(cut).code(69);
    assert!(ran.stderr.contains("cannot be reached"), "{}", ran.stderr);
}
