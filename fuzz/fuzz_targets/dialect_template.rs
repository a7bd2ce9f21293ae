//! Our JSON is that of everybody else, and what a template writes it reads back. The
//! input is a template, a line of `---`, and a body.
#![no_main]

use countersign_dialect::fuzzing::{self, JsonVerdict};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (template, body) = text.split_once("\n---\n").unwrap_or((text, text));
    compare(body);
    if let Some((written, same)) = fuzzing::template(template, body.as_bytes()) {
        assert!(same, "{template}\nreads {body}\nand writes {written}");
    }
});

fn compare(body: &str) {
    let theirs = serde_json::from_str::<serde_json::Value>(body);
    let out_of_range = |error: &serde_json::Error| {
        let error = error.to_string();
        error.contains("out of range") || error.contains("recursion limit")
    };
    match fuzzing::json(body.as_bytes()) {
        JsonVerdict::TooDeep => {}
        JsonVerdict::Read => assert!(theirs.as_ref().err().is_none_or(out_of_range), "{theirs:?}"),
        JsonVerdict::Refused => assert!(theirs.is_err(), "{theirs:?}"),
    }
}
