//! A sidecar process with a directory of its own, and a program that talks to it.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use countersign_sandbox::Sandbox;
use countersign_testing::replies::{Reply, request, send_on};
use countersign_testing::waiting::eventually;
use http::Request;
use http_body_util::Full;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::support::{signal, spawned};

/// A directory with a file of profiles.
pub(crate) struct Home(pub(crate) tempfile::TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(self.path(name), mode).unwrap();
    }

    /// A profile of this sandbox, with its secret in a file, kept in memory.
    pub(crate) fn profile(&self, name: &str, sandbox: &Sandbox, more: &str) -> String {
        self.write(&format!("{name}.secret"), sandbox.secret().expose());
        format!(
            "[{name}]\ndialect = {:?}\nurl = {:?}\nlogin = {:?}\nsecret_file = \"{name}.secret\"\n\
             store = \"memory\"\n{more}\n",
            sandbox.dialect().name(),
            sandbox.url(),
            sandbox.login()
        )
    }

    pub(crate) fn profiles(&self, text: &str) {
        self.write("profiles.toml", text);
    }

    /// `countersign sidecar --json` with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command
            .args(["sidecar", "--json", "--profiles"])
            .arg(self.path("profiles.toml"))
            .args(arguments)
            .env("XDG_RUNTIME_DIR", self.0.path())
            .env_remove("RUNTIME_DIRECTORY")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// One that does not start.
    pub(crate) fn fail(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let Output { status, stderr, .. } = self.command(arguments).output().unwrap();
        (status.code(), String::from_utf8(stderr).unwrap())
    }

    /// One that serves.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::of(
            self.command(arguments)
                .env("RUST_LOG", "debug,hyper=debug,h2=debug"),
        )
    }
}

/// A sidecar that runs until it is dropped.
pub(crate) struct Running {
    child: Child,
    log: Arc<Mutex<String>>,
    ready: Value,
}

impl Running {
    pub(crate) fn of(command: &mut Command) -> Self {
        let (child, log, ready) = spawned(command);
        Self { child, log, ready }
    }

    /// Where a profile is listened for.
    pub(crate) fn listen(&self, profile: &str) -> String {
        let sidecars = self.ready["sidecars"].as_array().unwrap();
        let found = sidecars.iter().find(|it| it["profile"] == profile);
        found.unwrap()["listen"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn get(&self, profile: &str, target: &str) -> Reply {
        send(&self.listen(profile), request("GET", target, &[], "")).await
    }

    pub(crate) async fn probe(&self, path: &str) -> Reply {
        let probes = self.ready["probes"].as_str().unwrap();
        send(probes, request("GET", path, &[], "")).await
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Tells it to read its profiles again; waits until its log says `outcome`.
    pub(crate) async fn hang_up(&self, outcome: &str) {
        let before = self.log().matches(outcome).count();
        self.signal("HUP");
        self.logs(outcome, before).await;
    }

    /// Waits until its log says something more often than before.
    pub(crate) async fn logs(&self, text: &str, before: usize) {
        eventually(text, async || self.log().matches(text).count() > before).await;
    }

    /// Asks it to stop, and waits for that; its exit code and log.
    pub(crate) async fn stop(mut self) -> (Option<i32>, String) {
        self.signal("TERM");
        let ended = async {
            loop {
                match self.child.try_wait().unwrap() {
                    Some(status) => break status.code(),
                    None => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        };
        let code = tokio::time::timeout(Duration::from_secs(30), ended).await;
        (code.expect("it does not stop"), self.log())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone after `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Sends a request there, on a connection of its own.
pub(crate) async fn send(to: &str, request: Request<Full<Bytes>>) -> Reply {
    let (stream, host): (Box<dyn Wire>, &str) = match to.strip_prefix("unix:") {
        Some(path) => (Box::new(UnixStream::connect(path).await.unwrap()), "pay"),
        None => {
            let host = to.strip_prefix("http://").unwrap();
            (Box::new(TcpStream::connect(host).await.unwrap()), host)
        }
    };
    send_on(stream, host, request).await.unwrap()
}
