//! The admin API's stories, over a real store and a clock that is moved by
//! hand.

mod idempotency;
mod keys;
mod life;
mod openapi;
mod operating;
mod probe;
mod refusal;
mod refusals;
mod roles;
mod secrets;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use countersign_dialect::{Dialect, Secret};
use countersign_domain::session::{SeedHash, SessionLifetimes, SessionOpening};
use countersign_domain::{ApiLimits, ApiName, CredentialId, NewLogin, Role, SessionId, Timestamp};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{AdminKey, AdminState, DryRunVerdict, HealthProbes, probes, router};
use crate::refusal_ring::RefusalRing;
use countersign_server::api::{ApiSettings, IssuingApi};
use countersign_server::password::PasswordPool;
use countersign_store::Store;
use countersign_store::clock::StoreClock;
use countersign_store::random::random;
use countersign_store::seal::MasterKey;

const KEY: &str = "admin-key-of-the-test";

/// A server with two apis: `pay` takes passwords too, `coin` fixes the forms of
/// its credentials.
struct Server {
    directory: tempfile::TempDir,
    clock: StoreClock,
    state: AdminState,
    service: Router,
}

/// An answer with its body whole.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    bytes: Bytes,
    body: Value,
}

impl Server {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = StoreClock::manual(Timestamp::from_micros(1_800_000_000_000_250));
        let path = directory.path().join("store.db");
        let store = Store::open(&path, clock.clone(), |_| {}).unwrap();
        let master = MasterKey::create(&directory.path().join("master.key")).unwrap();
        store.check_master(&master).await.unwrap();
        let mut apis = BTreeMap::new();
        for (name, dialect, passwords) in [("pay", "mypopup", true), ("coin", "apirone", false)] {
            let api = IssuingApi::load(settings(name, dialect, passwords), &store, &master).await;
            apis.insert(name.parse().unwrap(), Arc::new(api.unwrap()));
        }
        let state = AdminState {
            store: store.clone(),
            apis: Arc::new(apis),
            passwords: PasswordPool::new(1, 8).unwrap(),
            refusals: RefusalRing::open(&directory.path().join("refusals.db")),
            guard: Arc::new(|_, _| DryRunVerdict::default()),
            key: AdminKey::new("owner", &Secret::from(KEY)),
            master: Arc::new(master),
        };
        let probes = probes(HealthProbes {
            store,
            standing: Arc::new(|| Ok(())),
            degraded: Arc::new(|| None),
            metrics: Arc::new(|| "up 1\n".to_owned()),
        });
        Self {
            directory,
            clock,
            service: router(state.clone()).merge(probes),
            state,
        }
    }

    async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, Body::empty()).await
    }

    async fn delete(&self, path: &str) -> Reply {
        self.call(Method::DELETE, path, Body::empty()).await
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        self.call(Method::POST, path, Body::from(body.to_string()))
            .await
    }

    async fn patch(&self, path: &str, body: Value) -> Reply {
        self.call(Method::PATCH, path, Body::from(body.to_string()))
            .await
    }

    /// A request with the owner's key.
    async fn call(&self, method: Method, path: &str, body: Body) -> Reply {
        self.call_as(KEY, method, path, body).await
    }

    /// A request with this key.
    async fn call_as(&self, key: &str, method: Method, path: &str, body: Body) -> Reply {
        let described = method.clone();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::CONTENT_TYPE, "application/json");
        let reply = self.send(request.body(body).unwrap()).await;
        Self::check_described(&described, path, &reply);
        reply
    }

    /// Every byte of every file that the server wrote.
    fn files(&self) -> Vec<u8> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let read = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read(entry.unwrap().path());
        entries.flat_map(|entry| read(entry).unwrap()).collect()
    }

    /// Makes an admin key and gives it.
    async fn admin_key(&self, body: Value) -> String {
        let created = self.post("/admin/v1/admin-keys", body).await;
        assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
        created.body["secret"].as_str().unwrap().to_owned()
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.service.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
            bytes,
        }
    }

    /// Creates an account and gives its path.
    async fn account(&self, body: Value) -> String {
        let created = self.post("/admin/v1/accounts", body).await;
        assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
        created.header("location").to_owned()
    }

    /// Logs the first credential of an account in.
    async fn session(&self, account: &str) -> String {
        let credentials = self.get(&format!("{account}/credentials")).await;
        let credential = credentials.body["items"][0]["id"].as_u64().unwrap();
        let api = &self.state.apis[&"pay".parse::<ApiName>().unwrap()];
        let variant = api.dialect().variants().next().unwrap();
        let terms = api.terms(variant, self.clock.now()).unwrap();
        let opening = SessionOpening {
            id: SessionId(random().unwrap()),
            seed_hash: SeedHash([7; 32]),
            variant: api.dialect().variant_name(variant).to_owned(),
            address: "192.0.2.7".parse().unwrap(),
            user_agent: "curl/8".to_owned(),
        };
        let credential = CredentialId(credential);
        let opened = self
            .state
            .store
            .open_session(opening, credential, terms, NewLogin::Keeps);
        opened.await.unwrap().id.to_string()
    }
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).expect(name);
        value.to_str().unwrap()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    /// The status and stable code of a problem.
    fn problem(&self) -> (u16, &str) {
        let media = self.header("content-type");
        assert_eq!(media, "application/problem+json", "{}", self.text());
        assert_eq!(self.body["status"], self.status.as_u16());
        assert!(self.body["title"].is_string() && self.body["type"] == "about:blank");
        (self.status.as_u16(), self.body["code"].as_str().unwrap())
    }
}

fn settings(name: &str, dialect: &str, passwords: bool) -> ApiSettings {
    let source = Dialect::shipped(dialect).unwrap();
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    ApiSettings {
        name: name.parse().unwrap(),
        dialect: Arc::new(Dialect::compile(source, dialect).unwrap()),
        lifetimes: SessionLifetimes {
            access: minutes(10),
            refresh: minutes(60),
            absolute: minutes(600),
            window: minutes(1),
        },
        limits: ApiLimits::default(),
        variants: Vec::new(),
        throttle: countersign_server::throttle::ThrottleSettings::default(),
        passwords,
    }
}

/// An account of `pay` with this login.
fn partner(login: &str) -> Value {
    json!({ "api": "pay", "login": login })
}
