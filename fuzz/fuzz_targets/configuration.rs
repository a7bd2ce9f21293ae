//! A configuration file is read, or its mistakes are told where they are. The program
//! is not a library, so its modules are compiled in here.
#![no_main]
#![allow(dead_code, unused_imports, reason = "parts of another program")]

#[path = "../../crates/cli/src/config/mod.rs"]
mod config;
#[path = "../../crates/cli/src/exit.rs"]
mod exit;
#[path = "../../crates/cli/src/output.rs"]
mod output;
#[path = "../../crates/cli/src/table.rs"]
mod table;

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|source: &str| {
    // A folder that is not there: no file that a setting names is read.
    let base = Path::new("/nonexistent");
    if let Err(mistakes) = config::read(source, "countersign.toml", base) {
        assert!(!mistakes.0.is_empty());
        let lines = source.split('\n').count();
        for mistake in &mistakes.0 {
            assert!(mistake.line <= lines, "{mistake:?}");
        }
    }
});
