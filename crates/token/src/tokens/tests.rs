use std::sync::OnceLock;
use std::time::Duration;

use countersign_domain::account::{AccountId, CredentialId, Epoch};
use countersign_domain::session::{Session, SessionId, SessionState};

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_718_214_464);
const MINUTE: Duration = Duration::from_secs(60);

fn dialect(name: &str) -> Arc<Dialect> {
    let source = Dialect::shipped(name).unwrap();
    Arc::new(Dialect::compile(source, name).unwrap())
}

/// RSA keys take long to make, so all tests share one of them.
fn material(algorithm: Algorithm) -> KeyMaterial {
    static RSA: OnceLock<KeyMaterial> = OnceLock::new();
    match algorithm {
        Algorithm::Rs256 => RSA
            .get_or_init(|| KeyMaterial::generate(algorithm).unwrap())
            .clone(),
        Algorithm::Hs256 => KeyMaterial::generate(algorithm).unwrap(),
    }
}

fn key(kid: &str, algorithm: Algorithm, state: KeyState) -> (KeyRecord, KeyMaterial) {
    let key = KeyRecord {
        kid: Kid(kid.to_owned()),
        algorithm,
        state,
        created_at: NOW,
    };
    (key, material(algorithm))
}

fn keys(dialect: &Dialect) -> Vec<(KeyRecord, KeyMaterial)> {
    algorithms(dialect)
        .into_iter()
        .map(|algorithm| key(algorithm.name(), algorithm, KeyState::Active))
        .collect()
}

fn tokens(name: &str) -> Tokens {
    let dialect = dialect(name);
    let keys = keys(&dialect);
    Tokens::new(dialect, &keys, NOW).unwrap()
}

fn seed() -> RefreshSeed {
    RefreshSeed::new([5; 32])
}

fn session(variant: &str, kid: &str) -> Session {
    Session {
        id: SessionId([1; 16]),
        account: AccountId::new(34).unwrap(),
        credential: CredentialId(1),
        epoch: Epoch(2),
        variant: variant.to_owned(),
        seed_hash: seed().hash(),
        state: SessionState::Active,
        generation: 3,
        started_at: NOW,
        rotated_at: NOW,
        access_expires_at: NOW + MINUTE + Duration::from_micros(405_243),
        refresh_expires_at: NOW + 60 * MINUTE,
        absolute_expires_at: NOW + 600 * MINUTE,
        kid: Kid(kid.to_owned()),
        previous_kid: None,
        replays: 0,
        used: false,
        address: [127, 0, 0, 1].into(),
        user_agent: String::new(),
    }
}

/// A pair of each shipped dialect and variant, with what verifies it.
fn pairs() -> Vec<(String, Tokens, TokenPair)> {
    let mut pairs = Vec::new();
    for name in ["b2binpay", "mypopup", "mypopup-flat", "apirone"] {
        let dialect = dialect(name);
        for variant in dialect.variants() {
            let tokens = tokens(name);
            let kid = tokens.active_kid(variant).unwrap().0.clone();
            let session = session(dialect.variant_name(variant), &kid);
            let pair = tokens.mint(&session, &seed(), "partner").unwrap();
            pairs.push((
                format!("{name} {}", dialect.variant_name(variant)),
                tokens,
                pair,
            ));
        }
    }
    pairs
}

fn b2binpay() -> (Tokens, TokenPair) {
    let tokens = tokens("b2binpay");
    let pair = tokens
        .mint(&session("v2", "HS256"), &seed(), "partner")
        .unwrap();
    (tokens, pair)
}

#[test]
fn a_token_verifies_as_what_it_is() {
    for (name, tokens, pair) in pairs() {
        let access = tokens
            .verify_access(pair.access_token.expose(), NOW)
            .unwrap();
        assert_eq!(access.session, SessionId([1; 16]), "{name}");
        assert_eq!(
            (access.generation, access.account.number(), access.epoch.0),
            (3, 34, 2)
        );
        assert_eq!(access.expires_at, NOW + MINUTE, "an exp has whole seconds");
        if let Some(refresh) = &pair.refresh_token {
            let refresh = tokens.verify_refresh(refresh.expose(), NOW).unwrap();
            assert_eq!(refresh.claims.seed_hash, seed().hash(), "{name}");
            assert_eq!(refresh.claims.expires_at, NOW + 60 * MINUTE);
        }
    }
}

#[test]
fn forms_mix_within_a_variant() {
    let source = Dialect::shipped("mypopup").unwrap();
    let jwt = "form = \"jwt\"\nalg = \"HS256\"";
    let (access, refresh) = source.split_once("[tokens.main.refresh]").unwrap();
    let (_, rest) = refresh.split_once("\n[").unwrap();
    let opaque_refresh = format!("[tokens.main.refresh]\nform = \"opaque\"\n\n[{rest}");
    for alg in ["RS256", "HS256"] {
        let access = access.replace(jwt, &format!("form = \"jwt\"\nalg = \"{alg}\""));
        let source = format!("{access}{opaque_refresh}");
        let dialect = Arc::new(Dialect::compile(&source, "mixed").unwrap());
        let tokens = Tokens::new(dialect.clone(), &keys(&dialect), NOW).unwrap();
        let pair = tokens
            .mint(&session("main", alg), &seed(), "partner")
            .unwrap();
        assert!(
            tokens
                .verify_access(pair.access_token.expose(), NOW)
                .is_ok(),
            "{alg}"
        );
        let refresh = pair.refresh_token.unwrap();
        assert!(
            refresh
                .expose()
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit()),
            "{alg}"
        );
        let verified = tokens.verify_refresh(refresh.expose(), NOW).unwrap();
        assert_eq!(verified.claims.session, SessionId([1; 16]));
        assert!(tokens.verify_access(refresh.expose(), NOW).is_err());
    }
}

#[test]
fn the_same_row_gives_the_same_bytes() {
    let dialect = dialect("b2binpay");
    let keys = keys(&dialect);
    let mint = |variant, kid| {
        let tokens = Tokens::new(dialect.clone(), &keys, NOW).unwrap();
        tokens
            .mint(&session(variant, kid), &seed(), "partner")
            .unwrap()
    };
    assert_eq!(mint("v2", "HS256"), mint("v2", "HS256"));
    assert_eq!(mint("v3", "RS256"), mint("v3", "RS256"));
}

#[test]
fn a_row_that_a_retiring_key_signed_is_repeated_byte_for_byte() {
    let dialect = dialect("mypopup");
    let (first, second) = (material(Algorithm::Hs256), material(Algorithm::Hs256));
    let entry = |kid: &str, state, material: &KeyMaterial| {
        let key = KeyRecord {
            kid: Kid(kid.to_owned()),
            algorithm: Algorithm::Hs256,
            state,
            created_at: NOW,
        };
        (key, material.clone())
    };
    let before = Tokens::new(
        dialect.clone(),
        &[entry("a", KeyState::Active, &first)],
        NOW,
    )
    .unwrap();
    let pair = before
        .mint(&session("main", "a"), &seed(), "partner")
        .unwrap();

    let until = NOW + MINUTE;
    let rotated = [
        entry("a", KeyState::Retiring { until }, &first),
        entry("b", KeyState::Active, &second),
    ];
    let after = Tokens::new(dialect.clone(), &rotated, NOW).unwrap();
    assert_eq!(
        after
            .mint(&session("main", "a"), &seed(), "partner")
            .unwrap(),
        pair
    );
    let token = pair.access_token.expose();
    assert!(
        after.verify_access(token, NOW).is_ok(),
        "each living key is tried"
    );
    let last = until - Duration::from_micros(1);
    assert!(after.verify_access(token, last).is_ok());
    assert_eq!(
        after.verify_access(token, until).unwrap_err(),
        Reason::TokenForged
    );

    let killed = [
        entry("a", KeyState::Killed, &first),
        entry("b", KeyState::Active, &second),
    ];
    let killed = Tokens::new(dialect, &killed, NOW).unwrap();
    assert_eq!(
        killed.verify_access(token, NOW).unwrap_err(),
        Reason::TokenForged
    );
    let gone = killed
        .mint(&session("main", "a"), &seed(), "partner")
        .unwrap_err();
    assert_eq!(gone, MintFault::KeyGone(Kid("a".to_owned())));
}

#[test]
fn only_the_diagonal_passes() {
    let pairs = pairs();
    for (at, (name, tokens, pair)) in pairs.iter().enumerate() {
        let access = pair.access_token.expose();
        assert!(
            tokens.verify_refresh(access, NOW).is_err(),
            "{name}: access as refresh"
        );
        if let Some(refresh) = &pair.refresh_token {
            let refresh = refresh.expose();
            assert!(
                tokens.verify_access(refresh, NOW).is_err(),
                "{name}: refresh as access"
            );
        }
        for (other, (other_name, _, pair)) in pairs.iter().enumerate() {
            let foreign = tokens.verify_access(pair.access_token.expose(), NOW);
            // All b2binpay values here share one RSA key, and so are one api for v3.
            let one_api = name.starts_with("b2binpay") && other_name.ends_with("v3");
            if other != at && !one_api {
                assert!(foreign.is_err(), "{other_name} at {name}");
            }
        }
    }
}

#[test]
fn expiry_is_exact_to_the_second() {
    let (tokens, pair) = b2binpay();
    let token = pair.access_token.expose();
    let last = NOW + MINUTE - Duration::from_micros(1);
    assert!(tokens.verify_access(token, last).is_ok());
    assert_eq!(
        tokens.verify_access(token, NOW + MINUTE).unwrap_err(),
        Reason::TokenExpired
    );
}

#[test]
fn a_header_that_we_do_not_write_is_refused() {
    let (tokens, pair) = b2binpay();
    let (_, rest) = pair.access_token.expose().split_once('.').unwrap();
    let headers = [
        r#"{"alg":"none","typ":"JWT"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"RS256","typ":"JWT"}"#,
        r#"{"alg":"HS384","typ":"JWT"}"#,
        r#"{"alg":["HS256"],"typ":"JWT"}"#,
        r#"{"alg":null,"typ":"JWT"}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"HS256","typ":"JWT","crit":["exp"]}"#,
        r#"{"alg":"HS256","typ":"JWT","b64":false}"#,
        r#"{"alg":"HS256","typ":"JWT","zip":"DEF"}"#,
        r#"{"alg":"HS256","typ":"JWT","jwk":{"kty":"oct","k":"AA"}}"#,
        r#"{"alg":"HS256","typ":"JWT","jku":"http://127.0.0.1/keys"}"#,
        r#"{"alg":"HS256","typ":"JWT","kid":"../../../../etc/passwd"}"#,
        r#"{"alg":"HS256","alg":"none","typ":"JWT"}"#,
        "{}",
        "",
    ];
    for header in headers {
        let token = format!("{}.{rest}", encode(header));
        assert!(tokens.verify_access(&token, NOW).is_err(), "{header}");
        let unsigned = token.rsplit_once('.').unwrap().0;
        assert!(
            tokens.verify_access(&format!("{unsigned}."), NOW).is_err(),
            "{header}"
        );
    }
}

#[test]
fn a_header_that_we_do_not_write_is_refused_even_if_we_signed_it() {
    let (tokens, pair) = b2binpay();
    let compact = CompactJws::split(pair.access_token.expose()).unwrap();
    let key = tokens.keys.iter().find(|key| key.kid.0 == "HS256").unwrap();
    let sign = |header: &str| {
        let signed = format!("{}.{}", encode(header), compact.claims);
        let signature = key
            .key
            .for_kind(TokenKind::Access)
            .sign(signed.as_bytes())
            .unwrap();
        format!("{signed}.{}", encode(signature))
    };
    let ours = String::from_utf8(decode(compact.header).unwrap()).unwrap();
    assert!(tokens.verify_access(&sign(&ours), NOW).is_ok());
    for header in [
        "{}",
        r#"{"alg":"none"}"#,
        r#"{"typ":"JWT","alg":"HS256"}"#,
        "not JSON",
    ] {
        let refused = tokens.verify_access(&sign(header), NOW).unwrap_err();
        assert_eq!(refused, Reason::TokenForged, "{header}");
    }
}

#[test]
fn a_token_that_was_cut_padded_or_swapped_is_refused() {
    for (name, tokens, pair) in pairs() {
        let token = pair.access_token.expose();
        for cut in 0..token.len() {
            assert!(
                tokens.verify_access(&token[..cut], NOW).is_err(),
                "{name} cut at {cut}"
            );
        }
        let (head, signature) = token.rsplit_once('.').unwrap();
        let (header, claims) = head.split_once('.').unwrap();
        let other = "A".repeat(signature.len());
        let odd = [
            format!("{token}="),
            format!("{token}A"),
            format!("{token}\n"),
            format!(" {token}"),
            format!("{token}.{signature}"),
            format!("{token}.{signature}.{signature}"),
            format!("{claims}.{header}.{signature}"),
            format!("{header}.{signature}.{claims}"),
            format!("{header}.{claims}.{other}"),
            format!("{header}..{signature}"),
            format!("{{\"payload\":\"{claims}\",\"signature\":\"{signature}\"}}"),
            "A".repeat(1 << 20),
            ".".repeat(1 << 20),
        ];
        for token in odd {
            assert!(
                tokens.verify_access(&token, NOW).is_err(),
                "{name}: {token:.80}"
            );
        }
    }
}

#[test]
fn every_changed_character_of_a_token_is_noticed() {
    let (tokens, pair) = b2binpay();
    let token = pair.access_token.expose();
    for at in 0..token.len() {
        let mut changed = token.as_bytes().to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(tokens.verify_access(&changed, NOW).is_err(), "at {at}");
    }
}

#[test]
fn claims_that_we_signed_and_cannot_read_are_refused() {
    let (tokens, pair) = b2binpay();
    let compact = CompactJws::split(pair.access_token.expose()).unwrap();
    let claims = String::from_utf8(decode(compact.claims).unwrap()).unwrap();
    let exp = (NOW + MINUTE).as_seconds().to_string();
    let sign = |claims: &str| {
        let signed = format!("{}.{}", compact.header, encode(claims));
        let key = tokens.keys.iter().find(|key| key.kid.0 == "HS256").unwrap();
        let signature = key
            .key
            .for_kind(TokenKind::Access)
            .sign(signed.as_bytes())
            .unwrap();
        format!("{signed}.{}", encode(signature))
    };
    assert!(tokens.verify_access(&sign(&claims), NOW).is_ok());
    let field = format!("\"exp\":{exp}");
    assert!(claims.replace(' ', "").contains(&field), "{claims}");
    let claims = claims.replace(' ', "");
    let odd = [
        "\"exp\":\"1\"",
        "\"exp\":1.5",
        "\"exp\":-1",
        "\"exp\":9223372036854775808",
        "\"exp\":1e400",
        "\"exp\":null",
        "\"exq\":1",
        "\"exp\":1,\"exp\":1",
        "\"exp\":[1]",
    ];
    for odd in odd {
        assert!(
            tokens
                .verify_access(&sign(&claims.replace(&field, odd)), NOW)
                .is_err(),
            "{odd}"
        );
    }
    let longer = claims.replace(&field, &format!("\"exp\":{}", NOW.as_seconds() + 1_000));
    assert_eq!(
        tokens.verify_access(&sign(&longer), NOW).unwrap_err(),
        Reason::TokenForged,
        "the sealed claim has another expiry"
    );
}

#[test]
fn a_dialect_whose_keys_are_missing_does_not_start() {
    let dialect = dialect("b2binpay");
    let keys: Vec<_> = keys(&dialect)
        .into_iter()
        .filter(|(key, _)| key.algorithm == Algorithm::Hs256)
        .collect();
    let fault = Tokens::new(dialect, &keys, NOW).map(|_| ()).unwrap_err();
    let missing = RingFault::Active(0);
    assert_eq!(
        fault,
        TokensFault::Ring {
            algorithm: Algorithm::Rs256,
            fault: missing
        }
    );
}

#[test]
fn a_variant_that_left_the_dialect_makes_no_tokens() {
    let (tokens, _) = b2binpay();
    let fault = tokens
        .mint(&session("v1", "HS256"), &seed(), "partner")
        .unwrap_err();
    assert_eq!(fault, MintFault::VariantGone("v1".to_owned()));
}

/// An api with an old key in `state` beside its active one, and a pair that the
/// old one signed while it lived.
fn signed_by_an_old_key(state: KeyState) -> (Tokens, TokenPair) {
    let dialect = dialect("mypopup");
    let (old, material) = key("old", Algorithm::Hs256, KeyState::Active);
    let before = Tokens::new(dialect.clone(), &[(old.clone(), material.clone())], NOW).unwrap();
    let pair = before
        .mint(&session("main", "old"), &seed(), "partner")
        .unwrap();
    let keys = [
        (KeyRecord { state, ..old }, material),
        key("new", Algorithm::Hs256, KeyState::Active),
    ];
    (Tokens::new(dialect, &keys, NOW).unwrap(), pair)
}

#[test]
fn a_dead_key_never_verifies_and_tells_what_it_signed() {
    let gone = KeyState::Retiring { until: NOW };
    let fates = [
        (KeyState::Killed, KeyFate::Killed),
        (gone, KeyFate::Gone { since: NOW }),
    ];
    for (state, fate) in fates {
        let (tokens, pair) = signed_by_an_old_key(state);
        let access = pair.access_token.expose();
        let refresh = pair.refresh_token.as_ref().unwrap().expose();
        assert_eq!(
            tokens.verify_access(access, NOW).unwrap_err(),
            Reason::TokenForged
        );
        assert_eq!(
            tokens.verify_refresh(refresh, NOW).unwrap_err(),
            Reason::TokenForged
        );
        assert_eq!(tokens.live_kids(NOW), [Kid("new".to_owned())]);
        for (token, kind) in [(access, TokenKind::Access), (refresh, TokenKind::Refresh)] {
            let diagnosis = tokens.diagnose(token, NOW).unwrap();
            assert_eq!((diagnosis.kind, diagnosis.key), (kind, fate));
            assert_eq!(
                (diagnosis.kid.0.as_str(), diagnosis.account.number()),
                ("old", 34)
            );
        }
    }
}

#[test]
fn a_key_that_retires_while_it_is_loaded_is_diagnosed_as_gone() {
    let until = NOW + MINUTE;
    let (tokens, pair) = signed_by_an_old_key(KeyState::Retiring { until });
    let token = pair.access_token.expose();
    assert_eq!(tokens.diagnose(token, NOW).unwrap().key, KeyFate::Alive);
    assert_eq!(
        tokens.verify_access(token, until).unwrap_err(),
        Reason::TokenForged
    );
    let fate = tokens.diagnose(token, until).unwrap().key;
    assert_eq!(fate, KeyFate::Gone { since: until });
}

#[test]
fn an_expired_token_is_diagnosed_with_its_expiry() {
    for (name, tokens, pair) in pairs() {
        let late = NOW + 700 * MINUTE;
        let diagnosis = tokens.diagnose(pair.access_token.expose(), late).unwrap();
        assert_eq!(diagnosis.expires_at, NOW + MINUTE, "{name}");
        assert_eq!(
            (diagnosis.session, diagnosis.generation),
            (SessionId([1; 16]), 3)
        );
    }
}

#[test]
fn what_was_never_ours_has_no_diagnosis() {
    let (ours, _) = b2binpay();
    let (_, theirs) = b2binpay();
    let foreign = theirs.access_token.expose();
    let long = "a".repeat(1 << 20);
    for token in [foreign, "", ".", "a.b.c", "not a token", &long] {
        assert_eq!(ours.diagnose(token, NOW), None, "{token:.40}");
    }
}

#[test]
fn a_public_key_verifies_what_its_api_signs_and_secret_keys_have_none() {
    let tokens = tokens("b2binpay");
    let keys = tokens.public_keys(NOW);
    assert_eq!(keys.len(), 1, "of RS256 and HS256 one has a public half");
    let public = &keys[0];
    assert_eq!(
        (public.kid.0.as_str(), public.algorithm),
        ("RS256", Algorithm::Rs256)
    );
    let pair = tokens
        .mint(&session("v3", "RS256"), &seed(), "partner")
        .unwrap();
    let compact = CompactJws::split(pair.access_token.expose()).unwrap();
    let numbers = aws_lc_rs::rsa::PublicKeyComponents {
        n: decode(&public.modulus).unwrap(),
        e: decode(&public.exponent).unwrap(),
    };
    let verified = numbers.verify(
        &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256,
        compact.signed.as_bytes(),
        &decode(compact.signature).unwrap(),
    );
    assert!(verified.is_ok());
}

#[test]
fn a_key_that_has_retired_is_published_no_longer() {
    let dialect = dialect("b2binpay");
    let until = NOW + MINUTE;
    let mut keys = keys(&dialect);
    keys.push(key("old", Algorithm::Rs256, KeyState::Retiring { until }));
    let tokens = Tokens::new(dialect, &keys, NOW).unwrap();
    let published = |now| {
        let keys = tokens.public_keys(now);
        keys.into_iter().map(|key| key.kid.0).collect::<Vec<_>>()
    };
    assert_eq!(
        published(until - Duration::from_micros(1)),
        ["RS256", "old"]
    );
    assert_eq!(published(until), ["RS256"]);
}

#[test]
fn a_verified_token_says_by_which_key_and_in_which_variant() {
    let tokens = tokens("b2binpay");
    let dialect = dialect("b2binpay");
    for (variant, kid) in [("v2", "HS256"), ("v3", "RS256")] {
        let pair = tokens
            .mint(&session(variant, kid), &seed(), "partner")
            .unwrap();
        let verified = tokens
            .verify_access(pair.access_token.expose(), NOW)
            .unwrap();
        assert_eq!(verified.kid().0, kid);
        assert_eq!(dialect.variant_name(verified.variant()), variant);
    }
}
