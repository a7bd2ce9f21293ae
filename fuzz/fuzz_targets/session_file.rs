//! Whatever lies where a session is kept, it is a session or it is none; and what is
//! written is read back.
#![no_main]

use countersign_client::fuzzing::{open_file, plain, record, sealed_file};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Nobody who has not got the key makes a file that opens.
    assert_eq!(open_file(bytes), None);
    if let Some(sealed) = sealed_file("shop", bytes) {
        assert_eq!(open_file(&sealed).as_deref(), Some(bytes));
        assert_eq!(open_file(&sealed[..sealed.len() - 1]), None);
    }
    if let Some(read) = record(bytes) {
        let written = plain(&read).expect("a record that was read");
        assert_eq!(record(&written), Some(read));
    }
});
