//! A client on raw sockets, and what the sandbox does to it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod client;
mod clock;
mod control;
mod dialects;
mod faults;
mod pairs;

use std::time::Duration;

use countersign_sandbox::{Sandbox, SandboxSetup};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// A vendor whose clock stands still.
async fn still(dialect: &str) -> Sandbox {
    start(Sandbox::shipped(dialect).still()).await
}

async fn start(setup: SandboxSetup) -> Sandbox {
    setup.start().await.unwrap()
}
