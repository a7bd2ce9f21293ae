//! A dialect file is compiled, or its mistakes are told where they are; a compiled one
//! understands or refuses whatever is recorded of another vendor.
#![no_main]

use countersign_dialect::{Dialect, examples};
use libfuzzer_sys::fuzz_target;

const FOREIGN: &str = include_str!("../../dialects/b2binpay/examples/login.http");

fuzz_target!(|source: &str| {
    match Dialect::compile(source, "dialect.toml") {
        Ok(dialect) => {
            let _ = examples::check(&dialect, FOREIGN, "login.http");
            if let Ok(played) = dialect.playable() {
                let _ = format!("{played:?}").len();
            }
        }
        Err(mistakes) => {
            assert!(!mistakes.0.is_empty());
            let lines = source.split('\n').count();
            for mistake in &mistakes.0 {
                assert!(mistake.line <= lines, "{mistake:?}");
            }
            assert!(!mistakes.to_string().is_empty());
        }
    }
});
