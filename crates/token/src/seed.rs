//! The seed of a session: 256 random bits that stand in its refresh tokens and
//! nowhere else.

use std::fmt;

use aws_lc_rs::{digest, hmac};
use countersign_domain::TokenKind;
use countersign_domain::session::SeedHash;
use zeroize::Zeroizing;

/// The secret that all refresh tokens of a session carry. The store has only
/// its hash.
#[derive(Clone)]
pub struct RefreshSeed(Zeroizing<[u8; 32]>);

impl RefreshSeed {
    /// The seed with these bytes, which the caller drew at random.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// What the store keeps of it: SHA-256. The seed has 256 random bits, so
    /// nothing slower is needed.
    pub fn hash(&self) -> SeedHash {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, self.bytes()).as_ref());
        SeedHash(hash)
    }

    /// The `jti` (RFC 7519 section 4.1.7) of a token of this session: a PRF of
    /// seed, generation and kind, so that a repeated answer repeats it.
    // Section 4.1.7: "The identifier value MUST be assigned in a manner that ensures that there
    // is a negligible probability that the same value will be accidentally assigned to a
    // different data object".
    pub(crate) fn jti(&self, generation: u32, kind: TokenKind) -> [u8; 16] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.bytes());
        let mut context = hmac::Context::with_key(&key);
        context.update(b"countersign/1/jti/");
        context.update(kind.name().as_bytes());
        context.update(&generation.to_be_bytes());
        let mut jti = [0; 16];
        jti.copy_from_slice(&context.sign().as_ref()[..16]);
        jti
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for RefreshSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshSeed(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_and_generation_has_an_id_of_its_own() {
        let seed = RefreshSeed::new([7; 32]);
        let jti = seed.jti(3, TokenKind::Access);
        assert_eq!(jti, seed.jti(3, TokenKind::Access));
        assert_ne!(jti, seed.jti(4, TokenKind::Access));
        assert_ne!(jti, seed.jti(3, TokenKind::Refresh));
        assert_ne!(jti, RefreshSeed::new([8; 32]).jti(3, TokenKind::Access));
    }

    #[test]
    fn a_seed_does_not_print() {
        assert_eq!(
            format!("{:?}", RefreshSeed::new([7; 32])),
            "RefreshSeed(..)"
        );
    }
}
