//! The signature of a reply: an HMAC over some of its fields, keyed by what
//! only the vendor and the partner know (B2BINPAY's `meta.sign`).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::pattern::Pattern;
use crate::word::Values;

/// How a reply is signed, HMAC-SHA256 (RFC 2104).
#[derive(Debug)]
pub(crate) struct Signature {
    pub(crate) key: Pattern,
    /// Whether the key is the raw SHA-256 of the text, and not the text.
    pub(crate) key_is_hashed: bool,
    /// What is signed: the holes as they stand on the wire.
    pub(crate) message: Pattern,
    pub(crate) encoding: Encoding,
}

/// How the signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Lower-case hex.
    Hex,
    /// Base64 with padding.
    Base64,
}

impl Signature {
    /// The signature over these values; `None` if one is not at hand.
    pub(crate) fn over(&self, values: &dyn Values) -> Option<String> {
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
            Encoding::Hex => hex::encode(tag),
            Encoding::Base64 => STANDARD.encode(tag),
        })
    }

    /// Whether `found` signs these values.
    pub(crate) fn is_over(&self, values: &dyn Values, found: &str) -> bool {
        let found = match self.encoding {
            Encoding::Hex => found.to_ascii_lowercase(),
            Encoding::Base64 => found.to_owned(),
        };
        self.over(values).is_some_and(|right| {
            verify_slices_are_equal(right.as_bytes(), found.as_bytes()).is_ok()
        })
    }
}

fn sign(key: &[u8], message: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes())
}
