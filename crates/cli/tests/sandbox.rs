//! `countersign sandbox` and `ctl`: the binary as a test in another language
//! meets it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use support::{Demo, Reply, files, request, send, signal};

/// What a run of the binary left behind.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

fn run(command: &mut Command) -> Ran {
    let output = command.stdin(Stdio::null()).output().unwrap();
    Ran {
        code: output.status.code().expect("no signal"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The binary, to which no sandbox is known.
fn countersign(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(words).env_remove("COUNTERSIGN_SANDBOX");
    command
}

/// A sandbox that runs until it is dropped, in a directory of its own.
struct Sandbox {
    child: Child,
    directory: tempfile::TempDir,
    manifest: Value,
}

impl Sandbox {
    fn start(words: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = countersign(&["sandbox"]);
        command.args(words).args(["--manifest", "sandbox.json"]);
        command.current_dir(directory.path());
        command.env("TMPDIR", directory.path());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        assert!(first.starts_with("sandbox"), "it did not start: {first:?}");
        let text = std::fs::read_to_string(directory.path().join("sandbox.json")).unwrap();
        Self {
            child,
            directory,
            manifest: serde_json::from_str(&text).unwrap(),
        }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("sandbox.json")
    }

    fn text(&self, name: &str) -> &str {
        self.manifest[name].as_str().unwrap()
    }

    fn address(&self, name: &str) -> SocketAddr {
        let url = self.text(name).strip_prefix("http://").unwrap();
        url.parse().unwrap()
    }

    /// Runs `ctl` with these words.
    fn ctl(&self, words: &[&str]) -> Ran {
        let mut command = countersign(&["sandbox", "ctl"]);
        run(command.args(words).env("COUNTERSIGN_SANDBOX", self.file()))
    }

    fn ctl_json(&self, words: &[&str]) -> Value {
        let ran = self.ctl(&[words, &["--json"]].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        let headers = [("content-type", "application/json")];
        let asked = request("POST", path, &headers, body.to_string());
        send(self.address("url"), asked).await
    }

    /// Logs in at mypopup.
    async fn login(&self) -> Value {
        let body = json!({ "username": self.text("login"), "password": self.text("secret") });
        self.post("/auth/login", &body).await.json()["data"].clone()
    }

    async fn call(&self, token: &str) -> Reply {
        let bearer = format!("Bearer {token}");
        let asked = request("GET", "/api/v1/products", &[("authorization", &bearer)], "");
        send(self.address("url"), asked).await
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Already gone where a test has ended it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_story_is_told_by_ctl_and_judged_by_its_exit_code() {
    let sandbox = Sandbox::start(&["mypopup", "--still", "--access", "1h"]);
    let pair = sandbox.login().await;
    let token = pair["access_token"].as_str().unwrap();
    assert_eq!(sandbox.call(token).await.status, 200);
    let before = sandbox.ctl_json(&["clock"])["now"].clone();
    let advanced = sandbox.ctl(&["advance", "1h30m"]);
    assert!(advanced.stdout.starts_with("the sandbox's clock shows 2"));
    assert_ne!(sandbox.ctl_json(&["clock"])["now"], before);
    let late = sandbox.call(token).await;
    assert_eq!(late.status, 401);

    sandbox.ctl(&["fault", "status", "--status", "503", "--on", "refresh"]);
    let refresh = json!({ "refresh_token": pair["refresh_token"] });
    assert_eq!(sandbox.post("/auth/refresh", &refresh).await.status, 503);
    assert_eq!(sandbox.post("/auth/refresh", &refresh).await.status, 200);

    let requests = sandbox.ctl_json(&["requests"]);
    let operations = requests.as_array().unwrap().iter();
    let operations: Vec<_> = operations
        .map(|it| it["operation"].as_str().unwrap())
        .collect();
    assert_eq!(
        operations,
        ["login", "guard", "guard", "refresh", "refresh"]
    );
    let shown = sandbox.ctl(&["requests"]).stdout;
    assert!(
        shown.contains("token_expired") && !shown.contains(token),
        "{shown}"
    );

    let passed = sandbox.ctl(&["assert", "--logins", "1", "--refreshes", "1"]);
    assert_eq!(passed.code, 0, "{}", passed.stderr);
    let failed = sandbox.ctl(&["assert", "--max-refreshes", "0", "--no-expired"]);
    assert_eq!(failed.code, 1);
    assert!(
        failed
            .stderr
            .contains("refreshes: 1, and at most 0 expected; requests with")
    );
    sandbox.ctl(&["requests", "clear"]);
    assert_eq!(
        sandbox
            .ctl(&["assert", "--logins", "0", "--no-expired"])
            .code,
        0
    );
}

#[tokio::test]
async fn faults_are_listed_and_cleared() {
    let sandbox = Sandbox::start(&["b2binpay", "--seed", "7"]);
    sandbox.ctl(&[
        "fault", "skew", "--by", "-90s", "--count", "3", "--on", "login",
    ]);
    sandbox.ctl(&["fault", "cut", "--rate", "0.25"]);
    let armed = sandbox.ctl_json(&["faults"]);
    let expected = json!([
        { "fault": "skew", "by": "-90s", "count": 3, "on": "login" },
        { "fault": "cut", "rate": 0.25, "on": "any" },
    ]);
    assert_eq!(armed, expected);
    let shown = sandbox.ctl(&["faults"]).stdout;
    assert!(
        shown.contains("0.25 of all") && shown.contains("by -90s"),
        "{shown}"
    );
    assert_eq!(
        sandbox.ctl(&["faults", "clear"]).stdout,
        "no fault is armed\n"
    );
}

#[test]
fn the_manifest_is_for_its_owner_and_goes_with_the_sandbox() {
    let mut sandbox = Sandbox::start(&["apirone"]);
    let mode = std::fs::metadata(sandbox.file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let members = [
        "control",
        "control_key",
        "dialect",
        "login",
        "secret",
        "url",
    ];
    let named: Vec<_> = sandbox.manifest.as_object().unwrap().keys().collect();
    assert_eq!(named, members);
    signal(&sandbox.child, "TERM");
    assert_eq!(sandbox.child.wait().unwrap().code(), Some(0));
    assert_eq!(files(sandbox.directory.path()), Vec::<PathBuf>::new());
    let gone = sandbox.ctl(&["clock"]);
    assert_eq!(gone.code, 69);
    assert!(
        gone.stderr.contains("is the sandbox running?"),
        "{}",
        gone.stderr
    );
}

#[tokio::test]
async fn a_sandbox_that_is_killed_leaves_nothing_but_its_manifest() {
    let mut sandbox = Sandbox::start(&["mypopup"]);
    sandbox.login().await;
    sandbox.child.kill().unwrap();
    sandbox.child.wait().unwrap();
    assert_eq!(files(sandbox.directory.path()), [sandbox.file()]);
    assert_eq!(sandbox.ctl(&["clock"]).code, 69);
}

#[test]
fn what_is_written_wrongly_is_told_with_what_to_write() {
    let sandbox = Sandbox::start(&["mypopup"]);
    let ctl: [(&[&str], &str); 7] = [
        (&["advance", "6"], "90s, 6h or 1d2h"),
        (&["set", "2020-01-01T00:00:00Z"], "is not moved back"),
        (&["fault", "lost"], "lost_reply, status, delay"),
        (&["fault", "status"], "status is missing"),
        (
            &["fault", "cut", "--status", "500"],
            "\"status\" is not known here",
        ),
        (&["assert", "--logins", "many"], "invalid value"),
        (&["assert"], "nothing is expected"),
    ];
    for (words, expected) in ctl {
        let ran = sandbox.ctl(words);
        assert_eq!(ran.code, 64, "{words:?}");
        assert!(ran.stderr.contains(expected), "{words:?}: {}", ran.stderr);
    }
    let starts: [(&[&str], &str); 7] = [
        (&["b2binpya"], "b2binpay"),
        (&[], "<DIALECT>"),
        (&["mypopup", "--listen", "0.0.0.0:0"], "--danger-listen"),
        (
            &["mypopup", "--control-listen", "[::]:0"],
            "--danger-listen",
        ),
        (&["mypopup", "--access", "5"], "90s, 6h or 1d2h"),
        (&["mypopup", "--refresh", "1s"], "give both"),
        (&["ctl", "clock"], "COUNTERSIGN_SANDBOX"),
    ];
    for (words, expected) in starts {
        let ran = run(countersign(&["sandbox"]).args(words));
        assert_eq!(ran.code, 64, "{words:?}");
        assert!(ran.stderr.contains(expected), "{words:?}: {}", ran.stderr);
    }
}

#[test]
fn a_port_that_is_taken_is_unavailable_and_a_foreign_key_is_refused() {
    let sandbox = Sandbox::start(&["mypopup"]);
    let taken = sandbox.address("url").to_string();
    let ran = run(&mut countersign(&[
        "sandbox", "mypopup", "--listen", &taken,
    ]));
    assert_eq!(ran.code, 69, "{}", ran.stderr);
    let mut foreign = sandbox.manifest.clone();
    foreign["control_key"] = json!("another");
    std::fs::write(sandbox.file(), foreign.to_string()).unwrap();
    let ran = sandbox.ctl(&["advance", "6h"]);
    assert_eq!(ran.code, 77, "{}", ran.stderr);
    assert!(ran.stderr.contains("an earlier sandbox"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_server_has_no_such_route() {
    let demo = Demo::start();
    let key = format!("Bearer {}", demo.admin_key());
    for address in [demo.address(), demo.admin()] {
        for path in ["clock", "faults", "requests", "assert"] {
            let path = format!("/sandbox/v1/{path}");
            let asked = request("POST", &path, &[("authorization", &key)], "{}");
            assert_eq!(send(address, asked).await.status, 404, "{path}");
        }
    }
}
