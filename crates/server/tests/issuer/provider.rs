//! A provider over a real store, whose clock the story moves.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign_dialect::Dialect;
use countersign_domain::account::{Allowlist, StoredSecret};
use countersign_domain::key::{KeyRecord, KeyRing, KeyState, Kid};
use countersign_domain::session::SessionLifetimes;
use countersign_domain::{AccountId, AccountLimits, Algorithm, ApiLimits, Timestamp};
use countersign_server::api::{ApiSettings, IssuingApi};
use countersign_server::issuer::{Issuer, TokenAnswer, TokenCaller};
use countersign_server::password::PasswordPool;
use countersign_store::clock::StoreClock;
use countersign_store::seal::MasterKey;
use countersign_store::{
    AccountUpdate, AuditActor, KeyPurpose, NewAccount, NewCredential, SealedKey, Store,
};
use countersign_token::KeyMaterial;
use http::request::Parts;
use serde_json::{Value, json};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const SECRET: &str = "a generated key";

/// A provider that speaks MyPopUp: access 1 h, refresh 7 d, 30 d at most.
pub(crate) struct Provider {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) clock: StoreClock,
    pub(crate) store: Store,
    pub(crate) master: MasterKey,
    pub(crate) api: IssuingApi,
    pub(crate) issuer: Issuer,
    pub(crate) account: AccountId,
    /// Where requests come from.
    pub(crate) address: IpAddr,
}

pub(crate) fn settings(lifetimes: SessionLifetimes) -> ApiSettings {
    let source = Dialect::shipped("mypopup").unwrap();
    ApiSettings {
        name: "mypopup".parse().unwrap(),
        dialect: Arc::new(Dialect::compile(source, "mypopup").unwrap()),
        lifetimes,
        limits: ApiLimits::default(),
        variants: Vec::new(),
        throttle: countersign_server::throttle::ThrottleSettings::default(),
        passwords: true,
    }
}

pub(crate) const LIFETIMES: SessionLifetimes = SessionLifetimes {
    access: HOUR,
    refresh: Duration::from_secs(7 * 86_400),
    absolute: Duration::from_secs(30 * 86_400),
    window: MINUTE,
};

impl Provider {
    pub(crate) async fn begin() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = StoreClock::manual(Timestamp::from_seconds(1_718_214_464));
        let store = Store::open(&directory.path().join("db"), clock.clone(), |_| {}).unwrap();
        let master = MasterKey::create(&directory.path().join("master.key")).unwrap();
        store.check_master(&master).await.unwrap();
        let api = IssuingApi::load(settings(LIFETIMES), &store, &master)
            .await
            .unwrap();
        let new = NewAccount {
            api: api.name().clone(),
            id: AccountId::new(123_456),
            credential: NewCredential::new("partner", StoredSecret::Key(api.pepper.hash(SECRET))),
            allow: Allowlist::default(),
            limits: AccountLimits::default(),
            active: true,
        };
        let (account, _) = store.create_account(new, AuditActor::System).await.unwrap();
        let issuer = Issuer::new(store.clone(), PasswordPool::new(2, 2).unwrap());
        Self {
            directory,
            clock,
            store,
            master,
            api,
            issuer,
            account: account.id,
            address: [127, 0, 0, 1].into(),
        }
    }

    pub(crate) async fn ask(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> TokenAnswer {
        self.ask_at(self.address, path, headers, body).await
    }

    async fn ask_at(
        &self,
        address: IpAddr,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> TokenAnswer {
        let mut request = http::Request::builder().method("POST").uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()): (Parts, ()) = request.body(()).unwrap().into_parts();
        let caller = TokenCaller { address };
        self.issuer
            .answer(&self.api, &parts, body.as_bytes(), &caller)
            .await
    }

    /// The same provider, asked by somebody else.
    pub(crate) async fn ask_from(&self, address: IpAddr, login: &str, secret: &str) -> TokenAnswer {
        let body = json!({ "username": login, "password": secret }).to_string();
        let json = [("content-type", "application/json")];
        self.ask_at(address, "/auth/login", &json, &body).await
    }

    pub(crate) async fn log_in(&self) -> Value {
        let answer = self.log_in_with(SECRET).await;
        assert_eq!(answer.record.outcome, Ok(()));
        data(&answer)
    }

    pub(crate) async fn log_in_with(&self, secret: &str) -> TokenAnswer {
        let body = json!({ "username": "partner", "password": secret });
        self.post("/auth/login", &body).await
    }

    pub(crate) async fn refresh(&self, pair: &Value) -> TokenAnswer {
        let body = json!({ "refresh_token": pair["refresh_token"] });
        self.post("/auth/refresh", &body).await
    }

    async fn post(&self, path: &str, body: &Value) -> TokenAnswer {
        let fields = [("content-type", "application/json")];
        self.ask(path, &fields, &body.to_string()).await
    }

    /// Enables the partner's account, or disables it.
    pub(crate) async fn set_active(&self, active: bool) {
        let update = AccountUpdate {
            active: Some(active),
            ..AccountUpdate::default()
        };
        let updated = self
            .store
            .update_account(self.account, update, AuditActor::System);
        updated.await.unwrap();
    }

    pub(crate) async fn log_out(&self, pair: &Value) -> TokenAnswer {
        let bearer = format!("Bearer {}", pair["access_token"].as_str().unwrap());
        self.ask("/auth/logout", &[("authorization", &bearer)], "")
            .await
    }

    /// The process ends and starts again, perhaps with another configuration.
    pub(crate) async fn restart(self, lifetimes: SessionLifetimes) -> Self {
        let Self {
            directory,
            clock,
            store,
            master,
            api,
            issuer,
            account,
            address,
        } = self;
        drop((api, issuer));
        store.close().await;
        let store = Store::open(&directory.path().join("db"), clock.clone(), |_| {}).unwrap();
        let api = IssuingApi::load(settings(lifetimes), &store, &master)
            .await
            .unwrap();
        let issuer = Issuer::new(store.clone(), PasswordPool::new(2, 2).unwrap());
        Self {
            directory,
            clock,
            store,
            master,
            api,
            issuer,
            account,
            address,
        }
    }

    /// Publishes a new signing key and rotates to it.
    pub(crate) async fn rotate_key(&self) {
        let now = self.clock.now();
        let name = self.api.name();
        let key = KeyRecord {
            kid: Kid("second".to_owned()),
            algorithm: Algorithm::Hs256,
            state: KeyState::Pending,
            created_at: now,
        };
        let material = KeyMaterial::generate(Algorithm::Hs256).unwrap();
        let mut sealed = SealedKey {
            key,
            purpose: KeyPurpose::Signing,
            sealed: Vec::new(),
        };
        sealed.sealed = self
            .master
            .seal(&sealed.context(name), material.bytes())
            .unwrap();
        self.store
            .insert_key(name, sealed, AuditActor::System)
            .await
            .unwrap();
        let stored = self.store.keys(name).await.unwrap();
        let signing = stored
            .into_iter()
            .filter(|it| it.purpose == KeyPurpose::Signing);
        let ring = KeyRing::new(signing.map(|it| it.key).collect(), now).unwrap();
        let ring = ring.rotate(LIFETIMES.refresh, now).unwrap();
        self.store
            .replace_ring(name, ring, None, AuditActor::System, None)
            .await
            .unwrap();
    }
}

pub(crate) fn data(answer: &TokenAnswer) -> Value {
    let body: Value = serde_json::from_slice(answer.response.body()).unwrap();
    assert_eq!(answer.response.status(), 200, "{body}");
    body["data"].clone()
}
