//! The command line as scripts and people use it: words in; text, JSON and an
//! exit code out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod dialects;
mod finding;
mod line;
mod once;
mod operating;
mod operator;
mod run;
mod server;
mod warned;
