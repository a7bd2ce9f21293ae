//! The pepper of an api: the key under which generated secrets are stored.

use aws_lc_rs::{constant_time, hmac};

/// Hashes generated keys for the store and compares them.
///
/// A stolen database without the pepper cannot even confirm a guess.
pub struct Pepper(hmac::Key);

impl Pepper {
    /// The pepper with these 32 secret bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// What is stored of a generated key: HMAC-SHA256.
    pub fn hash(&self, secret: &str) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&self.0, secret.as_bytes()).as_ref());
        hash
    }

    /// Whether `stored` is the hash of `secret`, in constant time.
    pub fn matches(&self, secret: &str, stored: &[u8; 32]) -> bool {
        constant_time::verify_slices_are_equal(&self.hash(secret), stored).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_matches_only_its_own_hash_under_its_own_pepper() {
        let pepper = Pepper::new(&[1; 32]);
        let stored = pepper.hash("key");
        assert!(pepper.matches("key", &stored));
        assert!(!pepper.matches("Key", &stored));
        assert!(!pepper.matches("", &stored));
        assert!(!Pepper::new(&[2; 32]).matches("key", &stored));
    }
}
