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
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpSocket;

#[allow(unused_imports, reason = "each test file uses its part")]
pub(crate) use server::{Server, follow};

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

/// An answer with its body whole.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
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

/// A request with a body; `headers` are name and value.
pub(crate) fn request(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).unwrap()
}

/// Sends a request from 127.0.0.1 on a connection of its own.
pub(crate) async fn send(to: SocketAddr, request: Request<Full<Bytes>>) -> Reply {
    send_from("127.0.0.1", to, request).await.unwrap()
}

/// Sends a request from a loopback address on a connection of its own; an error
/// if the connection breaks.
pub(crate) async fn send_from(
    from: &str,
    to: SocketAddr,
    mut request: Request<Full<Bytes>>,
) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from.parse()?, 0))?;
    let stream = socket.connect(to).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    if !request.headers().contains_key("host") {
        request
            .headers_mut()
            .insert("host", to.to_string().parse()?);
    }
    let reply = whole(sender.send_request(request).await?).await;
    connection.abort();
    reply
}

async fn whole<B>(response: Response<B>) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Reply {
        status: parts.status,
        headers: parts.headers,
        body,
    })
}

impl Reply {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header, empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Status and text, for an assertion that shows both.
    pub(crate) fn outcome(&self) -> (u16, String) {
        (self.status.as_u16(), self.text())
    }
}

/// Waits until `met` holds, for what another process does in its own time.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut met: impl FnMut() -> F) {
    let begun = Instant::now();
    while !met().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        tokio::task::yield_now().await;
    }
}

/// Makes a certificate for `h` and 127.0.0.1 in `NAME.pem`, and its key in
/// `NAME.key`.
pub(crate) fn certificate(directory: &Path, name: &str) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-nodes", "-subj", "/CN=h"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-days", "2"])
        .args(["-addext", "subjectAltName=DNS:h,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-out"])
        .arg(directory.join(name).with_extension("pem"))
        .arg("-keyout")
        .arg(directory.join(name).with_extension("key"))
        .output()
        .expect("openssl is needed: scripts/test installs it");
    assert!(made.status.success(), "{made:?}");
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
