//! A vendor whose refresh takes the access token, as long as that lives.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use countersign_client::{BoxFuture, ManualClock, TokenSource, Transport, TransportError};
use countersign_dialect::{Dialect, Secret};
use countersign_domain::Timestamp;
use http::{Request, Response};

const DIALECT: &str = r#"
schema = 1
name = "presenting"
serves = ["client"]

[session]
refresh = "rotate"
login = "keeps"

[[login]]
path = "/login"
request.body = '{"login": "{login}", "password": "{secret}"}'
reply.body = '{"token": "{access_token}", "ttl": "{access_expires_at:in}"}'

[[refresh]]
path = "/refresh"
request.empty = true
request.headers = { Authorization = "Bearer {access_token}" }
reply.body = '{"token": "{access_token}", "ttl": "{access_expires_at:in}"}'

[guard]
present = [{ header = "Authorization", value = "Bearer {access_token}" }]

[errors]
body = '{"message": "{detail}"}'

[refusals]
bad_login = { detail = "No" }
"#;

/// Gives a numbered token for ten minutes, and remembers what it was asked.
#[derive(Clone, Default)]
struct Vendor(Arc<Mutex<Vec<String>>>);

impl Transport for Vendor {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let mut asked = self.0.lock().unwrap();
        let presented = request.headers().get("authorization");
        let presented = presented.map_or("", |it| it.to_str().unwrap());
        asked.push(format!("{} {presented}", request.uri().path()));
        let body = format!(r#"{{"token": "t{}", "ttl": 600}}"#, asked.len());
        Box::pin(async move { Ok(Response::new(body.into())) })
    }
}

#[tokio::test]
async fn the_access_token_is_presented_for_the_next_one_and_a_dead_one_is_not() {
    let vendor = Vendor::default();
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
    let dialect = Dialect::compile(DIALECT, "presenting").unwrap();
    let tokens = TokenSource::builder(Arc::new(dialect), "http://127.0.0.1:9")
        .login("partner")
        .secret(Secret::from("secret"))
        .transport(vendor.clone())
        .clock(clock.clone())
        .build()
        .unwrap();
    assert_eq!(tokens.token().await.unwrap().expose(), "t1");
    clock.advance(Duration::from_secs(590));
    while tokens.token().await.unwrap().expose() == "t1" {
        tokio::task::yield_now().await;
    }
    assert_eq!(tokens.token().await.unwrap().expose(), "t2");
    clock.advance(Duration::from_secs(1200));
    assert_eq!(tokens.token().await.unwrap().expose(), "t3");
    let asked = vendor.0.lock().unwrap().clone();
    assert_eq!(asked, ["/login ", "/refresh Bearer t1", "/login "]);
}
