//! A real server for a test: the binary itself, over real sockets.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "each test file uses its part, and a test may panic"
)]

mod server;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

#[allow(unused_imports, reason = "each test file uses its part")]
pub(crate) use server::{Server, spawned};

/// A demo that runs until it is dropped, with a data directory of its own.
pub(crate) struct Demo {
    child: Child,
    data: tempfile::TempDir,
    log: Option<std::thread::JoinHandle<String>>,
    pub(crate) manifest: Value,
}

/// An account of the demo.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) login: String,
    pub(crate) secret: String,
    pub(crate) client_id: u64,
}

impl Demo {
    /// Starts a demo on free ports and waits until it serves.
    pub(crate) fn start() -> Self {
        Self::start_on(tempfile::tempdir().unwrap())
    }

    /// Starts a demo on the directory `demo` below this one.
    pub(crate) fn start_on(data: tempfile::TempDir) -> Self {
        let mut child = serve_demo(&data.path().join("demo"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            log.read_to_string(&mut text).unwrap();
            text
        });
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut first)
            .unwrap();
        assert!(
            first.starts_with("API"),
            "the demo did not start: {first:?}"
        );
        let manifest = std::fs::read_to_string(data.path().join("demo/demo.json")).unwrap();
        let manifest = serde_json::from_str(&manifest).unwrap();
        Self {
            child,
            data,
            log: Some(log),
            manifest,
        }
    }

    /// Kills the process with SIGKILL, in the middle of whatever it does, and
    /// starts it again on the same directory.
    pub(crate) fn kill_and_restart(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let data = std::mem::replace(&mut self.data, tempfile::tempdir().unwrap());
        Self::start_on(data)
    }

    /// Asks the process to stop, waits for it, and gives its exit code and log.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        signal(&self.child, "TERM");
        let code = self.child.wait().unwrap().code();
        let log = self.log.take().unwrap().join().unwrap();
        (code, log)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.data.path().join("demo")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.url("listen").parse().unwrap()
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.url("admin").parse().unwrap()
    }

    pub(crate) fn admin_key(&self) -> &str {
        self.manifest["admin_key"].as_str().unwrap()
    }

    fn url(&self, name: &str) -> &str {
        self.manifest[name]
            .as_str()
            .unwrap()
            .strip_prefix("http://")
            .unwrap()
    }

    /// The account of `api` whose login begins with `prefix`.
    pub(crate) fn account(&self, api: &str, prefix: &str) -> Account {
        let accounts = self.manifest["accounts"].as_array().unwrap();
        let found = accounts.iter().find(|it| {
            it["api"] == api
                && it["login"]
                    .as_str()
                    .is_some_and(|login| login.starts_with(prefix))
        });
        let found = found.unwrap_or_else(|| panic!("no account {prefix} at {api}"));
        Account {
            login: found["login"].as_str().unwrap().to_owned(),
            secret: found["secret"].as_str().unwrap().to_owned(),
            client_id: found["client_id"].as_u64().unwrap(),
        }
    }

    /// The process, for its figures in /proc.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// The command that starts a demo on free ports.
pub(crate) fn serve_demo(data: &Path) -> Command {
    let free = "127.0.0.1:0";
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(["serve", "--demo", "--listen", free, "--admin-listen", free]);
    command.arg("--data").arg(data);
    command
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Already gone after `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process of ours. The shell's own `kill`: a bare Debian has
/// no other.
pub(crate) fn signal(child: &Child, name: &str) {
    let command = format!("kill -s {name} {}", child.id());
    assert!(
        Command::new("sh")
            .args(["-c", &command])
            .status()
            .unwrap()
            .success()
    );
}

/// Every file below a directory.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
