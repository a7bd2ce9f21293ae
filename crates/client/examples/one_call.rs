//! One call of a guarded API with a fresh token:
//!
//! ```sh
//! countersign sandbox mypopup --manifest sandbox.json
//! API_SECRET=… cargo run --example one_call -- http://127.0.0.1:8080 LOGIN /api/v1/orders
//! ```

use bytes::Bytes;
use countersign_client::{
    HttpTransport, SecretEnv, ServerUrl, TokenSource, Transport, TrustedRoots,
};
use http::Request;

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let mut word = |what: &str| {
        words
            .next()
            .ok_or(format!("write URL LOGIN PATH: no {what}"))
    };
    let (url, login, path) = (word("URL")?, word("LOGIN")?, word("PATH")?);

    let tokens = TokenSource::shipped("mypopup", &url)?
        .login(login)
        .secret(SecretEnv::new("API_SECRET"))
        .build()?;

    let url: ServerUrl = url.parse()?;
    let mut request = Request::get(url.target(&path, None)?).body(Bytes::new())?;
    tokens.token().await?.present(request.headers_mut());
    let http = HttpTransport::new(&url, &TrustedRoots::System)?;
    let answer = http.send(request).await?;
    show(answer.status().as_str(), answer.body());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "it is what the example is for")]
fn show(status: &str, body: &[u8]) {
    println!("{status} {}", String::from_utf8_lossy(body));
}
