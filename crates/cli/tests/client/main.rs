//! The integrator's commands, against the sandbox: words in; text, JSON and an
//! exit code out, and never a secret.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod answers;
mod doctor;
mod exec;
mod line;
mod login;
mod logout;
mod mending;
mod prompt;
mod proxied;
mod request;
#[path = "../commands/run.rs"]
mod run;
mod stage;
mod status;
#[path = "../support/mod.rs"]
mod support;
mod token;
mod trouble;
