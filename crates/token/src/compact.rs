//! The JWS compact serialisation (RFC 7515 section 7.1), read strictly: exactly
//! two dots, canonical base64url, no padding, no white space, 8 KiB at most.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The longest token of this form that is looked at, in bytes.
const MAX_TOKEN: usize = 8 * 1024;

/// The three parts of a compact JWS, still encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CompactJws<'a> {
    /// The encoded header.
    pub(crate) header: &'a str,
    /// The encoded claims.
    pub(crate) claims: &'a str,
    /// The encoded signature.
    pub(crate) signature: &'a str,
    /// Header, dot and claims: what is signed.
    pub(crate) signed: &'a str,
}

impl<'a> CompactJws<'a> {
    /// Splits a token; `None` if it does not have the form.
    pub(crate) fn split(token: &'a str) -> Option<Self> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        // RFC 7515 section 7.1: two dots; section 2: base64url "with all trailing '='
        // characters omitted [...] and without the inclusion of any line breaks, whitespace,
        // or other additional characters."
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let whole = !header.is_empty() && !signature.is_empty() && !claims.contains('.');
        whole.then_some(Self {
            header,
            claims,
            signature,
            signed,
        })
    }
}

/// Base64url without padding.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes base64url; `None` for padding, white space, another alphabet and for
/// trailing bits that are not zero, so that a token has one spelling only.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_parts_and_nothing_else() {
        let compact = CompactJws::split("aa.bb.cc").unwrap();
        assert_eq!(
            (compact.header, compact.claims, compact.signature),
            ("aa", "bb", "cc")
        );
        assert_eq!(compact.signed, "aa.bb");
        for odd in [
            "",
            ".",
            "..",
            "aa",
            "aa.bb",
            "aa.bb.",
            ".bb.cc",
            "aa.bb.cc.dd",
            "a.b.c.d.e",
        ] {
            assert_eq!(CompactJws::split(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_token_of_more_than_8_kib_is_not_looked_at() {
        let fits = format!("aa.{}.cc", "b".repeat(8_192 - 6));
        assert!(CompactJws::split(&fits).is_some());
        assert_eq!(CompactJws::split(&format!("{fits}c")), None);
    }

    #[test]
    fn a_part_has_one_spelling_only() {
        assert_eq!(decode("_-8").as_deref(), Some(&[0xff, 0xef][..]));
        for odd in ["_-9", "_-8=", "/+8", "_-8\n", " _-8", "_", "é"] {
            assert_eq!(decode(odd), None, "{odd:?}");
        }
    }
}
