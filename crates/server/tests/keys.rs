//! The life of an api's keys, over a real store: what a rotation, a retirement
//! and a kill do to tokens that are in use.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use countersign_dialect::Dialect;
use countersign_domain::account::{Allowlist, StoredSecret};
use countersign_domain::key::KeyState;
use countersign_domain::session::SessionLifetimes;
use countersign_domain::{AccountLimits, Algorithm, ApiLimits, Kid, Reason, Timestamp};
use countersign_server::api::{ApiSettings, IssuingApi};
use countersign_server::issuer::{Issuer, TokenAnswer, TokenCaller};
use countersign_server::keys::{AppliedKeyChange, KeyRingChange, KeysFault, SigningKeys};
use countersign_server::password::PasswordPool;
use countersign_store::clock::StoreClock;
use countersign_store::seal::MasterKey;
use countersign_store::{AuditActor, NewAccount, NewCredential, Store};
use http::request::Parts;
use serde_json::{Value, json};
use tokio::sync::RwLock;
use tokio::task::JoinHandle;

const HOUR: Duration = Duration::from_secs(3_600);
const SECRET: &str = "a generated key";

/// A provider whose clock is moved by hand.
struct Provider {
    _directory: tempfile::TempDir,
    clock: StoreClock,
    api: Arc<IssuingApi>,
    keys: SigningKeys,
    issuer: Issuer,
}

impl Provider {
    async fn begin(dialect: &str) -> Self {
        Self::begin_with(dialect, HOUR).await
    }

    async fn begin_with(dialect: &str, access: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = StoreClock::manual(Timestamp::from_seconds(1_718_214_464));
        let store = Store::open(&directory.path().join("db"), clock.clone(), |_| {}).unwrap();
        let master = MasterKey::create(&directory.path().join("master.key")).unwrap();
        store.check_master(&master).await.unwrap();
        let api = IssuingApi::load(settings(dialect, access), &store, &master)
            .await
            .unwrap();
        let api = Arc::new(api);
        let new = NewAccount {
            api: api.name().clone(),
            id: None,
            credential: NewCredential::new("partner", StoredSecret::Key(api.pepper.hash(SECRET))),
            allow: Allowlist::default(),
            limits: AccountLimits {
                mints_per_minute: Some(1_000_000),
                ..AccountLimits::default()
            },
            active: true,
        };
        store.create_account(new, AuditActor::System).await.unwrap();
        let keys = SigningKeys::new(api.clone(), store.clone(), Arc::new(master));
        let issuer = Issuer::new(store, PasswordPool::new(2, 2).unwrap());
        Self {
            _directory: directory,
            clock,
            api,
            keys,
            issuer,
        }
    }

    async fn change(&self, change: KeyRingChange) -> Result<AppliedKeyChange, KeysFault> {
        self.keys.change(change, AuditActor::System).await
    }

    async fn rotate(&self) -> AppliedKeyChange {
        let rotate = KeyRingChange::Rotate {
            algorithm: Algorithm::Hs256,
            now: false,
        };
        self.change(rotate).await.unwrap()
    }

    async fn ask(&self, path: &str, body: Value) -> TokenAnswer {
        let request = http::Request::builder()
            .method("POST")
            .uri(path)
            .header("content-type", "application/json");
        let (parts, ()): (Parts, ()) = request.body(()).unwrap().into_parts();
        let caller = TokenCaller {
            address: [127, 0, 0, 1].into(),
        };
        let body = body.to_string();
        self.issuer
            .answer(&self.api, &parts, body.as_bytes(), &caller)
            .await
    }

    async fn log_in(&self) -> Value {
        let body = json!({ "username": "partner", "password": SECRET });
        pair(&self.ask("/auth/login", body).await)
    }

    async fn refresh(&self, pair: &Value) -> TokenAnswer {
        let body = json!({ "refresh_token": pair["refresh_token"] });
        self.ask("/auth/refresh", body).await
    }

    /// What a guard does with an access token before it looks further.
    fn accepts(&self, pair: &Value) -> bool {
        let token = pair["access_token"].as_str().unwrap();
        let tokens = self.api.keychain().current();
        tokens.verify_access(token, self.clock.now()).is_ok()
    }
}

fn settings(dialect: &str, access: Duration) -> ApiSettings {
    let source = Dialect::shipped(dialect).unwrap();
    ApiSettings {
        name: "pay".parse().unwrap(),
        dialect: Arc::new(Dialect::compile(source, dialect).unwrap()),
        lifetimes: SessionLifetimes {
            access,
            refresh: HOUR * 24,
            absolute: HOUR * 720,
            window: HOUR / 60,
        },
        // The clock stands still while partners refresh as fast as they can.
        limits: ApiLimits {
            mints_per_minute: u32::MAX,
            ..ApiLimits::default()
        },
        variants: Vec::new(),
        throttle: countersign_server::throttle::ThrottleSettings::default(),
        passwords: false,
    }
}

fn pair(answer: &TokenAnswer) -> Value {
    assert_eq!(answer.record.outcome, Ok(()));
    let body: Value = serde_json::from_slice(answer.response.body()).unwrap();
    body["data"].clone()
}

fn states(changed: &AppliedKeyChange) -> Vec<KeyState> {
    changed.keys.iter().map(|key| key.state).collect()
}

#[tokio::test]
async fn a_rotation_leaves_every_token_alive_until_its_own_end() {
    let provider = Provider::begin("mypopup").await;
    let old = provider.log_in().await;
    provider.clock.advance(HOUR / 2);
    let changed = provider.rotate().await;
    assert!(matches!(
        states(&changed)[..],
        [KeyState::Retiring { .. }, KeyState::Active]
    ));
    assert!(provider.accepts(&old));
    let new = pair(&provider.refresh(&old).await);
    assert_ne!(new["access_token"], old["access_token"]);
    assert!(provider.accepts(&new));
    provider.clock.advance(HOUR * 26);
    let again = provider.rotate().await;
    let gone = provider.clock.now();
    let live = again.keys.iter().filter(|key| match key.state {
        KeyState::Retiring { until } => gone < until,
        _ => true,
    });
    assert_eq!(
        live.count(),
        2,
        "the first key is gone, with all that it signed"
    );
}

/// Partners refresh and use their tokens without a pause, while half a day goes
/// by and keys rotate again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_request_is_refused_while_keys_rotate() {
    let provider = Arc::new(Provider::begin_with("mypopup", HOUR * 24).await);
    let ended = Arc::new(AtomicBool::new(false));
    let rounds: Arc<[AtomicU64; 8]> = Arc::default();
    // The clock leaps between requests: one that began before it would come to the
    // counters hours after those that began later.
    let leaping: Arc<RwLock<()>> = Arc::default();
    let between = leaping.clone();
    let partner =
        async move |provider: Arc<Provider>, ended: Arc<AtomicBool>, round: &AtomicU64| {
            let mut held = provider.log_in().await;
            while !ended.load(Ordering::SeqCst) {
                let _still = between.read().await;
                assert!(provider.accepts(&held), "a guarded check");
                held = pair(&provider.refresh(&held).await);
                round.fetch_add(1, Ordering::SeqCst);
            }
        };
    let partners: Vec<_> = (0..8)
        .map(|number| {
            let (provider, ended, rounds) = (provider.clone(), ended.clone(), rounds.clone());
            let partner = partner.clone();
            tokio::spawn(async move { partner(provider, ended, &rounds[number]).await })
        })
        .collect();
    let mut signed_with = std::collections::BTreeSet::new();
    for _ in 0..10 {
        signed_with.insert(provider.rotate().await.active);
        let seen = rounds.each_ref().map(|round| round.load(Ordering::SeqCst));
        for (round, seen) in rounds.iter().zip(seen) {
            while round.load(Ordering::SeqCst) < seen + 2 {
                let refused = partners.iter().any(JoinHandle::is_finished);
                assert!(!refused, "a partner was refused");
                tokio::task::yield_now().await;
            }
        }
        let _between = leaping.write().await;
        provider.clock.advance(HOUR * 13);
    }
    ended.store(true, Ordering::SeqCst);
    for partner in partners {
        partner.await.unwrap();
    }
    assert_eq!(signed_with.len(), 10);
}

#[tokio::test]
async fn a_fourth_living_key_waits_until_one_is_gone() {
    let provider = Provider::begin("mypopup").await;
    for _ in 0..2 {
        provider.rotate().await;
    }
    let full = provider
        .change(KeyRingChange::Publish(Algorithm::Hs256))
        .await;
    assert!(matches!(full, Err(KeysFault::Ring(_))), "{full:?}");
    provider.clock.advance(HOUR * 25);
    provider.rotate().await;
}

#[tokio::test]
async fn a_killed_keys_tokens_are_refused_at_the_next_request() {
    let provider = Provider::begin("mypopup").await;
    let held = provider.log_in().await;
    let stolen = provider.rotate().await.keys[0].kid.clone();
    let new = provider.log_in().await;
    provider
        .change(KeyRingChange::Kill(stolen.clone()))
        .await
        .unwrap();
    assert!(!provider.accepts(&held));
    assert!(provider.refresh(&held).await.record.outcome.is_err());
    assert!(provider.accepts(&new), "what the other key signed lives on");
    pair(&provider.refresh(&new).await);
    let again = provider.change(KeyRingChange::Kill(stolen)).await;
    assert!(matches!(again, Err(KeysFault::NoKey)), "{again:?}");
    let unknown = provider
        .change(KeyRingChange::Kill(Kid("x".to_owned())))
        .await;
    assert!(matches!(unknown, Err(KeysFault::NoKey)), "{unknown:?}");
}

/// The token that the partner still has was signed by a key that lives.
#[tokio::test]
async fn a_refresh_whose_lost_reply_a_killed_key_signed_asks_for_a_login() {
    let provider = Provider::begin("mypopup").await;
    let held = provider.log_in().await;
    let active = provider.rotate().await.active;
    pair(&provider.refresh(&held).await);
    provider.change(KeyRingChange::Kill(active)).await.unwrap();
    let again = provider.refresh(&held).await;
    assert_eq!(again.record.outcome, Err(Reason::KeyRetired));
    assert_eq!(again.response.status(), 401);
    provider.log_in().await;
}

/// Of the requests that are under way when the active key is killed, some are
/// committed with it and can no more be signed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_that_is_killed_under_load_is_no_fault_of_the_server() {
    let provider = Arc::new(Provider::begin("mypopup").await);
    let ended = Arc::new(AtomicBool::new(false));
    let partners: Vec<_> = (0..8)
        .map(|_| {
            let (provider, ended) = (provider.clone(), ended.clone());
            tokio::spawn(async move {
                while !ended.load(Ordering::SeqCst) {
                    let body = json!({ "username": "partner", "password": SECRET });
                    let mut answer = provider.ask("/auth/login", body).await;
                    while let (Ok(()), false) =
                        (answer.record.outcome, ended.load(Ordering::SeqCst))
                    {
                        answer = provider.refresh(&pair(&answer)).await;
                    }
                    let status = answer.response.status().as_u16();
                    assert!(matches!(status, 200 | 401 | 503), "{:?}", answer.record);
                }
            })
        })
        .collect();
    let mut active = provider.rotate().await.active;
    for _ in 0..50 {
        active = provider
            .change(KeyRingChange::Kill(active))
            .await
            .unwrap()
            .active;
    }
    ended.store(true, Ordering::SeqCst);
    for partner in partners {
        partner.await.unwrap();
    }
}

#[tokio::test]
async fn where_the_active_key_is_killed_logins_go_on() {
    let provider = Provider::begin("mypopup").await;
    let held = provider.log_in().await;
    let active = provider.rotate().await.active;
    let changed = provider
        .change(KeyRingChange::Kill(active.clone()))
        .await
        .unwrap();
    assert_ne!(changed.active, active);
    assert!(provider.accepts(&held), "the retiring key signed it");
    let new = provider.log_in().await;
    assert!(provider.accepts(&new));
    let reopened = provider.api.tokens().live_kids(provider.clock.now());
    assert!(reopened.contains(&changed.active) && !reopened.contains(&active));
}

#[tokio::test]
async fn a_key_that_others_verify_with_is_published_before_it_signs() {
    let provider = Provider::begin("b2binpay").await;
    let algorithm = Algorithm::Rs256;
    let rotate = |now| provider.change(KeyRingChange::Rotate { algorithm, now });
    let kids = || {
        let jwks = provider.api.jwks(provider.clock.now());
        let keys = jwks["keys"].as_array().unwrap().clone();
        keys.into_iter()
            .map(|key| key["kid"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(kids().len(), 1, "the HS256 key has no public half");
    assert!(matches!(rotate(false).await, Err(KeysFault::NotPublished)));
    let published = provider
        .change(KeyRingChange::Publish(algorithm))
        .await
        .unwrap();
    let pending = published.keys[1].kid.clone();
    assert_eq!(kids()[1], json!(pending.0));
    let twice = provider.change(KeyRingChange::Publish(algorithm)).await;
    assert!(matches!(twice, Err(KeysFault::Pending(_))));
    provider.clock.advance(Duration::from_secs(599));
    assert!(matches!(rotate(false).await, Err(KeysFault::TooYoung(599))));
    provider.clock.advance(Duration::from_secs(1));
    assert_eq!(rotate(false).await.unwrap().active, pending);
    assert_eq!(kids().len(), 2, "the old one still verifies");
    assert_ne!(rotate(true).await.unwrap().active, pending);

    let jwks = provider.api.jwks(provider.clock.now());
    let key = &jwks["keys"][0];
    assert_eq!((&key["kty"], &key["use"]), (&json!("RSA"), &json!("sig")));
    assert_eq!((&key["alg"], &key["e"]), (&json!("RS256"), &json!("AQAB")));
    assert_eq!(key["n"].as_str().unwrap().len(), 342, "2048 bits");
}
