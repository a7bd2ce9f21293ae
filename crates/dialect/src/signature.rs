//! The signature of a reply: an HMAC over some of its fields, with a key that only the
//! vendor and the partner know (B2BINPAY's `meta.sign`).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::hole_word::HoleValues;
use crate::pattern::TextPattern;

/// How a reply is signed, HMAC-SHA256 (RFC 2104).
#[derive(Debug)]
pub(crate) struct ReplySignature {
    pub(crate) key: TextPattern,
    /// Whether the key is the raw SHA-256 of the text instead of the text.
    pub(crate) key_is_hashed: bool,
    /// What is signed: the texts of the holes as they are in the message.
    pub(crate) message: TextPattern,
    pub(crate) encoding: SignatureEncoding,
}

/// How the signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureEncoding {
    /// Lower-case hex.
    Hex,
    /// Base64 with padding.
    Base64,
}

impl ReplySignature {
    /// The signature over these values; `None` if one of them is missing.
    pub(crate) fn over(&self, values: &dyn HoleValues) -> Option<String> {
        let key = Zeroizing::new(self.key.join(values)?);
        let message = Zeroizing::new(self.message.join(values)?);
        let tag = match self.key_is_hashed {
            true => sign(
                digest::digest(&digest::SHA256, key.as_bytes()).as_ref(),
                &message,
            ),
            false => sign(key.as_bytes(), &message),
        };
        Some(match self.encoding {
            SignatureEncoding::Hex => hex::encode(tag),
            SignatureEncoding::Base64 => STANDARD.encode(tag),
        })
    }

    /// Whether `found` is the signature of these values.
    pub(crate) fn is_over(&self, values: &dyn HoleValues, found: &str) -> bool {
        let found = match self.encoding {
            SignatureEncoding::Hex => found.to_ascii_lowercase(),
            SignatureEncoding::Base64 => found.to_owned(),
        };
        self.over(values).is_some_and(|right| {
            verify_slices_are_equal(right.as_bytes(), found.as_bytes()).is_ok()
        })
    }
}

fn sign(key: &[u8], message: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes())
}
