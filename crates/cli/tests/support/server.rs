//! A server with a configuration of its own, in a directory of its own.

use std::io::{BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use countersign_testing::replies::{Reply, request, send_from};
use countersign_testing::waiting::eventually;
use serde_json::Value;

use super::{Account, signal};

/// A server that runs until it is dropped.
pub(crate) struct Server {
    child: Child,
    directory: tempfile::TempDir,
    log: Arc<Mutex<String>>,
    pub(crate) api: String,
    pub(crate) admin: String,
    /// Where the probes are, if they have a listener of their own.
    pub(crate) probes: Option<String>,
}

impl Server {
    /// Starts a server on free ports with this configuration and waits until it
    /// serves. Files that it names are looked for in the server's directory.
    pub(crate) fn start(configuration: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), configuration)
    }

    /// Starts a server in a directory that may have been one's before.
    pub(crate) fn start_in(directory: tempfile::TempDir, configuration: &str) -> Self {
        std::fs::write(directory.path().join("countersign.toml"), configuration).unwrap();
        Self::run(directory, &[])
    }

    /// As [`Server::start_in`], with the configuration that is there, and
    /// variables of the environment.
    pub(crate) fn run(directory: tempfile::TempDir, environment: &[(&str, &str)]) -> Self {
        let free = "127.0.0.1:0";
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command
            .args([
                "serve",
                "--json",
                "--listen",
                free,
                "--admin-listen",
                free,
                "--config",
            ])
            .arg(directory.path().join("countersign.toml"))
            .arg("--data")
            .arg(directory.path().join("data"))
            .envs(environment.iter().copied());
        let (child, log, ready) = spawned(&mut command);
        let url = |name: &str| ready[name].as_str().map(str::to_owned);
        Self {
            child,
            directory,
            log,
            api: url("listen").unwrap(),
            admin: url("admin").unwrap(),
            probes: url("probes"),
        }
    }

    /// Kills it with SIGKILL, in the middle of whatever it does, and starts it
    /// again on the same directory.
    pub(crate) fn kill_and_restart(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let directory = std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap());
        Self::run(directory, &[])
    }

    /// Asks it to stop, waits for it, and starts it again on the same directory.
    pub(crate) fn stop_and_restart(mut self) -> Self {
        self.signal("TERM");
        assert!(self.child.wait().unwrap().success());
        let directory = std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap());
        Self::run(directory, &[])
    }

    /// Asks it to stop, does something with its directory, and starts it again.
    pub(crate) fn restart_after(mut self, meanwhile: impl FnOnce(&std::path::Path)) -> Self {
        self.signal("TERM");
        assert!(self.child.wait().unwrap().success());
        let directory = std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap());
        meanwhile(directory.path());
        Self::run(directory, &[])
    }

    /// Asks it to stop, waits for it, and gives its exit code and whole log.
    pub(crate) fn stop(self) -> (Option<i32>, String) {
        self.signal("TERM");
        self.ended()
    }

    /// Waits for its end, and gives its exit code and whole log.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        (code, self.log())
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// A file in its directory, which is where its configuration is.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Puts another configuration in place and tells it to read it; waits until
    /// its log says `outcome`.
    pub(crate) async fn reload(&self, configuration: &str, outcome: &str) {
        std::fs::write(self.file("countersign.toml"), configuration).unwrap();
        self.hang_up(outcome).await;
    }

    /// Tells it to read what is in place of its configuration; waits until its
    /// log says `outcome`.
    pub(crate) async fn hang_up(&self, outcome: &str) {
        let before = self.log().matches(outcome).count();
        self.signal("HUP");
        eventually(outcome, async || {
            self.log().matches(outcome).count() > before
        })
        .await;
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        address(&self.api)
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        address(&self.admin)
    }

    pub(crate) fn admin_key(&self) -> String {
        let key = std::fs::read_to_string(self.file("data/admin.key"));
        key.unwrap().trim().to_owned()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Runs an operator command against it, with `--json`: its exit code and
    /// document.
    pub(crate) fn operate(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let output = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(arguments)
            .arg("--json")
            .env("COUNTERSIGN_ADMIN_URL", &self.admin)
            .env("COUNTERSIGN_ADMIN_KEY_FILE", self.file("data/admin.key"))
            .output()
            .unwrap();
        let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
            Value::String(String::from_utf8_lossy(&output.stderr).into_owned())
        });
        (output.status.code(), document)
    }

    /// Creates an account; more arguments as of `account create`.
    pub(crate) fn account(&self, api: &str, login: &str, more: &[&str]) -> Account {
        let mut arguments = vec!["account", "create", "--api", api, "--login", login];
        arguments.extend(more);
        let (code, created) = self.operate(&arguments);
        assert_eq!(code, Some(0), "{created}");
        Account {
            login: login.to_owned(),
            secret: created["secret"].as_str().unwrap().to_owned(),
            client_id: created["id"].as_u64().unwrap(),
        }
    }

    /// Sends a request from a loopback address; `headers` are name and value.
    pub(crate) async fn send(
        &self,
        from: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let request = request(method, target, headers, body.to_owned());
        send_from(from, self.address(), request).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone after `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(url: &str) -> SocketAddr {
    let (_, authority) = url.split_once("://").unwrap();
    authority.parse().unwrap()
}

/// Starts a command that serves: the process, its log as it grows, and the document
/// that it prints when it is ready.
pub(crate) fn spawned(command: &mut Command) -> (Child, Arc<Mutex<String>>, Value) {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let log = follow(child.stderr.take().unwrap());
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let ready = serde_json::Deserializer::from_reader(stdout)
        .into_iter::<Value>()
        .next();
    let ready = ready.and_then(Result::ok);
    let ready = ready.unwrap_or_else(|| panic!("it did not start: {}", log.lock().unwrap()));
    (child, log, ready)
}

/// Collects what comes, as it comes.
fn follow(mut from: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let collected = Arc::clone(&text);
    std::thread::spawn(move || {
        let mut part = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut part) {
            let part = String::from_utf8_lossy(&part[..length]);
            collected.lock().unwrap().push_str(&part);
        }
    });
    text
}
