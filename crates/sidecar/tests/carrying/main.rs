//! A sidecar as programs meet it: over real sockets, with the sandbox as vendor.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic, helpers included"
)]

mod absence;
mod entrance;
mod expiry;
mod fields;
mod lengths;
mod retries;
mod streaming;
mod vendor;
mod world;
