//! JSON (RFC 8259), read strictly and with places.
//!
//! Own, because the engine needs four things that the usual parsers do not
//! give together: the byte range of each value (to cut a member out, and to
//! point into a template), the order of members, the literal text of numbers,
//! and a refusal of duplicate members. The depth is bounded; a byte order mark
//! is refused (RFC 8259 section 8.1: "Implementations MUST NOT add a byte order mark
//! (U+FEFF) to the beginning of a networked-transmitted JSON text").

mod parser;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

pub(crate) use parser::parse;

/// A value and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonNode<'a> {
    pub(crate) span: Range<usize>,
    pub(crate) value: Json<'a>,
}

/// A value. Numbers keep their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Number(Cow<'a, str>),
    Text(Cow<'a, str>),
    Array(Vec<JsonNode<'a>>),
    Object(Vec<JsonMember<'a>>),
}

/// A member of an object; `start` is where its name begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonMember<'a> {
    pub(crate) start: usize,
    pub(crate) key: Cow<'a, str>,
    pub(crate) node: JsonNode<'a>,
}

/// Why a text is not acceptable JSON, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonFault {
    pub(crate) offset: usize,
    pub(crate) what: &'static str,
}

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.offset)
    }
}

/// How strictly a text is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonRules {
    /// The deepest nesting that is allowed.
    pub(crate) depth: usize,
    /// Whether an object may have two members of one name.
    pub(crate) duplicates: bool,
}

impl JsonRules {
    /// For the token endpoints, whose bodies the dialect defines.
    pub(crate) const STRICT: Self = Self {
        depth: 32,
        duplicates: false,
    };
    /// For bodies of the guarded API, of which only one member concerns us.
    pub(crate) const FOREIGN: Self = Self {
        depth: 128,
        duplicates: true,
    };
}

impl<'a> JsonNode<'a> {
    /// The member of an object, or `None`.
    pub(crate) fn member(&self, key: &str) -> Option<&JsonNode<'a>> {
        match &self.value {
            Json::Object(members) => members
                .iter()
                .find(|member| member.key == key)
                .map(|member| &member.node),
            _ => None,
        }
    }

    /// The value at a JSON pointer (RFC 6901).
    pub(crate) fn at(&self, pointer: &str) -> Option<&JsonNode<'a>> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer
            .strip_prefix('/')?
            .split('/')
            .try_fold(self, |node, token| {
                let token = token.replace("~1", "/").replace("~0", "~");
                match &node.value {
                    Json::Array(items) => items.get(token.parse::<usize>().ok()?),
                    _ => node.member(&token),
                }
            })
    }

    /// Whether two values are the same, whatever the order of members.
    pub(crate) fn same(&self, other: &JsonNode<'_>) -> bool {
        match (&self.value, &other.value) {
            (Json::Null, Json::Null) => true,
            (Json::Bool(a), Json::Bool(b)) => a == b,
            (Json::Number(a), Json::Number(b)) | (Json::Text(a), Json::Text(b)) => a == b,
            (Json::Array(a), Json::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Json::Object(a), Json::Object(b)) => {
                let in_other =
                    |m: &JsonMember<'_>| other.member(&m.key).is_some_and(|n| m.node.same(n));
                a.len() == b.len() && a.iter().all(in_other)
            }
            _ => false,
        }
    }
}

/// Appends `text` as the inside of a JSON string.
// RFC 8259 section 7: "All Unicode characters may be placed within the quotation marks, except
// for the characters that MUST be escaped: quotation mark, reverse solidus, and the control
// characters (U+0000 through U+001F)."
pub(crate) fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(text: &str) -> String {
        parse(text.as_bytes(), JsonRules::STRICT)
            .err()
            .map_or_else(String::new, |f| f.to_string())
    }

    #[test]
    fn what_is_not_json_is_refused_where_it_breaks() {
        for (text, told) in [
            ("", "ends where a value is needed at byte 0"),
            ("{\"a\":1,}", "a member name is needed at byte 7"),
            ("[1,]", "no JSON value at byte 3"),
            ("[1 2]", "`,` or `]` is needed at byte 3"),
            ("01", "something after the value at byte 1"),
            ("1.", "a digit is needed at byte 2"),
            ("\"\\x\"", "no such escape at byte 2"),
            ("\"\\ud800\"", "a lone surrogate at byte 7"),
            ("\"\\udc00\"", "a lone surrogate at byte 7"),
            ("\"\\ud800\\u0041\"", "a lone surrogate at byte 13"),
            ("\"a\nb\"", "a control character in a string at byte 2"),
            ("\"a", "an unterminated string at byte 2"),
            ("nul", "no JSON value at byte 0"),
            ("{} {}", "something after the value at byte 3"),
            ("\u{feff}{}", "no JSON value at byte 0"),
            (
                "{\"a\":1,\"b\":2,\"\\u0061\":3}",
                "a member twice in the object at byte 0",
            ),
        ] {
            assert_eq!(fault(text), told, "{text:?}");
        }
        assert_eq!(
            parse(b"\"\xff\"", JsonRules::STRICT).unwrap_err().what,
            "not UTF-8"
        );
    }

    #[test]
    fn depth_is_bounded_however_long_the_text() {
        assert_eq!(fault(&"[".repeat(1 << 20)), "nested too deeply at byte 32");
        assert_eq!(fault(&format!("{}{}", "[".repeat(32), "]".repeat(32))), "");
    }

    #[test]
    fn a_pointer_leads_to_its_value() {
        let node = parse(br#"{"a":[{"b/c":1,"~":2}]}"#, JsonRules::STRICT).unwrap();
        assert_eq!(
            node.at("/a/0/b~1c").map(|node| node.span.clone()),
            Some(13..14)
        );
        assert!(node.at("/a/0/~0").is_some());
        assert_eq!(node.at("/a/1"), None);
        assert_eq!(node.at("a"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn it_agrees_with_serde_json_about_any_text(text in "[\\[\\]{}:,\"0-9eE.+\\-a-c\\\\untrfls ]{0,24}") {
            let ours = parse(text.as_bytes(), JsonRules { depth: 32, duplicates: true });
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            // serde_json refuses numbers beyond f64; the text of ours is kept.
            let range = theirs.as_ref().is_err_and(|e| e.to_string().contains("out of range"));
            prop_assert!(ours.is_ok() == theirs.is_ok() || range, "{text:?} {ours:?} {theirs:?}");
        }

        #[test]
        fn any_string_is_escaped_and_read_back(text in ".{0,40}") {
            let mut json = String::from("\"");
            escape(&text, &mut json);
            json.push('"');
            let node = parse(json.as_bytes(), JsonRules::STRICT).unwrap();
            prop_assert_eq!(&node.value, &Json::Text(text.as_str().into()));
            let theirs: String = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(theirs, text);
        }
    }
}
