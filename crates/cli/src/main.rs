//! Runs: the one binary.

mod config;
mod serve;

fn main() {}
