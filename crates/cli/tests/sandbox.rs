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

use countersign_testing::replies::{Reply, request, send};
use serde_json::{Value, json};
use support::{Demo, files, signal};

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
    let idle = sandbox.ctl(&["assert", "--max-logins", "2", "--no-expired"]);
    assert_eq!(idle.code, 0);
    assert!(
        idle.stdout.contains("no request was made"),
        "{}",
        idle.stdout
    );
    let idle = sandbox.ctl(&["assert", "--max-logins", "2", "--min-requests", "1"]);
    assert_eq!(idle.code, 1);
    assert!(
        idle.stderr.contains("no request was made"),
        "{}",
        idle.stderr
    );
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
    let ctl: [(&[&str], &str); 8] = [
        (&["advance", "6", "5s"], "90s, 6h or 1d2h"),
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
    let starts: [(&[&str], &str); 13] = [
        (&["b2binpya"], "did you mean `b2binpay`?"),
        (&["mypopup", "--assert", "logins=1"], "COMMAND"),
        (
            &["mypopup", "--assert", "logns=1", "--", "true"],
            "--logins",
        ),
        (
            &["mypopup", "--assert", " ", "--", "true"],
            "has no condition",
        ),
        (
            &["mypopup", "--upstream", "nowhere", "--", "true"],
            "--upstream",
        ),
        (&["mypopup", "--", "/no/such/program"], "cannot be run"),
        (&["mypopup", "--card"], "COMMAND"),
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

/// Runs a script beside a sandbox, in a directory of its own, which is empty
/// after it. The script calls the binary as `$0`.
fn beside(words: &[&str], script: &str) -> Ran {
    let directory = tempfile::tempdir().unwrap();
    let mut command = countersign(&["sandbox"]);
    command.args(words).args(["--", "sh", "-c", script]);
    command.arg(env!("CARGO_BIN_EXE_countersign"));
    command.current_dir(directory.path());
    command.env("TMPDIR", directory.path());
    let ran = run(&mut command);
    assert_eq!(files(directory.path()), Vec::<PathBuf>::new());
    ran
}

#[test]
fn a_command_finds_a_ready_profile_and_the_manifest() {
    let script = r#"
        set -e
        "$0" request mypopup GET /one
        "$0" sandbox ctl advance 2 h >/dev/null
        cd / && "$0" request mypopup GET /two
        "$0" sandbox ctl requests --json
        stat -c %a "$COUNTERSIGN_PROFILES" "$COUNTERSIGN_SANDBOX"
        echo "$COUNTERSIGN_SANDBOX_LOGIN at $COUNTERSIGN_SANDBOX_URL"
    "#;
    let bounds = "logins=1 --max-refreshes 1,max_expired=1,min-requests=3";
    let ran = beside(
        &["mypopup", "--still", "--login", "ann", "--assert", bounds],
        script,
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let said = [
        "/one",
        "/two",
        "\"operation\": \"refresh\"",
        "600\n600\n",
        "ann at http://127.0.0.1:",
    ];
    for said in said {
        assert!(ran.stdout.contains(said), "{said}: {}", ran.stdout);
    }
    assert!(
        ran.stderr.contains("as expected: logins 1"),
        "{}",
        ran.stderr
    );
}

#[test]
fn each_variant_has_a_profile_and_takes_the_budget_that_is_said() {
    let script = r#"for name in b2binpay b2binpay-v3; do
        for call in 1 2 3; do "$0" request $name GET /x >/dev/null || exit 1; done
    done"#;
    let ran = beside(
        &["b2binpay", "--budget", "2", "--assert", "max-refused=0"],
        script,
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn the_exit_code_of_a_command_is_passed_on_and_bounds_can_fail_it() {
    for (words, script, code, told) in [
        (&["mypopup"][..], "exit 7", 7, ""),
        (&["mypopup"], "kill -9 $$", 128 + 9, ""),
        (
            &["mypopup", "--assert", "no-expired"],
            "true",
            0,
            "no request was made",
        ),
        (
            &["mypopup", "--assert", "logins=1"],
            "true",
            1,
            "logins: 0 instead of 1",
        ),
        (
            &["mypopup", "--assert", "min-requests=1"],
            "exit 7",
            7,
            "no request was made",
        ),
    ] {
        let ran = beside(words, script);
        assert_eq!(ran.code, code, "{script}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{script}: {}", ran.stderr);
        assert_eq!(
            ran.stderr.is_empty(),
            told.is_empty(),
            "{script}: {}",
            ran.stderr
        );
    }
}

#[test]
fn a_command_gets_the_signal_that_ends_it_and_its_sandbox() {
    for (name, code) in [("TERM", 128 + 15), ("HUP", 128 + 1), ("INT", 128 + 2)] {
        let mut command = countersign(&["sandbox", "mypopup", "--"]);
        command.args(["sh", "-c", "echo up; exec cat"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        stdout.read_line(&mut first).unwrap();
        assert_eq!(first, "up\n");
        let stdin = child.stdin.take();
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(code), "{name}");
        drop(stdin);
    }
}

#[test]
fn profiles_stand_in_a_file_as_long_as_the_sandbox_serves() {
    let mut sandbox = Sandbox::start(&["apirone", "--profiles", "profiles.toml"]);
    let file = sandbox.directory.path().join("profiles.toml");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(sandbox.text("secret")), "{text}");
    let profiles = file.to_str().unwrap();
    assert_eq!(sandbox.text("profiles"), profiles);
    let words = ["request", "--profiles", profiles, "apirone", "GET", "/x"];
    let called = run(&mut countersign(&words));
    assert_eq!(called.code, 0, "{}", called.stderr);
    signal(&sandbox.child, "TERM");
    assert_eq!(sandbox.child.wait().unwrap().code(), Some(0));
    assert_eq!(files(sandbox.directory.path()), Vec::<PathBuf>::new());
}

#[test]
fn what_a_person_wrote_is_not_replaced_and_neither_is_a_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let written = directory.path().join("mine.toml");
    std::fs::write(&written, "[mine]\n").unwrap();
    let pipe = directory.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    for option in ["--profiles", "--manifest"] {
        for (file, why) in [
            (&written, "no sandbox made it"),
            (&pipe, "not a regular file"),
        ] {
            let mut command = countersign(&["sandbox", "mypopup", option]);
            let ran = run(command.arg(file).args(["--", "true"]));
            assert_eq!(ran.code, 64, "{}", ran.stderr);
            assert!(ran.stderr.contains(why), "{}", ran.stderr);
        }
    }
    assert_eq!(std::fs::read_to_string(&written).unwrap(), "[mine]\n");
    assert!(pipe.exists());
}

#[test]
fn a_file_for_clients_only_is_played_and_its_parts_are_given() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../dialect/tests/catalogue/bkash.toml"
    );
    let script = r#""$0" token bkash && "$0" sandbox ctl clock"#;
    let ran = beside(&[file, "--assert", "logins=1 max-refused=0"], script);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("made up: Every value of `extra.app_key`"),
        "{}",
        ran.stderr
    );
    let sandbox = Sandbox::start(&[file]);
    assert_eq!(sandbox.manifest["extra"]["app_secret"], "sandbox");
    let made_up = sandbox.manifest["made_up"].as_array().unwrap();
    assert!(!made_up.is_empty());
}

#[test]
fn ctl_tries_the_usual_file_and_takes_a_blank_in_a_span() {
    let sandbox = Sandbox::start(&["mypopup", "--still=2027-01-15T12:00:00Z"]);
    for (words, shows) in [
        (&["advance", "6", "h"][..], "18:00:00"),
        (&["advance", "1d 2 h"], "16T20:00:00"),
    ] {
        let mut ctl = countersign(&["sandbox", "ctl"]);
        let ran = run(ctl.args(words).current_dir(sandbox.directory.path()));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stdout.contains(shows), "{}", ran.stdout);
    }
}
