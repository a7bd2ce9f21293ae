//! What integrators copy, run as it stands in `docs/integrators`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The home of somebody who follows the documentation.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A program that finds our own, and nothing of the user's.
    fn command(&self, program: &str, words: &[&str]) -> Command {
        let own = Path::new(env!("CARGO_BIN_EXE_countersign"))
            .parent()
            .unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(
            [own.to_owned()]
                .into_iter()
                .chain(std::env::split_paths(&path)),
        );
        let mut command = Command::new(program);
        command
            .args(words)
            .env("PATH", path.unwrap())
            .env("HOME", self.0.path());
        for name in [
            "XDG_CONFIG_HOME",
            "XDG_STATE_HOME",
            "XDG_RUNTIME_DIR",
            "COUNTERSIGN_PROFILES",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// Runs a program to its end.
    fn run(&self, program: &str, words: &[&str]) -> Output {
        self.command(program, words)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs the lines of a shell block, and fails if one does.
    fn follow(&self, lines: &str, input: &str) {
        let script = format!("set -euo pipefail\n{lines}");
        let mut command = self.command("bash", &["-c", &script]);
        let secret = self.path("input");
        fs::write(&secret, input).unwrap();
        command
            .stdin(fs::File::open(&secret).unwrap())
            .current_dir(self.0.path());
        assert_success(&command.output().unwrap(), lines);
    }
}

fn docs(file: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/integrators");
    docs.join(file).to_str().unwrap().to_owned()
}

fn assert_success(output: &Output, what: impl std::fmt::Display) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{what}\n{out}\n{err}");
}

#[test]
fn six_hours_from_a_shell() {
    let output = Home::new().run("bash", &[&docs("shell/six-hours.sh")]);
    assert_success(&output, "six-hours.sh");
}

#[test]
fn six_hours_from_python() {
    let output = Home::new().run("python3", &[&docs("python/test_six_hours.py")]);
    assert_success(&output, "test_six_hours.py");
}

#[test]
fn six_hours_from_php() {
    let output = Home::new().run("php", &[&docs("php/six-hours.php")]);
    assert_success(&output, "six-hours.php");
}

#[test]
fn twelve_php_workers_share_one_login_and_one_refresh_for_each_token() {
    let output = Home::new().run("bash", &[&docs("php-shop/run.sh")]);
    assert_success(&output, "php-shop/run.sh");
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(told.matches(" 0 failed").count(), 12, "{told}");
}

/// A sandbox that runs until it is dropped.
struct Vendor {
    child: Child,
    manifest: Value,
}

impl Vendor {
    fn start(home: &Home, dialect: &str, login: &str) -> Self {
        let manifest = home.path("vendor.json");
        let words = [
            "sandbox",
            dialect,
            "--login",
            login,
            "--manifest",
            manifest.to_str().unwrap(),
        ];
        let child = home
            .command("countersign", &words)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while !manifest.exists() {
            assert!(begun.elapsed() < Duration::from_secs(30), "no vendor");
            std::thread::sleep(Duration::from_millis(20));
        }
        let manifest = serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
        Self { child, manifest }
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The section of the guide below this heading.
fn section(heading: &str) -> String {
    section_of("README.md", heading)
}

fn section_of(file: &str, heading: &str) -> String {
    let text = fs::read_to_string(docs(file)).unwrap();
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).unwrap();
    rest.split("\n##").next().unwrap().to_owned()
}

/// Its blocks in a language.
fn blocks(section: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    let after = section.split(&begin).skip(1);
    let block = after.map(|rest| rest.split("```").next().unwrap());
    block.map(str::to_owned).collect()
}

/// The string that a profile has for a key.
fn written<'p>(profile: &'p str, key: &str) -> &'p str {
    let line = profile
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{key} = \"")));
    line.unwrap().trim_end_matches('"')
}

/// Does what the section says, with a vendor of ours in the place of the real one.
fn quick_start(heading: &str) {
    let (home, section) = (Home::new(), section(heading));
    let profile = &blocks(&section, "toml")[0];
    let vendor = Vendor::start(
        &home,
        written(profile, "dialect"),
        written(profile, "login"),
    );
    let secret = vendor.manifest["secret"].as_str().unwrap();
    let url = vendor.manifest["url"].as_str().unwrap();
    let begin = blocks(&self::section("## Quick start"), "sh").remove(0);
    let file = written(profile, "secret_file");
    home.follow(
        &begin.replace("~/.config/countersign/pay.secret", file),
        secret,
    );
    let profiles = home.path(".config/countersign/profiles.toml");
    fs::write(&profiles, profile.replace(written(profile, "url"), url)).unwrap();
    fs::set_permissions(&profiles, PermissionsExt::from_mode(0o600)).unwrap();
    for lines in blocks(&section, "sh") {
        home.follow(&lines, "");
    }
}

#[test]
fn the_quick_start_of_b2binpay() {
    quick_start("### B2BINPAY");
}

#[test]
fn the_quick_start_of_b2binpay_v3() {
    quick_start("### B2BINPAY v3");
}

#[test]
fn the_quick_start_of_mypopup() {
    quick_start("### MyPopUp");
}

#[test]
fn the_quick_start_of_apirone() {
    quick_start("### Apirone");
}

#[test]
fn the_sandbox_is_used_as_the_guide_says() {
    let home = Home::new();
    for lines in blocks(&section("## Testing with the sandbox"), "sh") {
        home.follow(&lines, "");
    }
}

#[test]
fn an_api_is_called_as_the_readme_says() {
    let (home, section) = (Home::new(), section_of("../../README.md", "## Call an API"));
    let profile = &blocks(&section, "toml")[0];
    let vendor = Vendor::start(&home, "mypopup", written(profile, "login"));
    let told = |member: &str| vendor.manifest[member].as_str().unwrap().to_owned();
    let secret = home.path("secret");
    fs::write(&secret, told("secret")).unwrap();
    fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
    let profile = profile
        .replace(written(profile, "url"), &told("url"))
        .replace(written(profile, "secret_file"), secret.to_str().unwrap());
    let begin = "mkdir -p .config/countersign; cat >.config/countersign/profiles.toml
echo 'test -n \"$COUNTERSIGN_TOKEN\"' >import; chmod +x import";
    home.follow(begin, &profile);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap().to_string();
    drop(port);
    for lines in blocks(&section, "sh") {
        let lines = lines.replace("https://api.example.com", &told("url"));
        home.follow(&lines.replace("127.0.0.1:9001", &address), "");
    }
}

#[test]
fn the_sandbox_is_used_as_the_readme_says() {
    let heading = "## Test against a vendor that is not there";
    let section = section_of("../../README.md", heading);
    Home::new().follow(&blocks(&section, "sh")[0], "");
}

/// Leads a client through steps of the card.
fn card(home: &Home, dialect: &str, options: &[&str], client: &[&str]) -> (Output, Value) {
    let mut words = vec!["sandbox", dialect, "--card", "--json", "--jobs", "8"];
    words.extend(options);
    words.push("--");
    words.extend(client);
    let output = home.run("countersign", &words);
    let document = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output, document)
}

fn verdicts(card: &Value) -> Vec<(&str, &str)> {
    let steps = card["steps"].as_array().unwrap().iter();
    steps
        .map(|step| {
            (
                step["name"].as_str().unwrap(),
                step["verdict"].as_str().unwrap(),
            )
        })
        .collect()
}

#[test]
fn a_program_behind_the_sidecar_passes_the_card_and_junit_is_xml() {
    let home = Home::new();
    let junit = home.path("card.xml");
    let options = ["--junit", junit.to_str().unwrap()];
    let (output, card) = card(
        &home,
        "b2binpay",
        &options,
        &["python3", &docs("card/sidecar.py")],
    );
    assert_success(&output, "the card");
    assert_eq!((&card["passed"], &card["skipped"]), (&21.into(), &0.into()));
    let read = "import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot()[0]
assert suite.get('tests') == '21' == str(len(suite.findall('testcase')))";
    assert_success(&home.run("python3", &["-c", read, options[1]]), "JUnit");
}

#[test]
fn a_command_for_each_call_passes_the_card() {
    let steps = [
        "login",
        "one-token",
        "expiry",
        "refresh-expiry",
        "revoke",
        "wrong-secret",
    ];
    let options: Vec<_> = steps.iter().flat_map(|step| ["--step", step]).collect();
    let (output, _) = card(
        &Home::new(),
        "b2binpay",
        &options,
        &["sh", &docs("card/countersign.sh")],
    );
    assert_success(&output, "the card");
}

#[test]
fn a_script_as_it_is_often_written_fails_where_one_would_expect_it() {
    let options = [
        "--step",
        "one-token",
        "--step",
        "expiry",
        "--step",
        "at-once",
        "--step",
        "wrong-secret",
    ];
    let (output, card) = card(
        &Home::new(),
        "mypopup",
        &options,
        &["sh", &docs("card/curl.sh")],
    );
    assert_eq!(output.status.code(), Some(1));
    let expected = [
        ("one-token", "pass"),
        ("expiry", "fail"),
        ("at-once", "skipped"),
        ("wrong-secret", "fail"),
    ];
    assert_eq!(verdicts(&card), expected);
}

#[test]
fn what_is_wrong_with_the_command_line_of_a_card_is_said() {
    let home = Home::new();
    let cases: [(&[&str], &str); 4] = [
        (&["--card"], "-- <COMMAND>"),
        (
            &["--card", "--step", "expiri", "--", "true"],
            "did you mean `expiry`?",
        ),
        (&["--card", "--variant", "v9", "--", "true"], "v2, v3"),
        (
            &["--card", "--", "/no/such/client"],
            "/no/such/client cannot be started",
        ),
    ];
    for (words, expected) in cases {
        let words: Vec<_> = ["sandbox", "b2binpay"]
            .iter()
            .chain(words)
            .copied()
            .collect();
        let output = home.run("countersign", &words);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{words:?}: {told}");
        assert!(told.contains(expected), "{words:?}: {told}");
    }
}
