//! Sources of the key that seals session files.

use std::io;
use std::path::Path;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::StoreError;
use super::private_file::{self, DraftFile, io_error};
use super::seal::{KEY_LEN, SealKey};
use crate::{NamedFile, environment};

/// The longest text of a key that is read.
const MAX_TEXT: u64 = 1024;

impl SealKey {
    /// Reads a key from text: 64 hexadecimal digits, or Base64 of 32 bytes. `origin`
    /// names the text in the error.
    ///
    /// # Errors
    ///
    /// [`StoreError::Key`]: the text is not a key.
    pub fn from_text(text: &str, origin: &str) -> Result<Self, StoreError> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        let text = text.trim();
        let hexadecimal = hex::decode_to_slice(text, &mut *bytes).is_ok();
        if hexadecimal || decode_base64(text, &mut bytes).is_some() {
            return Ok(Self::from_bytes(&bytes));
        }
        Err(StoreError::key_with_help(
            format!("{origin} does not contain a key, which is 32 bytes as 64 hexadecimal digits"),
            "make one with `openssl rand -hex 32`",
        ))
    }

    /// Reads the key from a file that only its owner can read.
    ///
    /// # Errors
    ///
    /// The file is missing, others can read it, or it does not contain a key.
    pub fn from_file(path: &Path) -> Result<Self, StoreError> {
        Self::find(path)?.ok_or_else(|| {
            let path = path.display();
            StoreError::key_with_help(
                format!("there is no key file {path}"),
                format!(
                    "put it back, or create one with `(umask 077; openssl rand -hex 32 > {path})`"
                ),
            )
        })
    }

    /// Reads the key from the user's own key file, which is created if it is missing.
    /// If several processes create it at once, one of them succeeds and all get its
    /// key.
    ///
    /// # Errors
    ///
    /// The file cannot be read or created, others can read it, or it does not contain
    /// a key.
    pub fn own(path: &Path) -> Result<Self, StoreError> {
        if let Some(key) = Self::find(path)? {
            return Ok(key);
        }
        match make(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(io_error(path, "written", &error))
            }
            _ => Self::from_file(path),
        }
    }

    /// Reads the key from an environment variable.
    ///
    /// # Errors
    ///
    /// [`StoreError::Key`]: the variable is not set, or does not contain a key.
    pub fn from_environment(variable: &str) -> Result<Self, StoreError> {
        let text = environment::variable(variable).and_then(|it| it.into_string().ok());
        let text = text.map(Zeroizing::new).ok_or_else(|| {
            StoreError::key(format!(
                "the environment variable {variable}, which should contain the key of the store, is \
                 not set"
            ))
        })?;
        Self::from_text(&text, &format!("the environment variable {variable}"))
    }

    fn find(path: &Path) -> Result<Option<Self>, StoreError> {
        let failed = |error: io::Error| io_error(path, "read", &error);
        let file = match NamedFile::key(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        private_file::check_mode(path, file.metadata())?;
        let text = file.text(MAX_TEXT).map_err(failed)?;
        Self::from_text(&text, &path.display().to_string()).map(Some)
    }
}

fn decode_base64(text: &str, into: &mut [u8; KEY_LEN]) -> Option<()> {
    let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
    *into = bytes.as_slice().try_into().ok()?;
    Some(())
}

fn make(path: &Path) -> io::Result<()> {
    let text =
        random_text().map_err(|_| io::Error::other("the system returned no random bytes"))?;
    let around = private_file::make_directory(private_file::directory(path))?;
    let mut draft = DraftFile::create(path, &around)?;
    draft.write(text.as_bytes())?;
    draft.publish(path)
}

/// A new key as a line of text.
pub(super) fn random_text() -> Result<Zeroizing<String>, Unspecified> {
    let mut bytes = Zeroizing::new([0; KEY_LEN]);
    rand::fill(&mut *bytes)?;
    Ok(Zeroizing::new(format!(
        "{}\n",
        Zeroizing::new(hex::encode(bytes.as_slice())).as_str()
    )))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::super::SessionOwner;
    use super::*;

    const TEXT: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn are_one(one: &SealKey, other: &SealKey) -> bool {
        let owner = SessionOwner::from_words(&["pay"]);
        let sealed = one.seal(&owner, b"secret").unwrap();
        other.open(&owner, &sealed).is_ok()
    }

    #[test]
    fn a_key_is_written_in_hexadecimal_or_base64() {
        let key = SealKey::from_text(TEXT, "KEY").unwrap();
        for same in [
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
            &format!(" {}\r\n", TEXT.to_uppercase()),
        ] {
            assert!(are_one(&key, &SealKey::from_text(same, "KEY").unwrap()));
        }
    }

    #[test]
    fn what_is_no_key_is_not_repeated() {
        for text in ["", "hunter2", &TEXT[2..], &format!("{TEXT}00"), "AAECAwQ="] {
            let told = SealKey::from_text(text, "KEY").unwrap_err().to_string();
            assert!(told.starts_with("KEY does not contain a key"), "{told}");
            assert!(text.is_empty() || !told.contains(text), "{told}");
        }
    }

    #[test]
    fn a_key_is_made_once_and_is_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config/store.key");
        let made = SealKey::own(&path).unwrap();
        assert!(are_one(&made, &SealKey::own(&path).unwrap()));
        assert!(are_one(&made, &SealKey::from_file(&path).unwrap()));
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn many_who_make_the_first_key_at_once_have_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.key");
        let made: Vec<_> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| SealKey::own(&path).unwrap()))
                .collect();
            makers.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert!(made.iter().all(|key| are_one(key, &made[0])));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_file_that_is_named_and_missing_is_not_made_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.key");
        let help = SealKey::from_file(&path).unwrap_err().help().unwrap();
        assert!(help.contains("openssl rand -hex 32"), "{help}");
        assert!(!path.exists());
    }

    #[test]
    fn a_key_file_that_others_can_read_or_that_holds_no_key_is_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.key");
        for (text, mode, why) in [
            (TEXT, 0o640, "chmod 600"),
            (TEXT, 0o604, "chmod 600"),
            (&TEXT[1..], 0o600, "does not contain a key"),
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let fault = SealKey::own(&path).unwrap_err();
            let told = format!("{fault} {}", fault.help().unwrap());
            assert!(told.contains(why), "{told}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
