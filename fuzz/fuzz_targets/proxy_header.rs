//! A header of the PROXY protocol is read to its end and no further.
#![no_main]

use countersign_transport::fuzzing::proxy_header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((client, rest)) = proxy_header(bytes) else {
        return;
    };
    let end = bytes.len() - rest;
    assert_eq!(proxy_header(&bytes[..end]), Some((client, 0)));
    assert_eq!(proxy_header(&bytes[..end - 1]), None);
});
