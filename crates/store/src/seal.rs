//! Keys at rest: sealed with AES-256-GCM under a master key, which is in a file of its own
//! and in no backup.
//!
//! A sealed record is bound to its place: the context (api, purpose, key id, algorithm) is
//! authenticated with it, so records that were swapped between rows do not open. This module
//! refuses a master key file that others can read, and never overwrites one: under a new
//! master key, every key that the old one sealed would be unreadable.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::private_file::create_private;

/// The context for which the master check is sealed.
pub(crate) const CHECK_CONTEXT: [&str; 2] = ["store", "master check"];
/// The content of the master check.
pub(crate) const CHECK_VALUE: &[u8] = b"countersign";

const KEY_LEN: usize = 32;
/// The first byte of a sealed record: the way it is sealed.
const FORM: u8 = 1;
const HEADER_LEN: usize = 1 + NONCE_LEN;

/// The key that seals all others.
pub struct MasterKey(LessSafeKey);

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// There is no such file.
    #[error("there is no master key file {0}")]
    Missing(PathBuf),
    /// The file is there already.
    #[error("{0} exists already: a master key is never overwritten")]
    Exists(PathBuf),
    /// Others than the owner may read or write the file.
    #[error("others can read or change the master key {path} (mode {mode:04o})")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The path is a directory, a device or the like.
    #[error("{0} is not a regular file, so it is not a master key")]
    NotAFile(PathBuf),
    /// The file was cut off, or is something else.
    #[error("{path} is not a master key: it has {length} bytes and not {KEY_LEN}")]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length.
        length: u64,
    },
    /// The file cannot be read or written.
    #[error("the master key file {path} cannot be read or written: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system has no randomness to give.
    #[error("the system did not provide random bytes for a master key")]
    RandomnessUnavailable,
}

impl MasterKeyError {
    /// What to do about it, if there is something to do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Missing(_) => Some("put the one that belongs to this store back".to_owned()),
            Self::Exposed { path, .. } => Some(format!("run `chmod 600 {}`", path.display())),
            Self::Length { .. } => {
                Some("restore it, or delete it if no store was ever made with it".to_owned())
            }
            Self::Exists(_) | Self::NotAFile(_) | Self::Io { .. } | Self::RandomnessUnavailable => {
                None
            }
        }
    }
}

/// Why a record could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The system has no randomness to give, or the record is too large.
    #[error("the record could not be sealed")]
    NotSealed,
    /// Another master key sealed it, it belongs elsewhere, or it was changed.
    #[error(
        "the sealed record cannot be decrypted: it is damaged, or was sealed with another master key or for another place"
    )]
    NotOpened,
}

impl MasterKey {
    /// Reads the master key at `path`.
    pub fn open(path: &Path) -> Result<Self, MasterKeyError> {
        let cannot = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => MasterKeyError::Missing(path.to_owned()),
            _ => io_error(path, source),
        };
        // Opening a pipe would wait for whoever writes to it.
        if !std::fs::metadata(path).map_err(cannot)?.is_file() {
            return Err(MasterKeyError::NotAFile(path.to_owned()));
        }
        let mut file = File::open(path).map_err(cannot)?;
        check(path, &file)?;
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        file.read_exact(&mut *bytes)
            .map_err(|source| io_error(path, source))?;
        Ok(Self::from_bytes(&bytes))
    }

    /// A new master key that no file holds, for a store in memory.
    pub fn unkept() -> Result<Self, MasterKeyError> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        rand::fill(&mut *bytes).map_err(|Unspecified| MasterKeyError::RandomnessUnavailable)?;
        Ok(Self::from_bytes(&bytes))
    }

    /// Makes a new master key in a new file with mode 0600, durable before this
    /// returns.
    pub fn create(path: &Path) -> Result<Self, MasterKeyError> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        rand::fill(&mut *bytes).map_err(|Unspecified| MasterKeyError::RandomnessUnavailable)?;
        create_private(path, &*bytes).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => MasterKeyError::Exists(path.to_owned()),
            _ => io_error(path, source),
        })?;
        Ok(Self::from_bytes(&bytes))
    }

    /// Reads the master key at `path`, or makes one if there is no such file.
    ///
    /// Right for a new store only: where a store exists, a missing file is a
    /// mistake to mend and [`MasterKey::open`] says so.
    pub fn open_or_create(path: &Path) -> Result<Self, MasterKeyError> {
        match Self::open(path) {
            Err(MasterKeyError::Missing(_)) => Self::create(path),
            other => other,
        }
    }

    /// Seals `plain` for the place that `context` names.
    pub fn seal(&self, context: &[&str], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|Unspecified| SealError::NotSealed)?;
        // Room for the tag too: growing would leave a plain copy behind.
        let mut sealed = Vec::with_capacity(HEADER_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.push(FORM);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, aad(context), &mut sealed[HEADER_LEN..])
            .map_err(|Unspecified| SealError::NotSealed)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens what was sealed for the same `context`.
    pub fn open_sealed(
        &self,
        context: &[&str],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (header, body) = sealed
            .split_at_checked(HEADER_LEN)
            .ok_or(SealError::NotOpened)?;
        if header[0] != FORM {
            return Err(SealError::NotOpened);
        }
        let nonce = Nonce::try_assume_unique_for_key(&header[1..])
            .map_err(|Unspecified| SealError::NotOpened)?;
        let mut plain = Zeroizing::new(body.to_vec());
        let length = self
            .0
            .open_in_place(nonce, aad(context), &mut plain)
            .map_err(|Unspecified| SealError::NotOpened)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }

    fn from_bytes(bytes: &[u8; KEY_LEN]) -> Self {
        #[expect(
            clippy::expect_used,
            reason = "32 bytes are an AES-256 key, whatever they are"
        )]
        let key = UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes");
        Self(LessSafeKey::new(key))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// Each part with its length before it, so that no two contexts are encoded
/// alike.
fn aad(context: &[&str]) -> Aad<Vec<u8>> {
    let mut bytes = b"countersign sealed record".to_vec();
    for part in context {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    Aad::from(bytes)
}

fn check(path: &Path, file: &File) -> Result<(), MasterKeyError> {
    let metadata = file.metadata().map_err(|source| io_error(path, source))?;
    if !metadata.is_file() {
        return Err(MasterKeyError::NotAFile(path.to_owned()));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(MasterKeyError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    if metadata.len() != KEY_LEN as u64 {
        return Err(MasterKeyError::Length {
            path: path.to_owned(),
            length: metadata.len(),
        });
    }
    Ok(())
}

fn io_error(path: &Path, source: io::Error) -> MasterKeyError {
    MasterKeyError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        (directory, path)
    }

    fn write(path: &Path, bytes: &[u8], mode: u32) {
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_start_that_was_cut_off_before_the_key_was_durable_is_begun_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        fs::write(path.with_extension("draft"), b"half a k").unwrap();
        MasterKey::create(&path).unwrap();
        assert!(MasterKey::open(&path).is_ok());
        assert!(!path.with_extension("draft").exists());
    }

    #[test]
    fn a_new_master_key_is_its_owners_alone_and_opens_again() {
        let (_directory, path) = place();
        let made = MasterKey::open_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let sealed = made.seal(&["pay"], b"secret").unwrap();
        let again = MasterKey::open_or_create(&path).unwrap();
        assert_eq!(*again.open_sealed(&["pay"], &sealed).unwrap(), b"secret");
    }

    #[test]
    fn a_master_key_is_never_overwritten() {
        let (_directory, path) = place();
        MasterKey::create(&path).unwrap();
        let before = fs::read(&path).unwrap();
        assert!(matches!(
            MasterKey::create(&path),
            Err(MasterKeyError::Exists(_))
        ));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_missing_master_key_is_not_made_up_by_opening() {
        let (_directory, path) = place();
        let error = MasterKey::open(&path).unwrap_err();
        assert!(matches!(error, MasterKeyError::Missing(_)), "{error}");
        assert!(!path.exists());
    }

    #[test]
    fn a_cut_off_or_foreign_file_is_refused_and_stays_as_it_is() {
        for bytes in [&b""[..], &[7; 31], &[7; 33], &[7; 4096]] {
            let (_directory, path) = place();
            write(&path, bytes, 0o600);
            let error = MasterKey::open_or_create(&path).unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains(&format!("has {} bytes", bytes.len())),
                "{error}"
            );
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o666, 0o601] {
            let (_directory, path) = place();
            write(&path, &[7; 32], mode);
            let error = MasterKey::open(&path).unwrap_err();
            let help = error.help().unwrap();
            assert!(help.contains("chmod 600"), "{mode:o}: {error}, {help}");
        }
    }

    #[test]
    fn a_directory_is_no_master_key() {
        let directory = tempfile::tempdir().unwrap();
        let error = MasterKey::open_or_create(directory.path()).unwrap_err();
        assert!(matches!(error, MasterKeyError::NotAFile(_)), "{error}");
    }

    fn key(byte: u8) -> MasterKey {
        MasterKey::from_bytes(&[byte; KEY_LEN])
    }

    #[test]
    fn a_record_opens_in_its_own_place_only() {
        let sealed = key(1)
            .seal(&["pay", "signing", "k1", "HS256"], b"secret")
            .unwrap();
        let elsewhere: [&[&str]; 6] = [
            &["gift", "signing", "k1", "HS256"],
            &["pay", "pepper", "k1", "HS256"],
            &["pay", "signing", "k2", "HS256"],
            &["pay", "signing", "k1"],
            &["pay", "signing", "k", "1HS256"],
            &["pay", "signing", "k1", "HS256", ""],
        ];
        for context in elsewhere {
            assert_eq!(
                key(1).open_sealed(context, &sealed),
                Err(SealError::NotOpened)
            );
        }
        let own = key(1).open_sealed(&["pay", "signing", "k1", "HS256"], &sealed);
        assert_eq!(*own.unwrap(), b"secret");
    }

    #[test]
    fn another_master_key_opens_nothing() {
        let sealed = key(1).seal(&["pay"], b"secret").unwrap();
        assert_eq!(
            key(2).open_sealed(&["pay"], &sealed),
            Err(SealError::NotOpened)
        );
    }

    #[test]
    fn a_record_that_was_changed_or_cut_off_does_not_open() {
        let sealed = key(1).seal(&["pay"], b"secret").unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(
                key(1).open_sealed(&["pay"], &changed).is_err(),
                "byte {index}"
            );
            assert!(
                key(1).open_sealed(&["pay"], &sealed[..index]).is_err(),
                "cut at {index}"
            );
        }
    }

    #[test]
    fn the_same_secret_is_never_sealed_alike() {
        let seal = || key(1).seal(&["pay"], b"secret").unwrap();
        assert_ne!(seal(), seal());
        assert!(!seal().windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn a_master_key_does_not_print() {
        assert_eq!(format!("{:?}", key(7)), "MasterKey(..)");
    }
}
