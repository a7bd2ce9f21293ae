//! `countersign serve` as an operator meets it: how it starts, what it logs,
//! what it leaves on disk, how it stops.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use countersign_testing::raw::{RawClient, exchange, field};
use countersign_testing::replies::{request, send};
use countersign_testing::waiting::eventually;
use serde_json::{Value, json};
use support::{Demo, files, serve_demo};
use tokio::net::TcpStream;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

fn countersign(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(arguments)
        .output()
        .unwrap()
}

fn complaint(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn serve_without_anything_to_serve_says_what_to_do() {
    let output = countersign(&["serve"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        complaint(&output).contains("countersign serve --demo"),
        "{}",
        complaint(&output)
    );
    assert!(
        complaint(&output).contains("config example"),
        "{}",
        complaint(&output)
    );
}

#[test]
fn a_demo_does_not_listen_where_others_reach_it() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().join("demo");
    let output = countersign(&[
        "serve",
        "--demo",
        "--listen",
        "0.0.0.0:0",
        "--data",
        data.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        complaint(&output).contains("--danger-listen"),
        "{}",
        complaint(&output)
    );
    assert!(!data.exists(), "nothing was made");
}

#[test]
fn the_admin_api_stays_on_loopback() {
    let output = countersign(&["serve", "--demo", "--admin-listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        complaint(&output).contains("loopback"),
        "{}",
        complaint(&output)
    );
}

#[test]
fn a_demo_and_a_server_do_not_share_a_data_directory() {
    let demo = Demo::start();
    let directory = demo.data();
    let config = directory.join("own.toml");
    std::fs::write(&config, "[apis.pay]\ndialect = \"mypopup\"\n").unwrap();
    let arguments = [
        "serve",
        "--config",
        config.to_str().unwrap(),
        "--data",
        directory.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
    ];
    let output = countersign(&arguments);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        complaint(&output).contains("data of a demo"),
        "{}",
        complaint(&output)
    );
}

#[test]
fn two_servers_do_not_share_a_store() {
    let demo = Demo::start();
    let output = serve_demo(&demo.data()).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(
        complaint(&output).contains("another process"),
        "{}",
        complaint(&output)
    );
    assert!(
        demo.data().join("demo.json").exists(),
        "the first one's manifest stays"
    );
}

#[test]
fn a_port_that_is_taken_is_named() {
    let demo = Demo::start();
    let data = tempfile::tempdir().unwrap();
    let taken = demo.address().to_string();
    let output = countersign(&[
        "serve",
        "--demo",
        "--listen",
        &taken,
        "--admin-listen",
        "127.0.0.1:0",
        "--data",
        data.path().join("demo").to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(69));
    assert!(
        complaint(&output).contains(&taken),
        "{}",
        complaint(&output)
    );
}

#[test]
fn a_wrong_or_missing_master_key_refuses_to_start_and_harms_nothing() {
    let demo = Demo::start();
    let directory = demo.data();
    let copy = tempfile::tempdir().unwrap();
    let data = copy.path().join("demo");
    demo_copy(&directory, &data);
    drop(demo);
    let start = || serve_demo(&data).output().unwrap();
    let master = data.join("master.key");
    let right = std::fs::read(&master).unwrap();
    std::fs::write(&master, [7; 32]).unwrap();
    let bytes = || {
        let mut files = files(&data);
        files.sort();
        let read = |file: PathBuf| (std::fs::read(&file).unwrap(), file);
        files.into_iter().map(read).collect::<Vec<_>>()
    };
    let before = bytes();
    let output = start();
    assert!(bytes() == before, "not a byte of any file is changed");
    assert_eq!(output.status.code(), Some(64), "{}", complaint(&output));
    let wrong = "error: the master key is not the one that this store was made with, and nothing was \
                 changed\nhelp: put the right file in its place\n";
    assert_eq!(complaint(&output), wrong);
    std::fs::remove_file(&master).unwrap();
    let output = start();
    assert_eq!(output.status.code(), Some(64), "{}", complaint(&output));
    assert!(!master.exists(), "no other key is made");
    std::fs::write(&master, right).unwrap();
    std::fs::set_permissions(&master, PermissionsExt::from_mode(0o600)).unwrap();
    assert!(Demo::start_on(copy).manifest["accounts"].is_array());
}

#[test]
fn an_admin_key_that_others_can_read_is_refused_as_a_master_key_is() {
    let copy = tempfile::tempdir().unwrap();
    let data = copy.path().join("demo");
    {
        let demo = Demo::start();
        demo_copy(&demo.data(), &data);
    }
    let key = data.join("admin.key");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    let output = serve_demo(&data).output().unwrap();
    assert_eq!(output.status.code(), Some(64), "{}", complaint(&output));
    assert!(
        complaint(&output).contains("chmod 600"),
        "{}",
        complaint(&output)
    );
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&key, "h\n").unwrap();
    let output = serve_demo(&data).output().unwrap();
    assert_eq!(output.status.code(), Some(64), "a key that is guessed");
}

#[test]
fn a_new_admin_key_is_not_written_to_what_is_no_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = serve_demo(&directory.path().join("demo"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut told = String::new();
    while !told.contains("curl") {
        assert!(stdout.read_line(&mut told).unwrap() > 0, "{told}");
    }
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    stdout.read_to_string(&mut told).unwrap();
    let key = std::fs::read_to_string(directory.path().join("demo/admin.key")).unwrap();
    assert!(!told.contains(key.trim()), "{told}");
    assert!(told.contains("admin.key"), "{told}");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let words: Vec<_> = core.unwrap().split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "no core dumps");
}

#[test]
fn a_store_whose_clock_is_right_is_not_mended() {
    let data = tempfile::tempdir().unwrap();
    let directory = data.path().join("none");
    let words = ["store", "mend-clock", "--yes", "--json", "--data"];
    let mend = |directory: &std::path::Path| {
        let mut all = words.to_vec();
        all.push(directory.to_str().unwrap());
        countersign(&all)
    };
    let output = mend(&directory);
    assert_eq!(output.status.code(), Some(64), "{}", complaint(&output));
    let demo = Demo::start();
    let output = mend(&demo.data());
    assert_eq!(output.status.code(), Some(64), "{}", complaint(&output));
    assert!(complaint(&output).contains("another process"));
    let copy = data.path().join("demo");
    demo_copy(&demo.data(), &copy);
    drop(demo);
    let output = mend(&copy);
    assert_eq!(output.status.code(), Some(0), "{}", complaint(&output));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["mended"], false);
}

#[test]
fn a_store_that_was_cut_to_nothing_is_not_taken_for_a_new_one() {
    let demo = Demo::start();
    let copy = tempfile::tempdir().unwrap();
    let data = copy.path().join("demo");
    demo_copy(&demo.data(), &data);
    drop(demo);
    for file in ["countersign.db", "countersign.db-wal"] {
        std::fs::write(data.join(file), "").unwrap();
    }
    let output = serve_demo(&data).output().unwrap();
    assert_eq!(output.status.code(), Some(64), "{}", complaint(&output));
    assert!(
        complaint(&output).contains("restore"),
        "{}",
        complaint(&output)
    );
}

/// A first start that is killed at any of many moments leaves a directory on
/// which the next start serves, and with the secrets of the one that it finds.
#[test]
fn a_demo_that_was_killed_in_its_first_start_starts_again() {
    for kill in 0..12 {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("demo");
        let mut child = serve_demo(&data)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let made = [
            "demo-accounts.json",
            "countersign.db",
            "countersign.db-wal",
            "master.key",
            "admin.key",
            "admin.url",
        ];
        let moment = data.join(made[kill % made.len()]);
        while !moment.exists() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let demo = Demo::start_on(directory);
        assert_eq!(
            demo.manifest["accounts"].as_array().unwrap().len(),
            6,
            "at {moment:?}"
        );
    }
}

fn demo_copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).unwrap();
    std::fs::set_permissions(to, PermissionsExt::from_mode(0o700)).unwrap();
    for file in files(from) {
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

#[tokio::test]
async fn a_demo_that_starts_again_keeps_accounts_secrets_and_sessions() {
    let demo = Demo::start();
    let account = demo.account("mypopup", "demo");
    let body = json!({ "username": account.login, "password": account.secret }).to_string();
    let login = send(
        demo.address(),
        request("POST", "/auth/login", &JSON, body.clone()),
    )
    .await;
    let token = login.json()["data"]["refresh_token"].clone();
    let accounts = demo.manifest["accounts"].clone();

    let demo = demo.kill_and_restart();
    assert_eq!(demo.manifest["accounts"], accounts);
    let body_again = json!({ "refresh_token": token }).to_string();
    let refresh = send(
        demo.address(),
        request("POST", "/auth/refresh", &JSON, body_again),
    )
    .await;
    assert_eq!(refresh.status, 200, "{}", refresh.text());
    assert_eq!(
        send(demo.address(), request("POST", "/auth/login", &JSON, body))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_request_that_runs_when_the_server_is_told_to_stop_is_answered() {
    let demo = Demo::start();
    let account = demo.account("mypopup", "demo");
    let body = json!({ "username": account.login, "password": account.secret }).to_string();
    let (first, rest) = body.split_at(10);
    let mut client = RawClient::connect(demo.address()).await;
    let head = format!(
        "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    client.send(head).await;
    assert_eq!(client.answer().await.status, 100, "the request runs");

    let (admin, to) = (demo.admin(), demo.address());
    let stopping = tokio::task::spawn_blocking(move || demo.stop());
    let unready = || async { send(admin, request("GET", "/readyz", &[], "")).await.status == 503 };
    eventually("the server says that it drains", unready).await;
    let closed = || async { TcpStream::connect(to).await.is_err() };
    eventually("nobody new is let in", closed).await;
    client.send(first).await;
    client.send(rest).await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let (code, log) = stopping.await.unwrap();
    assert_eq!(code, Some(0), "{log}");
}

/// Everything that must not be seen: secrets, tokens and keys are planted, used,
/// sent to the wrong places, and searched for in the log, the metrics and every
/// file.
#[tokio::test]
async fn no_secret_is_logged_or_stored() {
    let demo = Demo::start();
    let to = demo.address();
    let mut planted = vec![demo.admin_key().to_owned(), "planted-password".to_owned()];
    let account = demo.account("mypopup", "demo");
    let body = json!({ "username": account.login, "password": account.secret }).to_string();
    let login = send(to, request("POST", "/auth/login", &JSON, body))
        .await
        .json();
    for member in ["access_token", "refresh_token"] {
        planted.push(login["data"][member].as_str().unwrap().to_owned());
    }
    planted.push(account.secret);
    let wrong = json!({ "username": "demo", "password": "planted-password" }).to_string();
    send(to, request("POST", "/auth/login", &JSON, wrong)).await;
    let refresh = json!({ "refresh_token": login["data"]["refresh_token"] }).to_string();
    let next = send(to, request("POST", "/auth/refresh", &JSON, refresh))
        .await
        .json();
    for member in ["access_token", "refresh_token"] {
        planted.push(next["data"][member].as_str().unwrap().to_owned());
    }
    let swapped = json!({ "username": planted[4], "password": "demo" }).to_string();
    send(to, request("POST", "/auth/login", &JSON, swapped)).await;
    let misplaced = format!("/nowhere/{}", planted[2]);
    send(to, request("GET", &misplaced, &[], "")).await;
    let broken = "{\"username\": \"planted-password\", \"planted-password\": ";
    send(to, request("POST", "/auth/login", &JSON, broken)).await;
    let bearer = format!("Bearer {}", planted[2]);
    let call = request(
        "GET",
        "/api/v1/x?k=planted-password",
        &[("authorization", &bearer)],
        "",
    );
    assert_eq!(send(to, call).await.status, 200);
    let apirone = demo.account("apirone", "apr-");
    let keyed = format!(
        "/api/v2/accounts/{}/callback?transfer-key={}",
        apirone.login, apirone.secret
    );
    assert_eq!(send(to, request("GET", &keyed, &[], "")).await.status, 200);
    let keyed = keyed.replace("/callback", "/%2e%2e");
    send(to, request("GET", &keyed, &[], "")).await;
    planted.push(apirone.secret);
    let forged = "de\u{1b}[31m\r\nfake line mo";
    let body = json!({ "username": forged, "password": "planted-password" }).to_string();
    send(to, request("POST", "/auth/login", &JSON, body)).await;

    let metrics = send(demo.admin(), request("GET", "/metrics", &[], ""))
        .await
        .text();
    let data = demo.data();
    planted.extend(master_key_spellings(&data.join("master.key")));
    let stored: Vec<_> = files(&data)
        .into_iter()
        .filter(|it| !is_meant_to_hold_secrets(it))
        .collect();
    assert!(
        stored.iter().any(|it| it.ends_with("countersign.db-wal")),
        "{stored:?}"
    );
    let contents: Vec<_> = stored
        .iter()
        .map(|it| (it, std::fs::read(it).unwrap()))
        .collect();
    let (_, log) = demo.stop();
    for secret in &planted {
        assert!(!log.contains(secret), "{secret} in the log");
        assert!(!metrics.contains(secret), "{secret} in the metrics");
        for (file, bytes) in &contents {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} in {}", file.display());
        }
    }
    assert!(
        log.lines().all(|line| !line.starts_with("fake")),
        "a login forged a line: {log}"
    );
    assert!(!log.contains('\u{1b}'), "a login wrote an escape sequence");
}

fn is_meant_to_hold_secrets(file: &std::path::Path) -> bool {
    ["demo.json", "demo-accounts.json", "admin.key", "master.key"]
        .iter()
        .any(|it| file.ends_with(it))
}

fn master_key_spellings(file: &std::path::Path) -> Vec<String> {
    use base64::Engine;
    let key = std::fs::read(file).unwrap();
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        hex,
        base64::engine::general_purpose::STANDARD_NO_PAD.encode(&key),
    ]
}

#[test]
fn what_is_in_the_data_directory_is_the_owners_only() {
    let demo = Demo::start();
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&demo.data()), 0o700);
    for file in files(&demo.data()) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn a_request_that_is_refused_at_the_door_has_a_line_and_an_id_too() {
    let demo = Demo::start();
    let answer = exchange(demo.address(), "GET /api/v1/x HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let id = field(&answer, "x-countersign-refusal");
    let (_, log) = demo.stop();
    let line = log.lines().find(|line| line.contains(id.unwrap())).unwrap();
    assert!(line.contains("Host field is missing"), "{line}");
}

#[tokio::test]
async fn each_auth_request_and_each_refusal_has_one_line() {
    let demo = Demo::start();
    let to = demo.address();
    let account = demo.account("mypopup", "demo");
    let body = json!({ "username": account.login, "password": account.secret }).to_string();
    let login: Value = send(to, request("POST", "/auth/login", &JSON, body))
        .await
        .json();
    let bearer = format!("Bearer {}", login["data"]["access_token"].as_str().unwrap());
    let call = request("GET", "/api/v1/x", &[("authorization", &bearer)], "");
    assert_eq!(send(to, call).await.status, 200);
    let refused = send(to, request("GET", "/api/v1/x", &[], "")).await;
    let unserved = send(to, request("GET", "/nowhere", &[], "")).await;
    let (_, log) = demo.stop();
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("request="))
        .collect();
    assert_eq!(
        lines.len(),
        3,
        "a login and two refusals, not what passed: {log}"
    );
    assert!(lines[0].contains("operation=\"login\"") && lines[0].contains("outcome=\"done\""));
    for (line, reply, reason) in [
        (lines[1], refused, "token_missing"),
        (lines[2], unserved, "path_unknown"),
    ] {
        assert!(
            line.contains(reply.header("x-countersign-refusal")),
            "{line}"
        );
        assert!(line.contains(reason), "{line}");
    }
}
