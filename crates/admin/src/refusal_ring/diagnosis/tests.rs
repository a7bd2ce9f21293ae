//! What the record says of a token that was refused, and that the peer is told
//! the same.

use countersign_dialect::{Dialect, Secret};
use countersign_domain::session::{SessionLifetimes, SessionState};
use countersign_domain::{AccountId, ApiLimits, CredentialId, Epoch, Session, SessionId};
use countersign_token::{RefreshSeed, TokenPair};

use super::super::record::RefusingPart;
use super::*;
use countersign_server::api::ApiSettings;
use countersign_store::Store;
use countersign_store::clock::StoreClock;
use countersign_store::seal::MasterKey;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const MINUTE: Duration = Duration::from_secs(60);

/// Two apis that speak the same dialect.
struct World {
    apis: BTreeMap<ApiName, Arc<IssuingApi>>,
    _directory: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let store = Store::open(&path, StoreClock::manual(NOW), |_| {}).unwrap();
        let master = MasterKey::create(&directory.path().join("master.key")).unwrap();
        store.check_master(&master).await.unwrap();
        let mut apis = BTreeMap::new();
        for name in ["gift", "pay"] {
            let api = IssuingApi::load(settings(name), &store, &master)
                .await
                .unwrap();
            apis.insert(api.name().clone(), Arc::new(api));
        }
        Self {
            apis,
            _directory: directory,
        }
    }

    /// Tokens of an account of `api`; the access token lives for a minute.
    fn pair(&self, api: &str) -> TokenPair {
        let api = &self.apis[&api.parse::<ApiName>().unwrap()];
        let tokens = api.keychain().current();
        let variant = api.dialect().variants().next().unwrap();
        let seed = RefreshSeed::new([5; 32]);
        let session = Session {
            id: SessionId([1; 16]),
            account: AccountId::new(100_001).unwrap(),
            credential: CredentialId(1),
            epoch: Epoch(0),
            variant: api.dialect().variant_name(variant).to_owned(),
            seed_hash: seed.hash(),
            state: SessionState::Active,
            generation: 0,
            started_at: NOW,
            rotated_at: NOW,
            access_expires_at: NOW + MINUTE,
            refresh_expires_at: NOW + 60 * MINUTE,
            absolute_expires_at: NOW + 60 * MINUTE,
            kid: tokens.active_kid(variant).unwrap().clone(),
            previous_kid: None,
            replays: 0,
            used: false,
            address: [127, 0, 0, 1].into(),
            user_agent: String::new(),
        };
        tokens.mint(&session, &seed, "acme").unwrap()
    }

    fn diagnosed(&self, refused: NewRefusal, token: &Secret) -> NewRefusal {
        let evidence = RefusalEvidence {
            token: Some(token.expose()),
            clock: None,
        };
        let told = refused.peer_code();
        let diagnosed = refused.diagnosed(&evidence, &self.apis);
        assert_eq!(diagnosed.peer_code(), told, "the peer was told before");
        diagnosed
    }
}

fn settings(name: &str) -> ApiSettings {
    let source = Dialect::shipped("mypopup").unwrap();
    ApiSettings {
        name: name.parse().unwrap(),
        dialect: Arc::new(Dialect::compile(source, name).unwrap()),
        lifetimes: SessionLifetimes {
            access: MINUTE,
            refresh: 60 * MINUTE,
            absolute: 60 * MINUTE,
            window: MINUTE,
        },
        limits: ApiLimits::default(),
        variants: Vec::new(),
        throttle: countersign_server::throttle::ThrottleSettings::default(),
        passwords: false,
    }
}

/// A guarded request at `pay` that was refused.
fn refused(reason: Reason, at: Timestamp) -> NewRefusal {
    NewRefusal {
        id: "a1".to_owned(),
        at,
        front: RefusingPart::BuiltIn,
        api: Some("pay".parse().unwrap()),
        operation: Some(TokenOperation::Guard),
        reason,
        status: Some(401),
        account: None,
        account_api: None,
        login: None,
        session: None,
        address: [192, 0, 2, 7].into(),
        method: "GET".to_owned(),
        path: "/".to_owned(),
        detail: String::new(),
    }
}

#[tokio::test]
async fn a_token_of_another_api_is_told_apart_from_a_forged_one() {
    let world = World::new().await;
    let of_gift = world.pair("gift").access_token;
    for reason in [Reason::TokenForged, Reason::TokenMalformed] {
        let found = world.diagnosed(refused(reason, NOW), &of_gift);
        assert_eq!(found.reason, Reason::WrongApi);
        assert_eq!(found.detail, "the token belongs to the api gift");
        assert_eq!(found.account, AccountId::new(100_001));
    }
    let forged = Secret::from("eyJhbGciOiJIUzI1NiJ9.e30.AAAA");
    let found = world.diagnosed(refused(Reason::TokenForged, NOW), &forged);
    assert_eq!((found.reason, found.account), (Reason::TokenForged, None));
}

#[tokio::test]
async fn an_expired_token_says_how_long_ago_it_ran_out() {
    let world = World::new().await;
    let token = world.pair("pay").access_token;
    let late = NOW + MINUTE + Duration::from_millis(42_900);
    let found = world.diagnosed(refused(Reason::TokenExpired, late), &token);
    assert_eq!(found.reason, Reason::TokenExpired);
    assert_eq!(found.detail, "expired 42 s ago");
    assert_eq!(found.session, Some(SessionId([1; 16])));
}

#[tokio::test]
async fn a_caller_is_told_of_whose_clock_is_off() {
    let world = World::new().await;
    let token = world.pair("pay").access_token;
    let late = NOW + 2 * MINUTE;
    let says = |clock: Timestamp| {
        let evidence = RefusalEvidence {
            token: Some(token.expose()),
            clock: Some(clock),
        };
        let refused = refused(Reason::TokenExpired, late);
        refused.diagnosed(&evidence, &world.apis).detail
    };
    let slow = "expired 60 s ago; the caller's clock is 95 s behind";
    assert_eq!(says(late - Duration::from_secs(95)), slow);
    let fast = "expired 60 s ago; the caller's clock is 31 s ahead";
    assert_eq!(says(late + Duration::from_secs(31)), fast);
    assert_eq!(says(late - Duration::from_secs(30)), "expired 60 s ago");
}

#[tokio::test]
async fn the_other_kind_of_token_is_named() {
    let world = World::new().await;
    let refresh = world.pair("pay").refresh_token.unwrap();
    let found = world.diagnosed(refused(Reason::TokenForged, NOW), &refresh);
    assert_eq!(found.reason, Reason::TokenForged);
    let words = "it is the refresh token, but the access token is expected";
    assert_eq!(found.detail, words);
}

#[tokio::test]
async fn a_refusal_for_anything_else_only_learns_whose_it_was() {
    let world = World::new().await;
    let token = world.pair("pay").access_token;
    for reason in [
        Reason::PathUnknown,
        Reason::RequestsThrottled,
        Reason::ProxyHeaders,
    ] {
        let refused = NewRefusal {
            detail: "as it was".to_owned(),
            ..refused(reason, NOW + 2 * MINUTE)
        };
        let found = world.diagnosed(refused, &token);
        assert_eq!((found.reason, found.detail.as_str()), (reason, "as it was"));
        assert_eq!(found.account, AccountId::new(100_001));
    }
    let nowhere = NewRefusal {
        api: None,
        ..refused(Reason::PathUnknown, NOW)
    };
    let found = world.diagnosed(nowhere, &token);
    assert_eq!((found.api, found.account), (None, AccountId::new(100_001)));
}
