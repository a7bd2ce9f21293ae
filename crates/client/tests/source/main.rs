//! The source of tokens against a vendor that is played in memory.

mod budget;
mod crashes;
mod keeping;
mod logging_out;
mod refusals;
mod secrets;
mod sharing;
mod stores;
mod vendor;
