//! An admin API on a loopback port, in this process.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use countersign_admin::refusal_ring::RefusalRing;
use countersign_admin::{AdminKey, AdminState, DryRunVerdict, router};
use countersign_dialect::{Dialect, Secret};
use countersign_domain::session::{SeedHash, SessionLifetimes, SessionOpening};
use countersign_domain::{ApiLimits, ApiName, NewLogin, SessionId, Timestamp};
use countersign_server::api::{ApiSettings, IssuingApi};
use countersign_server::password::PasswordPool;
use countersign_store::Store;
use countersign_store::clock::StoreClock;
use countersign_store::random::random;
use countersign_store::seal::MasterKey;
use countersign_testing::listening::listen;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tower::ServiceExt;

use crate::run::{Ran, command, finish};

const KEY: &str = "admin-key-of-the-test";

/// A server that runs until it is dropped, and its data directory.
pub(crate) struct Server {
    data: tempfile::TempDir,
    state: AdminState,
    runtime: tokio::runtime::Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.enable_all().worker_threads(1).build().unwrap();
        let state = runtime.block_on(state(data.path()));
        let service = router(state.clone());
        let listening = runtime.enter();
        let listener = listen(move |stream| serve(stream, service.clone()));
        drop(listening);
        publish(data.path(), listener.address);
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            // An error means that the test is over, too.
            let _ = runtime.block_on(stopped);
        });
        Self {
            data,
            state,
            runtime: handle,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.data().join("admin.key")
    }

    pub(crate) fn url(&self) -> String {
        let url = fs::read_to_string(self.data().join("admin.url")).unwrap();
        url.trim().to_owned()
    }

    /// The binary with these words, on this server.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = command(words);
        command.arg("--data").arg(self.data());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        finish(&mut self.command(words))
    }

    /// Logs a login of the api `pay` in, and gives the session's id.
    pub(crate) fn log_in(&self, login: &str) -> String {
        self.runtime.block_on(async {
            let name: ApiName = "pay".parse().unwrap();
            let found = self.state.store.credential_by_login(&name, login).await;
            let (_, credential) = found.unwrap().unwrap();
            let api = &self.state.apis[&name];
            let variant = api.dialect().variants().next().unwrap();
            let opening = SessionOpening {
                id: SessionId(random().unwrap()),
                seed_hash: SeedHash([7; 32]),
                variant: api.dialect().variant_name(variant).to_owned(),
                address: "192.0.2.7".parse().unwrap(),
                user_agent: "\u{1b}[31mcurl".to_owned(),
            };
            let terms = api.terms(variant, self.state.store.now()).unwrap();
            let store = &self.state.store;
            let opened = store.open_session(opening, credential.id, terms, NewLogin::Keeps);
            opened.await.unwrap().id.to_string()
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        let thread = self.thread.take().unwrap();
        thread.join().unwrap();
    }
}

async fn state(data: &Path) -> AdminState {
    let clock = StoreClock::manual(Timestamp::from_seconds(1_800_000_000));
    let store = Store::open(&data.join("store.db"), clock, |_| {}).unwrap();
    let master = MasterKey::create(&data.join("master.key")).unwrap();
    store.check_master(&master).await.unwrap();
    let mut apis = BTreeMap::new();
    for (name, dialect, passwords) in [("pay", "mypopup", true), ("coin", "apirone", false)] {
        let settings = settings(name, dialect, passwords);
        let api = IssuingApi::load(settings, &store, &master).await.unwrap();
        apis.insert(name.parse().unwrap(), Arc::new(api));
    }
    AdminState {
        store,
        apis: Arc::new(apis),
        passwords: PasswordPool::new(1, 8).unwrap(),
        refusals: RefusalRing::open(&data.join("refusals.db")),
        guard: Arc::new(|_, _| DryRunVerdict::default()),
        key: AdminKey::new("owner", &Secret::from(KEY)),
        master: Arc::new(master),
    }
}

fn settings(name: &str, dialect: &str, passwords: bool) -> ApiSettings {
    let source = Dialect::shipped(dialect).unwrap();
    let hour = Duration::from_secs(3_600);
    ApiSettings {
        name: name.parse().unwrap(),
        dialect: Arc::new(Dialect::compile(source, dialect).unwrap()),
        lifetimes: SessionLifetimes {
            access: hour / 6,
            refresh: hour,
            absolute: hour * 10,
            window: hour / 60,
        },
        limits: ApiLimits::default(),
        variants: Vec::new(),
        throttle: countersign_server::throttle::ThrottleSettings::default(),
        passwords,
    }
}

/// Writes what `countersign serve` writes once it serves.
fn publish(data: &Path, address: SocketAddr) {
    fs::write(data.join("admin.url"), format!("http://{address}\n")).unwrap();
    let key = data.join("admin.key");
    fs::write(&key, format!("{KEY}\n")).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
}

async fn serve(stream: TcpStream, service: Router) {
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        service.clone().oneshot(request)
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A client that goes away is no concern of the server.
    let _ = connection.await;
}
