//! Each dialect that we ship reads a request and a reply as issuer and as client, or
//! says what is wrong with them. The input is a file of recorded exchanges.
#![no_main]

use std::sync::LazyLock;

use countersign_dialect::{Dialect, examples};
use libfuzzer_sys::fuzz_target;

static DIALECTS: LazyLock<Vec<Dialect>> = LazyLock::new(|| {
    let shipped = Dialect::SHIPPED.iter();
    let compiled = shipped.map(|(name, source)| Dialect::compile(source, name));
    compiled.collect::<Result<_, _>>().expect("sound files")
});

fuzz_target!(|text: &str| {
    for dialect in DIALECTS.iter() {
        let _ = examples::check(dialect, text, "exchange.http");
    }
});
