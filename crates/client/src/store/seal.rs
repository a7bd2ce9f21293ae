//! How a record lies in a file: sealed with AES-256-GCM, and bound to whose it
//! is.
//!
//! ```text
//! "CSSN"  version  key     owner   nonce  sealed record
//! 4       1        8       8       12     its length, and a tag of 16
//! ```
//!
//! `key` and `owner` are fingerprints, so that a file of another key or of
//! another owner is told apart from one that was damaged. All that stands before
//! the nonce is authenticated with the record, and so is the owner in full.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use zeroize::Zeroizing;

/// How long a key is, in bytes.
pub(super) const KEY_LEN: usize = 32;

const MAGIC: &[u8; 4] = b"CSSN";
const VERSION: u8 = 1;
const MARK_LEN: usize = 8;
const PREFIX_LEN: usize = MAGIC.len() + 1 + 2 * MARK_LEN;
const HEADER_LEN: usize = PREFIX_LEN + NONCE_LEN;

type Mark = [u8; MARK_LEN];

/// The key that seals what is kept.
pub struct SealKey {
    key: LessSafeKey,
    mark: Mark,
}

/// Whose a file is: its words, each with its length before it.
#[derive(Clone, Debug)]
pub(super) struct Owner(Vec<u8>);

impl SealKey {
    /// The key of these bytes, which are to be random.
    pub fn from_bytes(bytes: &[u8; KEY_LEN]) -> Self {
        #[expect(
            clippy::expect_used,
            reason = "32 bytes are an AES-256 key, whatever they are"
        )]
        let key = UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes");
        Self {
            key: LessSafeKey::new(key),
            mark: mark("countersign store key", bytes),
        }
    }

    /// Seals `plain` for its owner.
    pub(super) fn seal(&self, owner: &Owner, plain: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce)?;
        // Room for the tag too: growing would leave a plain copy behind.
        let mut file = Vec::with_capacity(HEADER_LEN + plain.len() + AES_256_GCM.tag_len());
        file.extend_from_slice(&self.prefix(owner));
        file.extend_from_slice(&nonce);
        file.extend_from_slice(plain);
        let aad = aad(&self.prefix(owner), owner);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = &mut file[HEADER_LEN..];
        let tag = self.key.seal_in_place_separate_tag(nonce, aad, sealed)?;
        file.extend_from_slice(tag.as_ref());
        Ok(file)
    }

    /// Opens what was sealed for its owner, or tells why it does not open.
    pub(super) fn open(
        &self,
        owner: &Owner,
        file: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, &'static str> {
        let (header, sealed) = file
            .split_at_checked(HEADER_LEN)
            .filter(|(header, _)| header.starts_with(MAGIC))
            .ok_or("it was cut off, or is something else")?;
        let (prefix, nonce) = header.split_at(PREFIX_LEN);
        self.check(owner, prefix)?;
        let changed = "it was changed or cut off";
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|Unspecified| changed)?;
        let mut plain = Zeroizing::new(sealed.to_vec());
        let opened = self
            .key
            .open_in_place(nonce, aad(prefix, owner), &mut plain);
        let length = opened.map_err(|Unspecified| changed)?.len();
        plain.truncate(length);
        Ok(plain)
    }

    /// Tells what cannot be opened before it is tried, with a better reason.
    fn check(&self, owner: &Owner, prefix: &[u8]) -> Result<(), &'static str> {
        let own = self.prefix(owner);
        let differs = |from: usize, to: usize| own.get(from..to) != prefix.get(from..to);
        let marks = MAGIC.len() + 1;
        if differs(0, marks) {
            return Err("another version of the program wrote it");
        }
        if differs(marks, marks + MARK_LEN) {
            return Err("another key sealed it");
        }
        if differs(marks + MARK_LEN, PREFIX_LEN) {
            return Err("it is that of another profile, or of another url or login of this one");
        }
        Ok(())
    }

    fn prefix(&self, owner: &Owner) -> Vec<u8> {
        let owner = mark("countersign store owner", &owner.0);
        [MAGIC, &[VERSION][..], &self.mark, &owner].concat()
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(..)")
    }
}

impl Owner {
    pub(super) fn new(words: &[&str]) -> Self {
        let mut bytes = Vec::new();
        for word in words {
            bytes.extend_from_slice(&(word.len() as u64).to_be_bytes());
            bytes.extend_from_slice(word.as_bytes());
        }
        Self(bytes)
    }
}

fn aad(prefix: &[u8], owner: &Owner) -> Aad<Vec<u8>> {
    Aad::from([prefix, &owner.0].concat())
}

/// A few bytes by which something is recognised and nothing is learnt of it.
fn mark(kind: &str, of: &[u8]) -> Mark {
    let mut context = Context::new(&SHA256);
    context.update(kind.as_bytes());
    context.update(of);
    let mut mark = Mark::default();
    mark.iter_mut()
        .zip(context.finish().as_ref())
        .for_each(|(to, from)| *to = *from);
    mark
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SealKey {
        SealKey::from_bytes(&[byte; KEY_LEN])
    }

    fn owner() -> Owner {
        Owner::new(&["pay", "https://api.example", "ann"])
    }

    #[test]
    fn what_is_sealed_opens_for_its_owner_with_its_key() {
        let sealed = key(1).seal(&owner(), b"secret").unwrap();
        assert_eq!(*key(1).open(&owner(), &sealed).unwrap(), b"secret");
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_ne!(sealed, key(1).seal(&owner(), b"secret").unwrap());
    }

    #[test]
    fn whose_it_is_and_which_key_sealed_it_is_told() {
        let sealed = key(1).seal(&owner(), b"secret").unwrap();
        assert_eq!(
            key(2).open(&owner(), &sealed).unwrap_err(),
            "another key sealed it"
        );
        for words in [
            &["gift", "https://api.example", "ann"][..],
            &["pay", "https://api.example", "bob"],
            &["pay", "https://api.examplea", "nn"],
            &["pay", "https://api.example"],
        ] {
            let told = key(1).open(&Owner::new(words), &sealed).unwrap_err();
            assert!(told.contains("another profile"), "{words:?}: {told}");
        }
    }

    #[test]
    fn no_byte_can_be_changed_and_none_left_out() {
        let sealed = key(1).seal(&owner(), b"secret").unwrap();
        for index in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[index] ^= 1 << bit;
                assert!(key(1).open(&owner(), &changed).is_err(), "byte {index}");
            }
            let cut = key(1).open(&owner(), &sealed[..index]);
            assert!(cut.is_err(), "cut at {index}");
        }
        let longer = [&sealed[..], b"x"].concat();
        assert!(key(1).open(&owner(), &longer).is_err());
    }

    #[test]
    fn a_file_of_a_later_version_says_so() {
        let mut sealed = key(1).seal(&owner(), b"secret").unwrap();
        sealed[MAGIC.len()] = VERSION + 1;
        let told = key(1).open(&owner(), &sealed).unwrap_err();
        assert!(told.contains("another version"), "{told}");
    }

    #[test]
    fn a_key_does_not_print() {
        assert_eq!(format!("{:?}", key(7)), "SealKey(..)");
    }
}
