//! A vendor whose tokens live on with each use, for half an hour.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use countersign_client::{
    BoxFuture, ManualClock, MemoryStore, TokenEventKind, TokenSource, TokenSourceBuilder,
    Transport, TransportError,
};
use countersign_dialect::{Dialect, Secret};
use countersign_domain::Timestamp;
use http::{Request, Response};

const MINUTE: Duration = Duration::from_secs(60);

const DIALECT: &str = r#"
schema = 1
name = "sliding"
serves = ["client"]

[expiry]
sliding = "30m"

[session]
refresh = "none"
login = "keeps"

[[login]]
path = "/login"
request.body = '{"login": "{login}", "password": "{secret}"}'
reply.body = '{"token": "{access_token}"}'

[guard]
present = [{ header = "X-Auth-Token", value = "{access_token}" }]

[errors]
body = '{"message": "{detail}"}'

[refusals]
bad_bearer = { detail = "No" }
"#;

/// Gives another token to each login.
#[derive(Clone, Default)]
struct Vendor(Arc<AtomicU32>);

impl Vendor {
    fn logins(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Transport for Vendor {
    fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let login = self.0.fetch_add(1, Ordering::SeqCst);
        let body = format!(r#"{{"token": "token {login}"}}"#);
        Box::pin(async move { Ok(Response::new(body.into())) })
    }
}

fn source(vendor: &Vendor, clock: &Arc<ManualClock>) -> TokenSource {
    client(vendor, clock).build().unwrap()
}

fn client(vendor: &Vendor, clock: &Arc<ManualClock>) -> TokenSourceBuilder {
    let dialect = Dialect::compile(DIALECT, "sliding").unwrap();
    TokenSource::builder(Arc::new(dialect), "http://127.0.0.1:9")
        .login("partner")
        .secret(Secret::from("secret"))
        .transport(vendor.clone())
        .clock(clock.clone())
}

#[tokio::test]
async fn a_token_that_is_used_is_kept_and_one_that_was_not_is_replaced_in_time() {
    let (vendor, start) = (Vendor::default(), Timestamp::from_seconds(1_800_000_000));
    let clock = Arc::new(ManualClock::at(start));
    let tokens = source(&vendor, &clock);
    for _ in 0..100 {
        let token = tokens.token().await.unwrap();
        assert_eq!(token.expose(), "token 0");
        clock.advance(20 * MINUTE);
    }
    assert_eq!(vendor.logins(), 1);
    // Requests travel: the very last moment is not used.
    clock.advance(10 * MINUTE - Duration::from_secs(3));
    assert_eq!(tokens.token().await.unwrap().expose(), "token 1");
}

#[tokio::test]
async fn the_use_of_a_token_does_not_prolong_the_life_of_its_successor() {
    let (vendor, start) = (Vendor::default(), Timestamp::from_seconds(1_800_000_000));
    let clock = Arc::new(ManualClock::at(start));
    let (store, adopted) = (MemoryStore::new(), Arc::new(AtomicU32::new(0)));
    let adoptions = adopted.clone();
    let first = client(&vendor, &clock)
        .store(store.clone())
        .on_event(move |change| {
            let is_one = matches!(change.kind, TokenEventKind::Adopted { .. });
            adoptions.fetch_add(u32::from(is_one), Ordering::SeqCst);
        })
        .build()
        .unwrap();
    first.token().await.unwrap();
    clock.advance(10 * MINUTE);
    let other = client(&vendor, &clock).store(store).build().unwrap();
    assert_eq!(other.login().await.unwrap().expose(), "token 1");
    clock.advance(15 * MINUTE);
    assert_eq!(first.token().await.unwrap().expose(), "token 0");
    // By now the first one looks into the store, and finds what nobody uses.
    clock.advance(4 * MINUTE);
    while adopted.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    clock.advance(16 * MINUTE);
    assert_eq!(first.token().await.unwrap().expose(), "token 2");
}
