//! Further parts of a credential, where the token endpoints are, and the end that
//! the vendor told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use countersign_client::{
    BoxFuture, Dialect, ErrorKind, ManualClock, SecretFile, SessionStore, TokenSource,
    TokenSourceBuilder, Transport, TransportError,
};
use http::{HeaderMap, Request, Response};

use crate::vendor::START;

const DIALECT: &str = r#"
schema = 1
name = "keyed"
serves = ["client"]
session = { refresh = "none", login = "keeps" }
credential = { extra = ["key", "note"] }
guard = { present = [
    { header = "Authorization", value = "Bearer {access_token}" },
    { header = "X-Key", value = "{extra.key}" },
    { header = "X-Note", value = "{extra.note?}" },
] }
errors = { body = '{"message": "{detail}"}' }
refusals = { bad_login = { detail = "No" } }
[[login]]
path = "/login"
request.body = '{"login": "{login}", "password": "{secret}"}'
reply.body = '{"token": "{access_token}", "end": "{access_expires_at:rfc3339}"}'
"#;

/// A vendor that gives the same token each time, and keeps what it was asked.
#[derive(Clone, Default)]
struct Keyed(Arc<Mutex<Vec<Request<Bytes>>>>);

impl Transport for Keyed {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        self.0.lock().unwrap().push(request);
        let body = r#"{"token": "t", "end": "2027-01-15T08:10:00Z"}"#;
        let answer = Response::builder().header("x-key", "from the vendor");
        let answer = answer.body(Bytes::from(body)).unwrap();
        Box::pin(async move { Ok(answer) })
    }
}

impl Keyed {
    fn client(&self) -> TokenSourceBuilder {
        let dialect = Dialect::compile(DIALECT, "keyed").unwrap();
        TokenSource::builder(Arc::new(dialect), "http://127.0.0.1:9")
            .login("shop")
            .secret(countersign_client::Secret::from("s"))
            .clock(Arc::new(ManualClock::at(START)))
            .transport(self.clone())
    }
}

async fn presented(source: &TokenSource) -> HeaderMap {
    let mut headers = HeaderMap::new();
    source.token().await.unwrap().present(&mut headers);
    headers
}

#[tokio::test]
async fn further_parts_are_presented_beside_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "k1\n").unwrap();
    let store = countersign_client::MemoryStore::new();
    let vendor = Keyed::default();
    let client = || {
        let from = SecretFile::new(&file);
        vendor.client().extra_from("key", from).store(store.clone())
    };
    let headers = presented(&client().build().unwrap()).await;
    assert_eq!(headers["authorization"], "Bearer t");
    assert_eq!(headers["x-key"], "k1");
    assert!(!headers.contains_key("x-note"));

    // Another process finds the token in the store, and reads the part anew.
    std::fs::write(&file, "k2\n").unwrap();
    let next = client().extra("note", "n").build().unwrap();
    let headers = presented(&next).await;
    assert_eq!(
        (&headers["x-key"], &headers["x-note"]),
        (&"k2".parse().unwrap(), &"n".parse().unwrap())
    );
    assert_eq!(vendor.0.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_refused_token_that_is_granted_again_is_used_on() {
    let vendor = Keyed::default();
    let source = vendor.client().extra("key", "k").build().unwrap();
    for _ in 0..100 {
        let token = source.token().await.unwrap();
        assert_eq!(token.expose(), "t");
        source.report_refused(&token);
    }
    let asked = vendor.0.lock().unwrap().len();
    assert!((2..=10).contains(&asked), "{asked}");
}

#[tokio::test]
async fn a_part_that_is_missing_or_does_not_fit_is_named() {
    for (key, told) in [
        (None, "extra.key is missing"),
        (Some(""), "extra.key is missing"),
        (
            Some("k\u{e9}"),
            "extra.key is not allowed in the header x-key: it has characters beyond ASCII",
        ),
        (Some(" k"), "a blank at its beginning or end"),
        (Some("a\nb"), "a line break"),
    ] {
        let client = Keyed::default().client();
        let client = match key {
            Some(key) => client.extra("key", key),
            None => client,
        };
        let source = client.build().unwrap();
        for _ in 0..2 {
            let error = source.token().await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Setup, "{error}");
            assert!(error.message.contains(told), "{error}");
            assert!(source.reserve(1).await.is_err());
        }
    }
}

#[tokio::test]
async fn a_part_that_cannot_be_had_is_named() {
    let client = Keyed::default().client();
    let source = client.extra_from("key", SecretFile::new("/nowhere/key"));
    let error = source.build().unwrap().token().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Secret);
    assert!(
        error
            .message
            .contains("extra.key: the secret file /nowhere/key"),
        "{error}"
    );
}

#[tokio::test]
async fn a_login_with_a_colon_is_named_where_http_basic_cannot_carry_it() {
    let text = DIALECT.replace(
        "request.body = '{\"login\": \"{login}\", \"password\": \"{secret}\"}'",
        "request.empty = true\nrequest.basic = { user = \"{login}\", password = \"{secret}\" }",
    );
    let dialect = Dialect::compile(&text, "keyed").unwrap();
    let source = TokenSource::builder(Arc::new(dialect), "http://127.0.0.1:9")
        .login("a:b")
        .secret(countersign_client::Secret::from("s"))
        .transport(Keyed::default());
    let error = source.build().unwrap().token().await.unwrap_err();
    assert!(
        error
            .message
            .contains("login is not allowed in the user of HTTP Basic"),
        "{error}"
    );
}

#[tokio::test]
async fn tokens_are_asked_for_at_their_own_url() {
    let vendor = Keyed::default();
    let client = vendor.client().extra("key", "k");
    let source = client.auth_url("https://id.example/v2").build().unwrap();
    source.token().await.unwrap();
    let asked = vendor.0.lock().unwrap()[0].uri().to_string();
    assert_eq!(asked, "https://id.example/v2/login");
    let plain = vendor.client().auth_url("http://id.example");
    let refused = plain.build().unwrap_err();
    assert!(refused.message.contains("http://id.example"), "{refused}");
    let wanted = vendor.client().auth_url("http://id.example");
    assert!(wanted.danger_plain_http().build().is_ok());
}

#[tokio::test]
async fn the_end_is_told_as_the_vendor_told_it() {
    let store = countersign_client::MemoryStore::new();
    let client = Keyed::default().client().extra("key", "k");
    let source = client.store(store.clone()).build().unwrap();
    let token = source.token().await.unwrap();
    let told = START + Duration::from_secs(600);
    assert_eq!(token.stated_expires_at(), told);
    assert!(
        token.expires_at() < told,
        "it is not used until its very end"
    );
    let status = source.status().await.unwrap();
    let tokens = status.tokens.unwrap();
    assert_eq!(
        (tokens.stated_expires_at, tokens.expires_at),
        (told, token.expires_at())
    );
    let tokens = store.read().await.unwrap().unwrap().tokens.unwrap();
    assert_eq!(tokens.stated_expires_at, Some(told));
}

#[tokio::test]
async fn parts_that_came_with_the_tokens_go_with_their_refresh_and_logout() {
    let dialect = DIALECT
        .replace(
            r#"refresh = "none", login = "keeps""#,
            r#"logout = "session""#,
        )
        .replace(
            "reply.body = '{",
            "reply.headers = { X-Key = \"{extra.key}\" }\nreply.body = '{",
        );
    let further = r#"
        [[refresh]]
        path = "/refresh"
        request.headers = { Authorization = "Bearer {access_token}", X-Key = "{extra.key}" }
        request.empty = true
        reply.body = '{"token": "{access_token}", "end": "{access_expires_at:rfc3339}"}'
        [[logout]]
        path = "/logout"
        request.headers = { Authorization = "Bearer {access_token}", X-Key = "{extra.key}" }
        request.empty = true
        reply.status = 200
    "#;
    let dialect = Arc::new(Dialect::compile(&(dialect + further), "keyed").unwrap());
    let variant = dialect.variants().next().unwrap();
    assert_eq!(dialect.presented_extra(variant), [("key", true)]);
    let vendor = Keyed::default();
    let clock = Arc::new(ManualClock::at(START));
    let source = TokenSource::builder(dialect, "http://127.0.0.1:9")
        .login("shop")
        .secret(countersign_client::Secret::from("s"))
        .clock(clock.clone())
        .transport(vendor.clone())
        .build()
        .unwrap();
    assert_eq!(presented(&source).await["x-key"], "from the vendor");
    let tokens = source.token().await.unwrap();
    clock.advance(tokens.expires_at().since(START) - Duration::from_secs(1));
    source.reserve(1).await.unwrap();
    source.logout().await.unwrap();
    let asked = vendor.0.lock().unwrap();
    let asked = asked.iter().skip(1).map(|request| {
        let key = request
            .headers()
            .get("x-key")
            .and_then(|it| it.to_str().ok());
        (request.uri().path(), key)
    });
    let key = Some("from the vendor");
    let asked: Vec<_> = asked.collect();
    assert_eq!(asked.last(), Some(&("/logout", key)), "{asked:?}");
    assert!(asked.contains(&("/refresh", key)), "{asked:?}");
}
