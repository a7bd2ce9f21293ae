//! A call of a guarded API through a reqwest client, with a fresh token:
//!
//! ```sh
//! countersign sandbox mypopup   # prints the address, a login and its secret
//! API_SECRET=… cargo run --features reqwest --example with_reqwest -- \
//!     http://127.0.0.1:8080 LOGIN /api/v1/orders
//! ```

use countersign_client::{BearerMiddleware, SecretEnv, TokenSource};
use reqwest_middleware::ClientBuilder;

type Failure = Box<dyn std::error::Error>;

/// Each request of `client` gets a token; one whose token is refused is made once more.
pub async fn call(tokens: TokenSource, url: &str) -> Result<String, Failure> {
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(BearerMiddleware::new(tokens))
        .build();
    let answer = client.get(url).send().await?.error_for_status()?;
    Ok(answer.text().await?)
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
