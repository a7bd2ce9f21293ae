//! A real gRPC program, grpcio, on both sides of the guard.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::world::{MYPOPUP, Plan};

/// The program, with the library that `scripts/test` has put below the target
/// directory.
fn peer(words: &[&str]) -> Command {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library: PathBuf = [env!("CARGO_TARGET_TMPDIR"), "..", "grpc"].iter().collect();
    let mut command = Command::new("python3");
    command
        .arg("-B")
        .arg(here.join("tests/guard/grpc/peer.py"))
        .args(words)
        .env("PYTHONPATH", library)
        .env_remove("GRPC_TRACE")
        .kill_on_drop(true);
    command
}

/// A service, which runs until this is dropped, and its URL.
async fn service() -> (Child, String) {
    let mut command = peer(&["serve"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines.next_line().await.unwrap();
    let port = port.expect("scripts/test fetches grpcio");
    (child, format!("http://127.0.0.1:{port}"))
}

#[tokio::test]
async fn calls_of_every_kind_pass() {
    let (_service, url) = service().await;
    let mut plan = Plan::new(MYPOPUP, &url);
    plan.settings.http2 = true;
    let world = plan.build();
    let address = world.serve_as_listeners_do().await.to_string();
    let called = peer(&["call", &address, &world.token()]).output().await;
    let called = called.unwrap();
    let said = String::from_utf8_lossy(&called.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&called.stderr);
    assert_eq!(said.trim(), "all well", "{complaint}");
}
