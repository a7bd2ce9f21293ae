//! The client against the sandbox, by the public interfaces of both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod faults;
mod lifetimes;
mod world;
