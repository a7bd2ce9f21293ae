//! A call of a guarded API through a tower service, with a fresh token:
//!
//! ```sh
//! countersign sandbox mypopup   # prints the address, a login and its secret
//! API_SECRET=… cargo run --example with_tower -- http://127.0.0.1:8080 LOGIN /api/v1/orders
//! ```

use bytes::Bytes;
use countersign_client::{BearerLayer, SecretEnv, TokenSource};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{Layer, ServiceExt};

type Failure = Box<dyn std::error::Error>;

/// Each request of `api` gets a token; one whose token is refused is made once more.
pub async fn call(tokens: TokenSource, url: &str) -> Result<String, Failure> {
    let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let api = BearerLayer::new(tokens).layer(http);
    let answer = api
        .oneshot(Request::get(url).body(Full::default())?)
        .await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    if status.is_success() {
        Ok(text)
    } else {
        Err(format!("{status}: {text}").into())
    }
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "it is what the example is for")]
async fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [url, login, path] = &words[..] else {
        return Err("write URL LOGIN PATH".into());
    };
    let tokens = TokenSource::shipped("mypopup", url)?
        .login(login)
        .secret(SecretEnv::new("API_SECRET"))
        .build()?;
    println!("{}", call(tokens, &format!("{url}{path}")).await?);
    Ok(())
}
