//! Runs: the one binary.
fn main() {}
