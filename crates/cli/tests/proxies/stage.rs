//! A server, an API and a proxy between a partner and both.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use countersign_testing::recording::{ReceivedRequest, RecordingServer};
use countersign_testing::replies::{Reply, request, send_from};
use countersign_testing::waiting::eventually;
use http::Response;
use serde_json::{Value, json};

use crate::between::Between;
use crate::programs::{Addresses, Proxy, Running};
use crate::server::configuration;
use crate::support::Server;

/// Where the partner calls from, and where one calls from that may not.
pub(crate) const PARTNER: &str = "127.0.0.2";
pub(crate) const ELSEWHERE: &str = "127.0.0.3";

/// An account of the api.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) login: String,
    pub(crate) secret: String,
}

pub(crate) struct Stage {
    pub(crate) proxy: Proxy,
    pub(crate) api: RecordingServer,
    pub(crate) between: Between,
    server: Server,
    running: Running,
    partners: SocketAddr,
    directory: tempfile::TempDir,
}

impl Stage {
    pub(crate) async fn set(proxy: Proxy) -> Self {
        Self::set_with(proxy, "").await
    }

    /// With more keys of the api's table.
    pub(crate) async fn set_with(proxy: Proxy, keys: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let api = RecordingServer::start(|_| Response::new("reached".into()));
        let server = Server::start(&configuration(proxy, api.address, keys));
        let between = Between::start(server.address());
        let partners = free_address();
        let addresses = Addresses {
            partners,
            countersign: between.address,
            api: api.address,
        };
        let logs = directory.path().join("proxy");
        std::fs::create_dir(&logs).unwrap();
        let running = proxy.start(&logs, &addresses);
        let mut stage = Self {
            proxy,
            api,
            between,
            server,
            running,
            partners,
            directory,
        };
        stage.wait().await;
        stage
    }

    /// Waits until the proxy serves.
    async fn wait(&mut self) {
        let (running, partners) = (&mut self.running, self.partners);
        eventually("the proxy serves", || {
            let runs = running.runs();
            assert!(runs, "the proxy has ended: {}", running.complaint());
            async move {
                let asked = request("GET", "/public/ready", &[], "");
                let reply = send_from(PARTNER, partners, asked).await;
                reply.is_ok_and(|reply| reply.status == 200)
            }
        })
        .await;
        self.api.take();
    }

    /// A new account; `allow` are the networks that it may call from.
    pub(crate) fn account(&self, allow: &[&str]) -> Account {
        let allow = allow.iter().flat_map(|network| ["--allow", network]);
        self.account_with(&allow.collect::<Vec<_>>())
    }

    /// A new account, with more options of `account create`.
    pub(crate) fn account_with(&self, options: &[&str]) -> Account {
        let words = [&["account", "create", "--api", "shop"], options].concat();
        let made = self.operate(&words);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Account {
            login: text("login"),
            secret: text("secret"),
        }
    }

    fn operate(&self, words: &[&str]) -> Value {
        let (code, made) = self.server.operate(words);
        assert_eq!(code, Some(0), "{words:?}: {made}");
        made
    }

    pub(crate) fn disable(&self, account: &Account) {
        self.operate(&["account", "disable", &account.login]);
    }

    /// An access token of the account, asked for through the proxy.
    pub(crate) async fn token(&self, account: &Account) -> String {
        let body = json!({"login": account.login, "password": account.secret});
        let fields = [("content-type", "application/json")];
        let asked = request("POST", "/api/v2/auth/login", &fields, body.to_string());
        let reply = send_from(PARTNER, self.partners, asked).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        let token: &Value = &reply.json()["access-token"];
        token.as_str().unwrap().to_owned()
    }

    /// What the proxy answers to a request from the partner.
    pub(crate) async fn ask(&self, asked: &PartnerRequest<'_>) -> Reply {
        let reply = send_from(asked.from, self.partners, asked.request()).await;
        reply.unwrap()
    }

    /// What Countersign's own proxy answers to the same request.
    pub(crate) async fn ask_built_in(&self, asked: &PartnerRequest<'_>) -> Reply {
        let reply = send_from(asked.from, self.server.address(), asked.request()).await;
        let reply = reply.unwrap();
        self.api.take();
        reply
    }

    /// The request as it reached the API, which was asked once.
    pub(crate) fn reached(&self) -> ReceivedRequest {
        let mut reached = self.api.take();
        assert_eq!(reached.len(), 1, "{reached:?}");
        reached.remove(0)
    }

    /// Takes Countersign's address away.
    pub(crate) async fn go_down(self) -> Down {
        self.between.go_down().await;
        Down {
            api: self.api,
            running: self.running,
            partners: self.partners,
            _directory: self.directory,
        }
    }
}

/// A proxy whose Countersign is gone.
pub(crate) struct Down {
    pub(crate) api: RecordingServer,
    running: Running,
    partners: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Down {
    pub(crate) async fn ask(&self, asked: &PartnerRequest<'_>) -> Option<Reply> {
        let reply = send_from(asked.from, self.partners, asked.request()).await;
        reply.ok()
    }

    /// Everything that the proxy has written.
    pub(crate) fn stop(self) -> String {
        self.running.stop()
    }
}

/// A request of a partner.
#[derive(Clone)]
pub(crate) struct PartnerRequest<'a> {
    pub(crate) from: &'a str,
    pub(crate) method: &'a str,
    pub(crate) target: String,
    pub(crate) fields: Vec<(&'a str, String)>,
    pub(crate) body: &'a str,
}

impl<'a> PartnerRequest<'a> {
    pub(crate) fn get(target: impl Into<String>) -> Self {
        Self {
            from: PARTNER,
            method: "GET",
            target: target.into(),
            fields: Vec::new(),
            body: "",
        }
    }

    pub(crate) fn with(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    pub(crate) fn bearing(self, token: &str) -> Self {
        self.with("authorization", format!("Bearer {token}"))
    }

    fn request(&self) -> http::Request<http_body_util::Full<bytes::Bytes>> {
        let fields = self.fields.iter();
        let fields: Vec<_> = fields
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        request(self.method, &self.target, &fields, self.body.to_owned())
    }
}

/// An address for a proxy. Its port is below those that the kernel gives out by
/// itself, so nothing else has it by the time that the proxy takes it.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let nth = std::process::id() + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(20_000 + nth % 10_000).unwrap();
        if std::net::TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return ([127, 0, 0, 1], port).into();
        }
    }
}
