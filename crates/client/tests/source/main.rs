//! The source of tokens against a vendor that is played in memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod budget;
mod crashes;
mod keeping;
mod layers;
mod logging_out;
mod measuring;
mod parts;
mod refusals;
mod resending;
mod secrets;
mod sharing;
mod stores;
mod vendor;
