//! For every dialect and value: what is written is read back, up to what the
//! dialect states that it folds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::cell::Cell;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use countersign_dialect::{
    ClientValues, Dialect, ExtraParts, PresentedCredential, Secret, StaticKeyPlace, TokenClaims,
    TokenCommand, TokenForm, TokenGrant, TokenRefusal, UnderstoodReply,
};
use countersign_domain::{Refusal, Timestamp, TokenKind, TokenOperation};
use http::{HeaderMap, Request};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Two holes in one string, in a header and in a body.
const SHARED: &str = r#"
schema = 1
name = "shared"
serves = ["client"]
session = { refresh = "rotate", login = "keeps" }
guard = { present = [{ header = "Authorization", value = "Bearer {access_token}" }] }
errors = { body = '{"message": "{detail}"}' }
refusals = { bad_login = { detail = "No" } }
[shapes]
pair = '{"token": "{access_token}", "refresh": "{refresh_token}", "end": "{access_expires_at:rfc3339}"}'
[[login]]
path = "/login"
request.body = '{"both": "{login}:{secret}"}'
reply.body = "@pair"
[[refresh]]
path = "/refresh"
request.headers = { X-Both = "{refresh_token}::{access_token}" }
request.empty = true
reply.body = "@pair"
"#;

/// The shipped dialects, the catalogue, and one of its own.
static DIALECTS: LazyLock<Vec<Dialect>> = LazyLock::new(|| {
    let shipped = Dialect::SHIPPED
        .iter()
        .map(|(_, source)| (*source).to_owned());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/catalogue");
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension().is_some_and(|e| e == "toml"));
    let catalogue = files.map(|path| std::fs::read_to_string(path).unwrap());
    shipped
        .chain(catalogue)
        .chain([SHARED.to_owned()])
        .map(|source| Dialect::compile(&source, "f").unwrap())
        .collect()
});

fn any_dialect() -> impl Strategy<Value = &'static Dialect> {
    (0..DIALECTS.len()).prop_map(|index| &DIALECTS[index])
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    (1_000_000_000_000_000..4_000_000_000_000_000_i64).prop_map(Timestamp::from_micros)
}

/// A token that tells its own end, for dialects whose clients look there.
fn token(end: Timestamp, mark: &str) -> String {
    use base64::Engine;
    let claims = format!(r#"{{"exp":{},"mark":"{mark}"}}"#, end.as_seconds());
    format!(
        "e30.{}.c2ln",
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims)
    )
}

/// Whether a refusal can be the answer to an operation.
fn answers(operation: TokenOperation, refusal: Refusal) -> bool {
    use Refusal::{BadBearer, BadLogin, BadRefresh, BudgetSpent, ExpiredBearer, MissingBearer};
    match refusal {
        BadLogin => operation == TokenOperation::Login,
        BadRefresh => operation == TokenOperation::Refresh,
        BadBearer | MissingBearer | ExpiredBearer | BudgetSpent => {
            matches!(operation, TokenOperation::Guard | TokenOperation::Logout)
        }
        _ => true,
    }
}

#[test]
fn what_a_client_asks_is_what_an_issuer_hears() {
    let cases = (
        any_dialect(),
        "[ ]{0,2}\\PC{1,20}[ ]{0,2}",
        prop_oneof![".{1,20}", "[ -~]{1,20}"],
        "[A-Za-z0-9._~+/-]{1,30}={0,2}",
        "[!-~]{1,10}",
    );
    let (asked, heard) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(400)
    });
    let told = runner.run(&cases, |(dialect, login, secret, held, part)| {
        let (all, rendered) = ask(dialect, &login, &secret, &held, &part)?;
        asked.set(asked.get() + all);
        heard.set(heard.get() + rendered);
        Ok(())
    });
    assert!(told.is_ok(), "{}", told.unwrap_err());
    // The others cannot stand in a header, or where they would be cut apart.
    let (asked, heard) = (asked.get(), heard.get());
    assert!(heard * 4 > asked * 3, "only {heard} of {asked} are written");
}

/// Asks for every operation and reads it again; how many there are, and how
/// many of them can be asked for with these values.
fn ask(
    dialect: &Dialect,
    login: &str,
    secret: &str,
    held: &str,
    part: &str,
) -> Result<(usize, usize), TestCaseError> {
    let (secret, held) = (Secret::from(secret), Secret::from(held));
    let part = Secret::from(part);
    let names = ["app_key", "app_secret", "api_key", "security_token"];
    let extra: ExtraParts = names
        .map(|name| (name.to_owned(), part.clone()))
        .into_iter()
        .collect();
    let asking = ClientValues {
        login: Some(login),
        secret: Some(&secret),
        access_token: Some(&held),
        refresh_token: Some(&held),
        extra: Some(&extra),
    };
    let folded = match dialect.name() {
        "gocardless" => login.trim().to_lowercase(),
        _ => login.to_owned(),
    };
    let infos: Vec<_> = dialect.operations().collect();
    let mut heard = 0;
    for info in &infos {
        let Some(request) = dialect.request(info.operation, info.variant, &asking) else {
            continue;
        };
        heard += 1;
        let (parts, body) = request.into_parts();
        let found = match dialect.read_request(&parts, &body) {
            Ok(found) => found,
            // A login of blanks only is nothing once they are dropped.
            Err(unread) => {
                prop_assert!(folded.is_empty(), "{} {unread:?}", dialect.name());
                continue;
            }
        };
        let (asked, extra) = match found {
            TokenCommand::Login {
                asked,
                login,
                secret: hidden,
                extra,
            } => {
                prop_assert_eq!(&login, &folded);
                prop_assert_eq!(&hidden, &secret);
                (asked, extra)
            }
            TokenCommand::Refresh {
                asked,
                refresh_token,
                credential,
                extra,
            } => {
                prop_assert_eq!(&refresh_token, &held);
                let both = (folded.clone(), secret.clone());
                prop_assert!(credential.is_none_or(|found| found == both));
                (asked, extra)
            }
            TokenCommand::Logout {
                asked,
                access_token,
            } => {
                prop_assert_eq!(&access_token, &held);
                (asked, ExtraParts::new())
            }
        };
        prop_assert_eq!(
            (asked.operation, asked.variant),
            (info.operation, info.variant)
        );
        let wanted = match (dialect.name(), info.operation) {
            ("bkash", TokenOperation::Login | TokenOperation::Refresh) => 2,
            ("ig", TokenOperation::Login) => 1,
            _ => 0,
        };
        prop_assert_eq!(extra.len(), wanted, "{}", dialect.name());
        prop_assert!(extra.values().all(|found| *found == part));
    }
    Ok((infos.len(), heard))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_an_issuer_grants_is_what_a_client_understands(
        dialect in any_dialect(),
        login in "\\PC{1,20}",
        secret in ".{1,20}",
        client_id in any::<u64>(),
        now in any_time(),
        access in 1..100_000_000_000_u64,
        refresh in 1..10_000_000_000_000_u64,
    ) {
        let (access_end, refresh_end) = (now + Duration::from_micros(access), now + Duration::from_micros(refresh));
        let (access_token, refresh_token) = (token(access_end, "a"), token(refresh_end, "r"));
        let secret = Secret::from(secret);
        let asking = ClientValues { login: Some(&login), secret: Some(&secret), ..ClientValues::default() };
        for info in dialect.operations().filter(|info| info.operation != TokenOperation::Logout) {
            if dialect.name() == "ig" {
                continue; // its second token is not an issuer's to give
            }
            let asked = dialect.asked_form(info.operation, info.variant).unwrap();
            let reply = dialect.write_grant(&asked, &TokenGrant {
                login: &login,
                client_id,
                access_token: &access_token,
                refresh_token: Some(&refresh_token),
                access_expires_at: access_end,
                refresh_expires_at: refresh_end,
                now,
                secret: Some(&secret),
            });
            let told = dialect.understand(info.operation, info.variant, &asking, &reply, now);
            let Ok(UnderstoodReply::Granted(granted)) = told else { panic!("{} {told:?}", dialect.name()) };
            prop_assert_eq!(granted.access_token.expose(), &access_token);
            if let Some(found) = &granted.refresh_token {
                prop_assert_eq!(found.expose(), &refresh_token);
            }
            prop_assert!(granted.client_id.is_none_or(|found| found == client_id));
            prop_assert!(granted.login.as_ref().is_none_or(|found| *found == login));
            if Dialect::shipped(dialect.name()).is_some() {
                let lost = access_end.since(granted.access_expires_at);
                prop_assert!(lost < Duration::from_secs(1) && granted.access_expires_at <= access_end);
                let end = granted.refresh_expires_at.unwrap_or(refresh_end);
                prop_assert!(end <= refresh_end && refresh_end.since(end) < Duration::from_secs(1));
            }
        }
    }

    #[test]
    fn a_refusal_is_understood_as_one_that_is_spelled_the_same(
        dialect in any_dialect(),
        operation in 0..4usize,
        refusal in 0..18usize,
        pointer in proptest::option::of("/[a-z/]{0,9}"),
        wait in proptest::option::of(1..100_000u64),
    ) {
        let (operation, refusal) = (TokenOperation::ALL[operation], Refusal::ALL[refusal]);
        let spell = |refusal| dialect.write_refusal(&TokenRefusal {
            pointer: pointer.as_deref(),
            retry_after: wait.map(Duration::from_millis),
            allow: Some("POST"),
            ..TokenRefusal::new(operation, refusal)
        });
        let variant = dialect.variants().next().unwrap();
        let asked = operation == TokenOperation::Guard || dialect.asked_form(operation, variant).is_some();
        if dialect.serves().issuer && answers(operation, refusal) && asked {
            let reply = spell(refusal);
            let told = dialect.understand(operation, variant, &ClientValues::default(), &reply, Timestamp::default());
            let Ok(UnderstoodReply::Refused(refused)) = told else { panic!("{} {told:?}", dialect.name()) };
            let again = spell(refused.refusal);
            prop_assert_eq!((reply.status(), reply.body()), (again.status(), again.body()));
            let seconds = refused.retry_after.map(|span| span.as_secs());
            prop_assert!(seconds.is_none_or(|found| Some(found) == wait.map(|wait| wait.div_ceil(1000))));
        }
    }

    #[test]
    fn claims_are_read_back(dialect in any_dialect(), session in "[A-Za-z0-9_-]{1,60}", login in ".{1,20}", client_id in any::<u64>(), now in any_time(), jti in any::<[u8; 16]>()) {
        let claims = TokenClaims {
            session: &session,
            issued_at: now,
            access_expires_at: now + Duration::from_micros(1_500_000),
            refresh_expires_at: now + Duration::from_micros(7_700_001),
            jti,
            client_id,
            login: &login,
        };
        for variant in dialect.variants() {
            for (kind, end) in [(TokenKind::Access, claims.access_expires_at), (TokenKind::Refresh, claims.refresh_expires_at)] {
                if let Some(TokenForm::Jwt(form)) = dialect.token_form(variant, kind) {
                    let text = form.claims(&claims);
                    let theirs: serde_json::Value = serde_json::from_str(&text).unwrap();
                    prop_assert_eq!(theirs["exp"].as_i64(), Some(end.as_seconds()));
                    let read = form.read_claims(text.as_bytes()).unwrap();
                    prop_assert_eq!((read.session, read.expires_at), (session.clone(), end.floor_to_second()));
                }
            }
        }
    }

    #[test]
    fn any_request_is_read_or_refused(
        dialect in any_dialect(),
        which in any::<usize>(),
        body in proptest::collection::vec(any::<u8>(), 0..80),
        media in proptest::option::of("[ -~]{0,30}"),
        authorization in proptest::option::of("[ -~]{0,30}"),
    ) {
        let infos: Vec<_> = dialect.operations().collect();
        let info = &infos[which % infos.len()];
        let mut request = Request::builder().method(&info.method).uri(&info.path);
        for (name, value) in [("content-type", media), ("authorization", authorization)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        if let Err(unread) = dialect.read_request(&parts, &body) {
            let reply = dialect.write_refusal(&TokenRefusal {
                pointer: unread.pointer.as_deref(),
                ..TokenRefusal::new(unread.operation, unread.refusal())
            });
            // Some vendors, none that is issued for, refuse with HTTP 200.
            let said = reply.status().is_client_error() || !dialect.serves().issuer;
            prop_assert!(said);
        }
        dialect.presented(&parts.headers, Some("a=b"));
    }

    #[test]
    fn what_a_client_presents_is_what_a_guard_finds(dialect in any_dialect(), token in "[A-Za-z0-9._~+/-]{1,40}={0,2}") {
        let names = ["app_key", "app_secret", "api_key", "security_token"];
        let extra: ExtraParts = names.iter().map(|name| ((*name).to_owned(), Secret::from("x"))).collect();
        let headers: HeaderMap = dialect.present(&token, &extra).unwrap().into_iter().collect();
        prop_assert!(!headers.is_empty());
        prop_assert_eq!(dialect.presented(&headers, None), PresentedCredential::Token(&token));
    }

    #[test]
    fn a_reply_of_any_bytes_is_understood_or_not(dialect in any_dialect(), status in 200..600u16, body in proptest::collection::vec(any::<u8>(), 0..60)) {
        let reply = http::Response::builder().status(status).body(Bytes::from(body)).unwrap();
        let variant = dialect.variants().next().unwrap();
        for operation in TokenOperation::ALL {
            let told = dialect.understand(operation, variant, &ClientValues::default(), &reply, Timestamp::default());
            prop_assert!(!matches!(told, Ok(UnderstoodReply::Granted(_))));
        }
    }

    #[test]
    fn no_static_key_is_left_behind(members in proptest::collection::vec(("(transfer-key|a|b|transfer_key)", "[ ]{0,2}", any::<u32>()), 0..6)) {
        let place = DIALECTS.iter().find_map(Dialect::static_key).unwrap();
        let text: Vec<_> = members.iter().map(|(key, blank, value)| format!(r#"{blank}"{key}"{blank}:{blank}"{value}"{blank}"#)).collect();
        let body = Bytes::from(format!("{{{}}}", text.join(",")));
        let kept: Vec<_> = members.iter().zip(&text).filter(|((key, ..), _)| key != "transfer-key").map(|(_, text)| text.trim()).collect();
        let stripped = place.strip_body(&body).unwrap();
        let left = std::str::from_utf8(&stripped).unwrap();
        let left: Vec<_> = left.trim_matches(['{', '}', ' ']).split(',').map(str::trim).filter(|text| !text.is_empty()).collect();
        prop_assert_eq!(left, kept);
        let keys = members.iter().filter(|(key, ..)| key == "transfer-key").count();
        match place.take_from_body(&body) {
            Ok(None) => prop_assert_eq!(keys, 0),
            Ok(Some((_, rest))) => prop_assert_eq!((keys, rest), (1, stripped)),
            Err(_) => prop_assert!(keys > 1),
        }
    }
}

#[test]
fn two_static_keys_must_agree() {
    let key = |text: &str| Some(Secret::from(text));
    assert_eq!(StaticKeyPlace::agreed_key(key("a"), key("a")), Ok(key("a")));
    assert_eq!(StaticKeyPlace::agreed_key(None, key("a")), Ok(key("a")));
    assert!(StaticKeyPlace::agreed_key(key("a"), key("b")).is_err());
}
