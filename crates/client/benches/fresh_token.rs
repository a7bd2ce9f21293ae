//! What `token()` costs while the token is fresh: nanoseconds, and allocations.
//! The bar is 100 ns and none.

use std::alloc::System;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use countersign_client::{BoxFuture, TokenSource, Transport, TransportError};
use countersign_dialect::{Dialect, Secret};
use http::{Request, Response};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

type Failure = Box<dyn std::error::Error>;

const ROUNDS: usize = 21;
const CALLS: u32 = 1_000_000;

/// Answers every login.
struct Vendor;

impl Transport for Vendor {
    fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let body = r#"{"success": true, "data": {"access_token": "a", "refresh_token": "r",
            "access_expires_at": "2999-01-01T00:00:00Z", "refresh_expires_at": "2999-01-02T00:00:00Z",
            "client_id": 1}}"#;
        Box::pin(std::future::ready(Ok(Response::new(body.into()))))
    }
}

fn source(budget: Option<u32>) -> Result<TokenSource, Failure> {
    let text = Dialect::shipped("mypopup").ok_or("no such dialect")?;
    let dialect = Arc::new(Dialect::compile(text, "mypopup")?);
    Ok(TokenSource::builder(dialect, "http://127.0.0.1:9")
        .login("shop")
        .secret(Secret::from("secret"))
        .transport(Vendor)
        .budget(budget)
        .build()?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    measure("no budget", &source(None)?).await?;
    measure("a budget", &source(Some(u32::MAX))?).await
}

async fn measure(name: &str, source: &TokenSource) -> Result<(), Failure> {
    source.token().await?;
    let mut rounds = Vec::with_capacity(ROUNDS);
    let region = Region::new(ALLOCATOR);
    for _ in 0..ROUNDS {
        rounds.push(round(source).await?);
    }
    let allocations = region.change().allocations;
    rounds.sort_unstable();
    let nanos = |round: Duration| round.as_secs_f64() * 1e9 / f64::from(CALLS);
    tell(
        name,
        nanos(rounds[ROUNDS / 2]),
        nanos(rounds[0]),
        allocations,
    );
    Ok(())
}

async fn round(source: &TokenSource) -> Result<Duration, Failure> {
    let begun = Instant::now();
    for _ in 0..CALLS {
        black_box(source.token().await?);
    }
    Ok(begun.elapsed())
}

#[expect(clippy::print_stdout, reason = "it is what the benchmark is for")]
fn tell(name: &str, median: f64, best: f64, allocations: usize) {
    println!(
        "token(), fresh, {name}: {median:.1} ns (best round {best:.1}), {allocations} allocations"
    );
}
