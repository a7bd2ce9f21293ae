//! A token has one spelling, and no other token verifies than the one that was made.
//! The input is put into that at the place that its first bytes name.
#![no_main]

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use countersign_dialect::Dialect;
use countersign_domain::account::{AccountId, CredentialId, Epoch};
use countersign_domain::key::{KeyRecord, KeyState};
use countersign_domain::session::{SessionId, SessionState};
use countersign_domain::{Algorithm, Kid, Session, Timestamp};
use countersign_token::{KeyMaterial, RefreshSeed, Tokens, fuzzing};
use libfuzzer_sys::fuzz_target;
use zeroize::Zeroizing;

const NOW: Timestamp = Timestamp::from_seconds(1_718_214_464);

static TOKENS: LazyLock<Tokens> = LazyLock::new(|| {
    let source = Dialect::shipped("b2binpay").expect("it is shipped");
    let dialect = Dialect::compile(source, "b2binpay").expect("it is sound");
    let key = KeyRecord {
        kid: Kid("k1".to_owned()),
        algorithm: Algorithm::Hs256,
        state: KeyState::Active,
        created_at: NOW,
    };
    let material = KeyMaterial::new(Zeroizing::new(vec![7; 32]));
    let algorithms = BTreeSet::from([Algorithm::Hs256]);
    Tokens::with_algorithms(Arc::new(dialect), &algorithms, &[(key, material)], NOW).expect("a key that fits")
});

static MADE: LazyLock<String> = LazyLock::new(|| {
    let seed = RefreshSeed::new([5; 32]);
    let pair = TOKENS.mint(&session(&seed), &seed, "partner");
    pair.expect("a token").access_token.expose().to_owned()
});

fn session(seed: &RefreshSeed) -> Session {
    let hour = Duration::from_secs(3_600);
    Session {
        id: SessionId([1; 16]),
        account: AccountId::new(34).expect("a number that fits"),
        credential: CredentialId(1),
        epoch: Epoch(2),
        variant: "v2".to_owned(),
        seed_hash: seed.hash(),
        state: SessionState::Active,
        generation: 3,
        started_at: NOW,
        rotated_at: NOW,
        access_expires_at: NOW + hour,
        refresh_expires_at: NOW + hour,
        absolute_expires_at: NOW + hour,
        kid: Kid("k1".to_owned()),
        previous_kid: None,
        replays: 0,
        used: false,
        address: [127, 0, 0, 1].into(),
        user_agent: String::new(),
    }
}

fuzz_target!(|input: (u16, u16, &str)| {
    let (at, length, text) = input;
    look_at(text);
    let from = usize::from(at) % MADE.len();
    let to = MADE.len().min(from + usize::from(length));
    look_at(&format!("{}{text}{}", &MADE[..from], &MADE[to..]));
});

fn look_at(token: &str) {
    if let Some(spelled) = fuzzing::respelled(token) {
        assert_eq!(spelled, token);
    }
    assert_eq!(
        TOKENS.verify_access(token, NOW).is_ok(),
        token == *MADE,
        "{token}"
    );
    assert!(TOKENS.verify_refresh(token, NOW).is_err(), "{token}");
    let _ = TOKENS.diagnose(token, NOW);
}
