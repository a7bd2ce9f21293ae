//! JSON log lines that every reader takes for one line. serde escapes control characters below
//! the space, and leaves the other characters that end lines or reorder text, which can arrive in
//! logins. They are escaped here, as in text logs.

use std::fmt::Write as _;
use std::io::{self, Write};

/// Takes lines of JSON, each whole.
pub(super) struct JsonLines<W>(pub(super) W);

impl<W: Write> Write for JsonLines<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let written = match std::str::from_utf8(line) {
            Ok(text) if !text.bytes().all(is_plain) => self.0.write_all(escaped(text).as_bytes()),
            _ => self.0.write_all(line),
        };
        written.map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii() && byte != b'\x7f'
}

/// Outside of ASCII there are characters in strings only, so all may be escaped
/// (RFC 8259 section 7).
fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        let shown = matches!(character, '\0'..='\x7e') || character.escape_debug().len() == 1;
        if shown {
            line.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // A `String` takes all.
            let _ = write!(line, "\\u{unit:04x}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_ends_a_line_or_turns_text_around_is_escaped() {
        let odd =
            "a\u{85}b\u{2028}c\u{2029}\u{202e}d\u{9b}31m\u{7f}\u{feff}\u{e0001} é 😀 \"\\\r\n";
        let mut out = Vec::new();
        let line = json!({ "login": odd }).to_string();
        writeln!(JsonLines(&mut out), "{line}").unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(
            out,
            "{\"login\":\"a\\u0085b\\u2028c\\u2029\\u202ed\\u009b31m\\u007f\\ufeff\\udb40\\udc01 é 😀 \
             \\\"\\\\\\r\\n\"}\n"
        );
        let read: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(read["login"], odd);
    }
}
