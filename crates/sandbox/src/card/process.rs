//! A client behind a command: any program that reads lines and answers lines.
//!
//! It is started with `COUNTERSIGN_SANDBOX_URL`, `COUNTERSIGN_SANDBOX_LOGIN` and
//! `COUNTERSIGN_SANDBOX_SECRET` in its environment (and `…_DIALECT` and
//! `…_VARIANT`). For each line `call METHOD PATH` on its standard input it makes
//! that call, and answers one line on its standard output: `ok STATUS` with the
//! status that the vendor answered, or `error TEXT`. A client that can make
//! calls at once prints `can parallel` before its first answer; it may get
//! several lines before it answers, and answers in any order. Other lines are
//! kept and shown. It ends when its standard input does.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use super::client::BoxClientFuture;
use super::{CardClient, ClientAnswer, ClientSituation};

/// So many lines of what a client printed are kept.
const KEPT: usize = 20;

/// How long a client may take to end when its standard input has ended.
const FAREWELL: Duration = Duration::from_secs(2);

/// A client that runs as a process of its own.
#[derive(Debug)]
pub struct ClientProcess {
    child: Mutex<Child>,
    stdin: Mutex<Option<ChildStdin>>,
    answers: Mutex<mpsc::UnboundedReceiver<ClientAnswer>>,
    heard: Arc<ClientOutput>,
    readers: Mutex<Vec<JoinHandle<()>>>,
    patience: Duration,
    stuck: AtomicBool,
}

/// What a client said beside its answers.
#[derive(Debug, Default)]
struct ClientOutput {
    parallel: AtomicBool,
    lines: std::sync::Mutex<VecDeque<String>>,
}

/// The command cannot be run.
#[derive(Debug, thiserror::Error)]
#[error("{command} cannot be started: {why}")]
pub struct StartError {
    command: String,
    why: String,
}

impl ClientProcess {
    /// Starts a command; it may take `patience` for each answer.
    ///
    /// # Errors
    ///
    /// There is no such command, or it may not be run.
    pub fn start(
        command: &[OsString],
        situation: &ClientSituation,
        patience: Duration,
    ) -> Result<Self, StartError> {
        let (program, arguments) = command.split_first().ok_or_else(|| StartError {
            command: "nothing".to_owned(),
            why: "there is no command".to_owned(),
        })?;
        let mut child = Command::new(program)
            .args(arguments)
            .envs(variables(situation))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| StartError {
                command: program.display().to_string(),
                why: error.to_string(),
            })?;
        let heard = Arc::new(ClientOutput::default());
        let (told, answers) = mpsc::unbounded_channel();
        let readers = vec![
            tokio::spawn(listen(child.stdout.take(), told, heard.clone())),
            tokio::spawn(overhear(child.stderr.take(), heard.clone())),
        ];
        Ok(Self {
            stdin: Mutex::new(child.stdin.take()),
            child: Mutex::new(child),
            answers: Mutex::new(answers),
            heard,
            readers: Mutex::new(readers),
            patience,
            stuck: AtomicBool::new(false),
        })
    }

    async fn call(&self, path: &str) -> ClientAnswer {
        if self.stuck.load(Ordering::Relaxed) {
            return ClientAnswer::Silence;
        }
        let line = format!("call GET {path}\n");
        if let Some(stdin) = self.stdin.lock().await.as_mut() {
            // If it does not read any more, it is about to end: that is told.
            let _ = stdin.write_all(line.as_bytes()).await;
            let _ = stdin.flush().await;
        }
        let answer = async { self.answers.lock().await.recv().await };
        match tokio::time::timeout(self.patience, answer).await {
            Ok(Some(answer)) => answer,
            Ok(None) => ClientAnswer::Ended(self.how_it_ended().await),
            Err(_) => {
                // An answer that comes later is no answer to the next call.
                self.stuck.store(true, Ordering::Relaxed);
                ClientAnswer::Silence
            }
        }
    }

    async fn how_it_ended(&self) -> String {
        let mut child = self.child.lock().await;
        match tokio::time::timeout(FAREWELL, child.wait()).await {
            Ok(Ok(status)) => format!("the command ended ({status})"),
            _ => "the command closed its standard output".to_owned(),
        }
    }

    async fn end(&self) -> Vec<String> {
        drop(self.stdin.lock().await.take());
        let mut child = self.child.lock().await;
        if tokio::time::timeout(FAREWELL, child.wait()).await.is_err() {
            // It is killed here, or has ended by itself just now.
            let _ = child.kill().await;
        }
        for reader in self.readers.lock().await.drain(..) {
            // What it started may hold its pipes open: that is not waited for.
            let _ = tokio::time::timeout(FAREWELL, reader).await;
        }
        self.heard.lines().drain(..).collect()
    }
}

impl CardClient for ClientProcess {
    fn call<'a>(&'a self, path: &'a str) -> BoxClientFuture<'a, ClientAnswer> {
        Box::pin(self.call(path))
    }

    fn is_parallel(&self) -> bool {
        self.heard.parallel.load(Ordering::Relaxed)
    }

    fn finish(&self) -> BoxClientFuture<'_, Vec<String>> {
        Box::pin(self.end())
    }
}

impl ClientOutput {
    fn lines(&self) -> std::sync::MutexGuard<'_, VecDeque<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        let mut lines = self.lines();
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }
}

fn variables(situation: &ClientSituation) -> [(&'static str, &str); 5] {
    [
        ("COUNTERSIGN_SANDBOX_URL", &situation.url),
        ("COUNTERSIGN_SANDBOX_LOGIN", &situation.login),
        ("COUNTERSIGN_SANDBOX_SECRET", &situation.secret),
        ("COUNTERSIGN_SANDBOX_DIALECT", &situation.dialect),
        ("COUNTERSIGN_SANDBOX_VARIANT", &situation.variant),
    ]
}

async fn listen(
    stdout: Option<ChildStdout>,
    told: mpsc::UnboundedSender<ClientAnswer>,
    heard: Arc<ClientOutput>,
) {
    for_each_line(stdout, |line| match parsed(line) {
        Some(answer) => drop(told.send(answer)),
        None if line.trim() == "can parallel" => heard.parallel.store(true, Ordering::Relaxed),
        None => heard.keep(line),
    })
    .await;
}

async fn overhear(stderr: Option<impl AsyncRead + Unpin>, heard: Arc<ClientOutput>) {
    for_each_line(stderr, |line| heard.keep(line)).await;
}

async fn for_each_line(from: Option<impl AsyncRead + Unpin>, mut take: impl FnMut(&str)) {
    let Some(from) = from else { return };
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while matches!(from.read_until(b'\n', &mut line).await, Ok(1..)) {
        take(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}

/// An answer line; `None` if it is something else.
fn parsed(line: &str) -> Option<ClientAnswer> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "ok" => rest.trim().parse().ok().map(ClientAnswer::Status),
        "error" => Some(ClientAnswer::Error(rest.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn situation() -> ClientSituation {
        ClientSituation {
            url: "http://127.0.0.1:9".to_owned(),
            login: "login".to_owned(),
            secret: "secret".to_owned(),
            dialect: "mypopup".to_owned(),
            variant: "main".to_owned(),
        }
    }

    fn shell(script: &str) -> ClientProcess {
        let command = ["sh", "-c", script].map(OsString::from);
        ClientProcess::start(&command, &situation(), Duration::from_millis(500)).unwrap()
    }

    #[tokio::test]
    async fn a_command_answers_line_by_line_and_what_else_it_says_is_kept() {
        let client = shell(
            "echo can parallel; echo hello; echo trouble >&2
             read line; echo \"ok 20${#line}\"; read line; echo error no \"$line\"",
        );
        assert_eq!(client.call("/a").await, ClientAnswer::Status(2011));
        assert!(client.is_parallel());
        let second = client.call("/b").await;
        assert_eq!(second, ClientAnswer::Error("no call GET /b".to_owned()));
        let mut said = client.finish().await;
        said.sort();
        assert_eq!(said, ["hello", "trouble"]);
    }

    #[tokio::test]
    async fn a_command_gets_the_vendor_in_its_environment() {
        let client = shell(
            "read x; echo error \"$COUNTERSIGN_SANDBOX_URL $COUNTERSIGN_SANDBOX_LOGIN $COUNTERSIGN_SANDBOX_VARIANT\"",
        );
        let told = client.call("/").await.to_string();
        assert_eq!(told, "error http://127.0.0.1:9 login main");
    }

    #[tokio::test]
    async fn a_command_that_ends_is_told_with_its_status() {
        let client = shell("read x; exit 3");
        let told = client.call("/").await.to_string();
        assert_eq!(told, "no answer: the command ended (exit status: 3)");
    }

    #[tokio::test]
    async fn who_was_silent_once_is_not_waited_for_again() {
        let client = shell("read x; sleep 1; echo ok 200; read x; echo ok 200");
        assert_eq!(client.call("/").await, ClientAnswer::Silence);
        assert_eq!(client.call("/").await, ClientAnswer::Silence);
    }

    #[tokio::test]
    async fn a_command_that_is_not_there_is_named() {
        let command = [OsString::from("/no/such/client")];
        let error = ClientProcess::start(&command, &situation(), Duration::ZERO).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("/no/such/client cannot be started")
        );
    }
}
