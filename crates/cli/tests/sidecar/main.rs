//! `countersign sidecar`: the whole binary between real programs and a sandbox.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic, helpers included"
)]

mod changing;
mod mending;
mod presenting;
mod probing;
mod program;
mod starting;
mod stopping;
#[path = "../support/mod.rs"]
mod support;
