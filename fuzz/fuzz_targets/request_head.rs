//! A request head and its body read the same however they are cut into pieces.
#![no_main]

use countersign_transport::{ListenerLimits, fuzzing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = ListenerLimits {
        max_header_bytes: 1024,
        max_headers: 8,
        max_uri_bytes: 256,
        ..ListenerLimits::default()
    };
    let whole = fuzzing::frame(bytes, bytes.len().max(1), &limits);
    for piece in [1, 7, 64] {
        let pieces = fuzzing::frame(bytes, piece, &limits);
        // A head that is too large is refused while it comes.
        if whole
            .as_ref()
            .is_some_and(|it| it.head < limits.max_header_bytes)
        {
            assert_eq!(pieces, whole, "in pieces of {piece}");
        }
    }
    if let Some(framed) = whole {
        assert!(framed.head <= limits.max_header_bytes);
        assert!(framed.head <= framed.body.start && framed.body.end <= bytes.len());
    }
});
