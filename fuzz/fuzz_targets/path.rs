//! A path that is let pass has no segment that some server reads as another path, and
//! is the same path in every spelling.
#![no_main]

use countersign_domain::JudgedPath;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|path: &str| {
    let Ok(judged) = JudgedPath::judge(path) else {
        return;
    };
    let (last, before) = judged.segments().split_last().expect("one at least");
    assert!(before.iter().all(|it| !it.is_empty()), "{path}");
    for segment in before.iter().chain([last]) {
        assert!(!matches!(&**segment, "." | ".."), "{path}");
        let divides = |it: char| it.is_control() || r"/\;?#".contains(it);
        assert!(!segment.contains(divides), "{path}");
    }
    let escaped = judged
        .segments()
        .iter()
        .map(|it| format!("/{}", escaped(it)));
    let escaped: String = escaped.collect();
    assert_eq!(JudgedPath::judge(&escaped), Ok(judged), "{escaped}");
});

/// Each byte escaped that can be.
fn escaped(segment: &str) -> String {
    let byte = |byte: u8| match byte {
        b'.' => ".".to_owned(),
        byte => format!("%{byte:02X}"),
    };
    segment.bytes().map(byte).collect()
}
