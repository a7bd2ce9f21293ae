//! The processes, as the test sees them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use countersign_client::profile::UserPaths;
use countersign_client::{Profiles, SessionStore};
use countersign_domain::Timestamp;
use countersign_sandbox::Sandbox;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::LATENCY;
use crate::chance::Chance;
use crate::worker::HOME;

/// Longer than anything takes, on a busy machine too.
const LONG: Duration = Duration::from_secs(60);

/// Calls that each process makes at an expiry.
const CALLS: usize = 2;

/// What a process wrote, and which life of it did.
type Told = (usize, usize, String);

pub(crate) struct Crew {
    home: TempDir,
    workers: Vec<Worker>,
    now: Timestamp,
    told: mpsc::UnboundedReceiver<Told>,
    tell: mpsc::UnboundedSender<Told>,
    /// How many were killed.
    pub(crate) killed: usize,
    answered: usize,
}

struct Worker {
    child: Child,
    stdin: ChildStdin,
    /// How often it was started.
    life: usize,
    /// Calls that it has not answered.
    open: usize,
}

impl Crew {
    /// All of them, before they know any token.
    pub(crate) async fn assemble(sandbox: &Sandbox, count: usize) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let mut crew = Self {
            home: home(sandbox),
            workers: Vec::new(),
            now: sandbox.now(),
            told,
            tell,
            killed: 0,
            answered: 0,
        };
        for nth in 0..count {
            let worker = crew.start(nth, 0).await;
            crew.workers.push(worker);
        }
        crew
    }

    async fn start(&self, nth: usize, life: usize) -> Worker {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "worker::works", "--ignored", "--nocapture"])
            .env(HOME, self.home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        tokio::spawn(listen(
            child.stdout.take().unwrap(),
            nth,
            life,
            self.tell.clone(),
        ));
        let mut worker = Worker {
            child,
            stdin,
            life,
            open: 0,
        };
        worker.order(&at(self.now)).await;
        worker
    }

    /// Tells all of them the time.
    pub(crate) async fn later(&mut self, now: Timestamp) {
        self.now = now;
        for worker in &mut self.workers {
            worker.order(&at(now)).await;
        }
    }

    /// Has all of them call the API, some of them at once.
    pub(crate) async fn all_call(&mut self) {
        for worker in &mut self.workers {
            worker.call(CALLS).await;
        }
    }

    /// Kills one or two at any moment; and, if `asking`, the one that asks for
    /// new tokens, before, while or after the vendor answers. Each is started
    /// again, and calls too.
    pub(crate) async fn kill_some(&mut self, chance: &mut Chance, asking: bool) {
        if asking {
            let nth = self.who_asks().await;
            self.kill(nth, 2 * LATENCY, chance).await;
        }
        for _ in 0..=chance.below(2) {
            let nth = chance.below(self.workers.len());
            self.kill(nth, 4 * LATENCY, chance).await;
        }
    }

    async fn who_asks(&mut self) -> usize {
        loop {
            let (nth, line) = self.next().await;
            if line == "@asking" {
                return nth;
            }
        }
    }

    async fn kill(&mut self, nth: usize, within: Duration, chance: &mut Chance) {
        let micros = chance.below(usize::try_from(within.as_micros()).unwrap());
        sleep(Duration::from_micros(micros as u64)).await;
        self.workers[nth].child.kill().await.unwrap();
        self.killed += 1;
        self.workers[nth] = self.start(nth, self.workers[nth].life + 1).await;
        self.workers[nth].call(CALLS).await;
    }

    /// Waits until nobody waits for an answer.
    pub(crate) async fn calls_are_answered(&mut self) {
        while self.workers.iter().any(|worker| worker.open > 0) {
            self.next().await;
        }
    }

    /// Waits until it is so, and goes on to hear of answers.
    pub(crate) async fn wait_for(&mut self, what: &str, is_so: impl Fn() -> bool) {
        let waited = timeout(LONG, async {
            while !is_so() {
                let _ = timeout(Duration::from_millis(5), self.next()).await;
            }
        });
        assert!(waited.await.is_ok(), "waited for {what} in vain");
    }

    /// Waits until nobody changes the session: who renews holds the lock.
    pub(crate) async fn settles(&self) {
        let locked = timeout(LONG, self.store().lock()).await;
        drop(locked.unwrap().unwrap());
    }

    /// What a process tells next. Of one that was killed nothing counts.
    async fn next(&mut self) -> (usize, String) {
        loop {
            let told = timeout(LONG, self.told.recv()).await;
            let (nth, life, line) = told.expect("nobody tells anything").unwrap();
            assert!(!line.starts_with("@failed"), "process {nth}: {line}");
            let worker = &mut self.workers[nth];
            if life == worker.life {
                if line == "@ok" {
                    worker.open -= 1;
                    self.answered += 1;
                }
                return (nth, line);
            }
        }
    }

    /// Lets all of them end, looks at what they left behind, and tells how many
    /// calls were answered.
    pub(crate) async fn dismiss(mut self) -> usize {
        for Worker {
            mut child, stdin, ..
        } in std::mem::take(&mut self.workers)
        {
            drop(stdin);
            let ended = timeout(LONG, child.wait()).await.unwrap().unwrap();
            assert!(ended.success(), "{ended}");
        }
        let store = self.store();
        drop(store.lock().await.unwrap());
        assert!(store.read().await.unwrap().unwrap().tokens.is_some());
        let state = self.home.path().join(".local/state/countersign");
        let mut left: Vec<_> = fs::read_dir(state)
            .unwrap()
            .map(|it| it.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(left[0].starts_with("pay.") && left[0].ends_with(".session"));
        assert_eq!(left[1], format!("{}.lock", left[0]));
        self.answered
    }

    /// The store, as another process of the profile.
    fn store(&self) -> std::sync::Arc<dyn SessionStore> {
        let home = self.home.path();
        let places = UserPaths::from_variables(|name| (name == "HOME").then(|| home.into()));
        let profiles = Profiles::find(None, &places).unwrap();
        profiles.profile("pay").unwrap().store().unwrap()
    }
}

impl Worker {
    async fn call(&mut self, times: usize) {
        for _ in 0..times {
            self.order("call").await;
            self.open += 1;
        }
    }

    async fn order(&mut self, order: &str) {
        let line = format!("{order}\n");
        self.stdin.write_all(line.as_bytes()).await.unwrap();
    }
}

fn at(now: Timestamp) -> String {
    format!("at {}", now.as_micros())
}

async fn listen(stdout: ChildStdout, nth: usize, life: usize, tell: mpsc::UnboundedSender<Told>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // What the test runner writes stands before it on the same line.
        let Some(start) = line.find('@') else {
            continue;
        };
        let _ = tell.send((nth, life, line[start..].to_owned()));
    }
}

/// The home of a user who has one profile and no session.
fn home(sandbox: &Sandbox) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join(".config/countersign");
    fs::create_dir_all(&config).unwrap();
    let secret = config.join("pay.secret");
    fs::write(&secret, sandbox.secret().expose()).unwrap();
    private(&secret);
    let profile = format!(
        "[pay]\ndialect = 'b2binpay'\nurl = '{}'\nlogin = '{}'\nsecret_file = 'pay.secret'\n\
         budget = 'unlimited'\n",
        sandbox.url(),
        sandbox.login()
    );
    fs::write(config.join("profiles.toml"), profile).unwrap();
    home
}

fn private(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}
