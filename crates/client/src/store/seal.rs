//! The format of a session file: a record sealed with AES-256-GCM, and bound to its
//! owner. RFC 6749 section 10.4: "Refresh tokens MUST be kept confidential in transit
//! and storage".
//!
//! ```text
//! "CSSN"  2  key  length  owner       check  nonce  sealed record
//! 4       1  8    4       its length  8      12     its length, and a tag of 16
//! ```
//!
//! `key` is a fingerprint and `check` a checksum of what precedes it, so that a file
//! of another key is told apart from a damaged one. `owner` is a JSON object that
//! everyone who may read the file can read. All that precedes the nonce is
//! authenticated with the record.
//!
//! The first format, which is still read, has a fingerprint of the owner instead:
//!
//! ```text
//! "CSSN"  1  key     owner   nonce  sealed record
//! 4       1  8       8       12     its length, and a tag of 16
//! ```

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::session_owner::SessionOwner;

/// How long a key is, in bytes.
pub(super) const KEY_LEN: usize = 32;

const MAGIC: &[u8; 4] = b"CSSN";
const FIRST_VERSION: u8 = 1;
const VERSION: u8 = 2;
const MARK_LEN: usize = 8;
/// Magic, version and key.
const START_LEN: usize = MAGIC.len() + 1 + MARK_LEN;
const LENGTH_LEN: usize = 4;
const FIRST_PREFIX_LEN: usize = START_LEN + MARK_LEN;

type ShortHash = [u8; MARK_LEN];

/// The content of a file, in memory that is zeroed.
pub(super) type PlainBytes = Zeroizing<Vec<u8>>;

/// The key that seals session files.
pub struct SealKey {
    key: LessSafeKey,
    short_hash: ShortHash,
}

/// Why a file cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnsealError {
    /// It is not as it was written, or this program did not write it.
    Damaged(&'static str),
    /// It is intact, and another key sealed it.
    OtherKey,
    /// It is intact, and belongs to another owner.
    OtherOwner,
}

const CUT: UnsealError = UnsealError::Damaged("it was cut off, or is not a session file");
const CHANGED: UnsealError = UnsealError::Damaged("it was changed or cut off");

impl SealKey {
    /// The key of these bytes, which must be random.
    pub fn from_bytes(bytes: &[u8; KEY_LEN]) -> Self {
        #[expect(clippy::expect_used, reason = "any 32 bytes are a key for AES-256")]
        let key = UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes");
        Self {
            key: LessSafeKey::new(key),
            short_hash: short_hash("countersign store key", bytes),
        }
    }

    /// Seals `plain` for its owner.
    pub(super) fn seal(&self, owner: &SessionOwner, plain: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce)?;
        let prefix = self.prefix(owner)?;
        // Room for the tag too: growing would leave a plain copy behind.
        let length = prefix.len() + NONCE_LEN + plain.len() + AES_256_GCM.tag_len();
        let mut file = Vec::with_capacity(length);
        file.extend_from_slice(&prefix);
        file.extend_from_slice(&nonce);
        file.extend_from_slice(plain);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = file
            .get_mut(prefix.len() + NONCE_LEN..)
            .ok_or(Unspecified)?;
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(&prefix), sealed)?;
        file.extend_from_slice(tag.as_ref());
        Ok(file)
    }

    /// Opens what was sealed for `owner`, in this format or the first.
    pub(super) fn open(
        &self,
        owner: &SessionOwner,
        file: &[u8],
    ) -> Result<PlainBytes, UnsealError> {
        if version(file) == Some(FIRST_VERSION) {
            return self.open_first_format(owner, file);
        }
        let (found, plain) = self.open_any(file)?;
        match found.is_same_session(owner) {
            true => Ok(plain),
            false => Err(UnsealError::OtherOwner),
        }
    }

    /// Opens what this key sealed, whoever owns it.
    pub(super) fn open_any(&self, file: &[u8]) -> Result<(SessionOwner, PlainBytes), UnsealError> {
        let parts = SealedFileParts::parse(file)?;
        if parts.key != self.short_hash {
            return Err(UnsealError::OtherKey);
        }
        let owner = serde_json::from_slice(parts.owner).map_err(|_| CHANGED)?;
        let plain = self.unseal(parts.prefix, parts.rest)?;
        Ok((owner, plain))
    }

    fn unseal(&self, prefix: &[u8], rest: &[u8]) -> Result<PlainBytes, UnsealError> {
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN).ok_or(CUT)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|Unspecified| CHANGED)?;
        let mut plain = Zeroizing::new(sealed.to_vec());
        let opened = self.key.open_in_place(nonce, Aad::from(prefix), &mut plain);
        let length = opened.map_err(|Unspecified| CHANGED)?.len();
        plain.truncate(length);
        Ok(plain)
    }

    fn prefix(&self, owner: &SessionOwner) -> Result<Vec<u8>, Unspecified> {
        let owner = serde_json::to_vec(owner).map_err(|_| Unspecified)?;
        let length = u32::try_from(owner.len()).map_err(|_| Unspecified)?;
        let mut prefix = [
            MAGIC,
            &[VERSION][..],
            &self.short_hash,
            &length.to_be_bytes(),
            &owner,
        ]
        .concat();
        prefix.extend_from_slice(&check(&prefix));
        Ok(prefix)
    }

    /// Opens a file of the first format. Its fingerprints have no checksum: whether
    /// one of them was changed shows when it is opened with the right ones.
    fn open_first_format(
        &self,
        owner: &SessionOwner,
        file: &[u8],
    ) -> Result<PlainBytes, UnsealError> {
        let (prefix, rest) = file.split_at_checked(FIRST_PREFIX_LEN).ok_or(CUT)?;
        let words = owner.first_format_owner();
        let mine = short_hash("countersign store owner", &words);
        let right = [MAGIC, &[FIRST_VERSION][..], &self.short_hash, &mine].concat();
        let opened = self.unseal(&[&right[..], &words].concat(), rest);
        let own_key = prefix.get(MAGIC.len() + 1..START_LEN) == Some(&self.short_hash);
        let own = prefix.get(START_LEN..) == Some(&mine);
        match (own_key, own) {
            (true, true) => opened,
            _ if opened.is_ok() => Err(CHANGED),
            (false, true) => Err(UnsealError::OtherKey),
            _ => Err(UnsealError::OtherOwner),
        }
    }
}

impl SealKey {
    /// Whether this key sealed a file of the first format, according to the file.
    pub(super) fn sealed_first_format(&self, file: &[u8]) -> bool {
        is_first_format(file) && file.get(MAGIC.len() + 1..START_LEN) == Some(&self.short_hash)
    }
}

/// The owner of a file according to the file, which may have been changed.
pub(super) fn claimed_owner(file: &[u8]) -> Option<SessionOwner> {
    serde_json::from_slice(SealedFileParts::parse(file).ok()?.owner).ok()
}

/// Whether a file is of the first format, whose owner cannot be read.
pub(super) fn is_first_format(file: &[u8]) -> bool {
    version(file) == Some(FIRST_VERSION) && file.len() > FIRST_PREFIX_LEN
}

/// The parts of a file of this format, whose head is intact.
struct SealedFileParts<'f> {
    prefix: &'f [u8],
    key: &'f [u8],
    owner: &'f [u8],
    rest: &'f [u8],
}

impl<'f> SealedFileParts<'f> {
    fn parse(file: &'f [u8]) -> Result<Self, UnsealError> {
        match version(file) {
            Some(VERSION) => {}
            Some(_) => {
                return Err(UnsealError::Damaged(
                    "another version of the program wrote it",
                ));
            }
            None => return Err(CUT),
        }
        let (start, after) = file.split_at_checked(START_LEN).ok_or(CUT)?;
        let (length, after) = after.split_at_checked(LENGTH_LEN).ok_or(CUT)?;
        let length = length.try_into().map_or(0, u32::from_be_bytes) as usize;
        let (owner, after) = after.split_at_checked(length).ok_or(CUT)?;
        let (sum, rest) = after.split_at_checked(MARK_LEN).ok_or(CUT)?;
        let before = START_LEN + LENGTH_LEN + length;
        let (summed, _) = file.split_at_checked(before).ok_or(CUT)?;
        if check(summed) != sum {
            return Err(CHANGED);
        }
        let (prefix, _) = file.split_at_checked(before + MARK_LEN).ok_or(CUT)?;
        let key = start.get(MAGIC.len() + 1..).unwrap_or_default();
        Ok(Self {
            prefix,
            key,
            owner,
            rest,
        })
    }
}

/// The version that a file states, if it is one of ours.
fn version(file: &[u8]) -> Option<u8> {
    file.strip_prefix(MAGIC)?.first().copied()
}

fn check(prefix: &[u8]) -> ShortHash {
    short_hash("countersign store header", prefix)
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(..)")
    }
}

/// A few bytes that identify something and do not reveal it.
fn short_hash(kind: &str, of: &[u8]) -> ShortHash {
    let mut context = Context::new(&SHA256);
    context.update(kind.as_bytes());
    context.update(of);
    let mut short_hash = ShortHash::default();
    short_hash
        .iter_mut()
        .zip(context.finish().as_ref())
        .for_each(|(to, from)| *to = *from);
    short_hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SealKey {
        SealKey::from_bytes(&[byte; KEY_LEN])
    }

    fn owner() -> SessionOwner {
        SessionOwner::from_words(&["pay", "https://api.example", "ann"])
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
        let open = |key: SealKey, owner: &SessionOwner| key.open(owner, &sealed).unwrap_err();
        assert_eq!(open(key(2), &owner()), UnsealError::OtherKey);
        assert_eq!(claimed_owner(&sealed), Some(owner()));
        for words in [
            ["gift", "https://api.example", "ann"],
            ["pay", "https://api.example", "bob"],
            ["pay", "https://api.examplea", "nn"],
        ] {
            let other = SessionOwner::from_words(&words);
            assert_eq!(open(key(1), &other), UnsealError::OtherOwner, "{words:?}");
        }
    }

    #[test]
    fn any_byte_that_is_changed_or_left_out_is_damage() {
        let sealed = key(1).seal(&owner(), b"secret").unwrap();
        let damaged =
            |file: &[u8]| matches!(key(1).open(&owner(), file), Err(UnsealError::Damaged(_)));
        for index in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[index] ^= 1 << bit;
                assert!(damaged(&changed), "byte {index}, bit {bit}");
            }
            assert!(damaged(&sealed[..index]), "cut at {index}");
        }
        assert!(damaged(&[&sealed[..], b"x"].concat()));
    }

    #[test]
    fn a_file_of_a_later_version_says_so() {
        let mut sealed = key(1).seal(&owner(), b"secret").unwrap();
        sealed[MAGIC.len()] = VERSION + 1;
        let told = key(1).open(&owner(), &sealed).unwrap_err();
        assert_eq!(
            told,
            UnsealError::Damaged("another version of the program wrote it")
        );
    }

    #[test]
    fn the_first_format_opens_for_its_owner_and_nobody_else() {
        let file = include_bytes!("../../tests/store/fixtures/first-format.session");
        assert!(key(1).open(&owner(), file).is_ok());
        assert_eq!(key(2).open(&owner(), file), Err(UnsealError::OtherKey));
        let bob = SessionOwner::from_words(&["pay", "https://api.example", "bob"]);
        assert_eq!(key(1).open(&bob, file), Err(UnsealError::OtherOwner));
        for index in MAGIC.len() + 1..file.len() {
            let mut changed = file.to_vec();
            changed[index] ^= 1;
            assert_eq!(
                key(1).open(&owner(), &changed),
                Err(CHANGED),
                "byte {index}"
            );
        }
    }

    #[test]
    fn a_key_does_not_print() {
        assert_eq!(format!("{:?}", key(7)), "SealKey(..)");
    }
}
