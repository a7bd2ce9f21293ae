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
#[allow(unreachable_pub, reason = "the tests of the guard share it")]
#[path = "../../../gateway/tests/guard/lighttpd.rs"]
mod lighttpd;
mod retries;
mod streaming;
mod vendor;
mod world;
