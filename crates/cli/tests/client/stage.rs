//! A vendor in this process, and a home with a profile for it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_domain::TokenOperation;
use countersign_sandbox::{Sandbox, VendorFault};
use countersign_testing::listening::{listen_blocking, nowhere};
use countersign_testing::raw::read_message_blocking;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::run::{Ran, command, finish};

/// The vendor runs until this is dropped.
pub(crate) struct Stage {
    home: tempfile::TempDir,
    pub(crate) sandbox: Sandbox,
    _runtime: Runtime,
}

/// The dialects that come with the program and have a sandbox.
pub(crate) const DIALECTS: [&str; 3] = ["b2binpay", "mypopup", "apirone"];

/// The dialect of a vendor whose every status is 200.
pub(crate) const ALWAYS_200: &str = r#"
schema = 1
name = "small"
serves = ["client"]
[session]
refresh = "none"
login = "keeps"
logout = "session"
[[login]]
path = "/login"
request.body = '{"login": "{login}", "password": "{secret}"}'
reply.body = '{"ok": true, "token": "{access_token}", "expires_in": "{access_expires_at:in}"}'
reply.success = { "/ok" = true }
[[logout]]
path = "/logout"
request.empty = true
request.headers = { Authorization = "Bearer {access_token}" }
reply.success = { "/ok" = true }
[guard]
present = [{ header = "Authorization", value = "Bearer {access_token}" }]
[errors]
body = '{"ok": false, "error": "{detail}"}'
[refusals]
bad_login = { status = 200, detail = "Invalid" }
"#;

impl Stage {
    /// A vendor that speaks B2BINPAY, and the profile `pay`.
    pub(crate) fn start() -> Self {
        Self::speaking("b2binpay")
    }

    /// A vendor that speaks a dialect, and the profile `pay`.
    pub(crate) fn speaking(dialect: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        let sandbox = runtime.block_on(Sandbox::shipped(dialect).start()).unwrap();
        let home = tempfile::tempdir().unwrap();
        let stage = Self {
            home,
            sandbox,
            _runtime: runtime,
        };
        stage.write("secret", stage.sandbox.secret().expose());
        let profile = stage.profile(stage.sandbox.url(), "secret_file = '~/secret'");
        stage.profiles(&profile);
        stage
    }

    /// The profile `pay`, with its server and secret as told.
    pub(crate) fn profile(&self, url: &str, secret: &str) -> String {
        let (dialect, login) = (self.sandbox.dialect().name(), self.sandbox.login());
        format!("[pay]\ndialect = '{dialect}'\nurl = '{url}'\nlogin = '{login}'\n{secret}\n")
    }

    /// Writes the file of profiles.
    pub(crate) fn profiles(&self, text: &str) {
        self.write(".config/countersign/profiles.toml", text);
    }

    /// Puts another secret in place.
    pub(crate) fn set_secret(&self, secret: &str) {
        self.write("secret", secret);
    }

    /// A file in the home.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.file(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        file
    }

    /// The binary with these words, at home here.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        at_home(self.home.path(), words)
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        finish(&mut self.command(words))
    }

    /// The document that a command prints.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let mut words = words.to_vec();
        words.insert(1, "--json");
        self.run(&words).code(0).json()
    }

    /// How often the vendor was asked for this.
    pub(crate) fn asked(&self, operation: TokenOperation) -> usize {
        let requests = self.sandbox.requests();
        requests
            .iter()
            .filter(|it| it.operation == operation)
            .count()
    }

    /// How many sessions there were.
    pub(crate) fn sessions(&self) -> usize {
        let requests = self.sandbox.requests();
        requests
            .iter()
            .filter(|it| it.change == Some("opened"))
            .count()
    }

    /// The next requests for this are answered with a status.
    pub(crate) fn answers(&self, operation: TokenOperation, status: u16, times: u32) {
        let fault = VendorFault::status(status).on(operation).times(times);
        self.sandbox.fault(fault);
    }

    /// Moves the profile to a server that is not there.
    pub(crate) fn go_down(&self) {
        let profile = self.profile(&nowhere(), "secret_file = '~/secret'");
        self.profiles(&profile);
    }

    /// What a run left behind holds no secret and no token.
    pub(crate) fn assert_discreet(&self, ran: &Ran) {
        for text in [&ran.stdout, &ran.stderr] {
            assert!(
                !text.contains(self.sandbox.secret().expose()),
                "the secret: {text}"
            );
            // Every token of the sandbox is a JWT.
            assert!(!text.contains("eyJ"), "a token: {text}");
        }
    }
}

/// A vendor that answers each request so: its head and what came with it.
pub(crate) fn vendor(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> String {
    let address = listen_blocking(move |mut stream| {
        // A connection that only looks whether somebody is there says nothing, and
        // nobody may wait for the answer.
        if let Some(asked) = read_message_blocking(&mut stream) {
            let _ = stream.write_all(answer(&(asked.head + &asked.body)).as_bytes());
        }
    });
    format!("http://{address}")
}

fn at_home(home: &Path, words: &[&str]) -> Command {
    let mut command = command(words);
    for name in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "COUNTERSIGN_PROFILES"] {
        command.env_remove(name);
    }
    command.env("HOME", home);
    command
}
