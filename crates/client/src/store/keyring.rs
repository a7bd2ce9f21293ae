//! The key in the keyring of the user's desktop, where it is created when it is first
//! needed. Needs the feature `keyring`.

use std::path::Path;

use super::{SealKey, StoreError};

#[cfg(feature = "keyring")]
impl SealKey {
    /// Reads the key from the user's keyring, where it is created if it is missing. A
    /// keyring cannot create an entry only if there is none, so a lock file in
    /// `directory` makes sure of that.
    ///
    /// # Errors
    ///
    /// [`StoreError::Key`]: the keyring cannot be used, or its entry is not a key.
    pub fn from_keyring(directory: &Path) -> Result<Self, StoreError> {
        let failed = |error: &keyring::Error| {
            let why = "the keyring of this user cannot be used";
            StoreError::key_with_help(
                format!("{why}: {error}"),
                "`store_key_file` names a key in a file instead",
            )
        };
        keyring::v1::Entry::store_status()
            .as_ref()
            .map_err(failed)?;
        let failed = |error: keyring::Error| failed(&error);
        let entry = keyring::v1::Entry::new("countersign", "store.key").map_err(failed)?;
        let find = || match entry.get_password() {
            Ok(text) => Ok(Some(text)),
            Err(keyring::Error::NoEntry) => Ok(None),
            Err(error) => Err(failed(error)),
        };
        let make = |text: &str| entry.set_password(text).map_err(failed);
        Self::found_or_made(directory, find, make)
    }
}

#[cfg(not(feature = "keyring"))]
impl SealKey {
    /// Reads the key from the user's keyring, which this build cannot do.
    ///
    /// # Errors
    ///
    /// [`StoreError::Key`], always: this build has no keyring.
    pub fn from_keyring(_: &Path) -> Result<Self, StoreError> {
        Err(StoreError::key_with_help(
            "this program was built without the feature `keyring`",
            "use `store_key_file` or `store_key_env`",
        ))
    }
}

#[cfg(any(test, feature = "keyring"))]
impl SealKey {
    fn found_or_made(
        directory: &Path,
        find: impl Fn() -> Result<Option<String>, StoreError>,
        make: impl Fn(&str) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        use zeroize::Zeroizing;

        let find = || Ok::<_, StoreError>(find()?.map(Zeroizing::new));
        let of = |text: Zeroizing<String>| Self::from_text(&text, "the keyring");
        if let Some(text) = find()? {
            return of(text);
        }
        let _lock = super::interprocess_lock::LockFile::take(&directory.join("store.key.lock"))?;
        if let Some(text) = find()? {
            return of(text);
        }
        let text = super::key_source::random_text().map_err(|_| no_randomness())?;
        make(&text)?;
        of(text)
    }
}

#[cfg(any(test, feature = "keyring"))]
fn no_randomness() -> StoreError {
    StoreError::key("the system returned no random bytes for a key")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::{Barrier, Mutex};

    use super::*;

    #[test]
    fn of_many_who_found_no_key_at_once_one_makes_it() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let entry = Mutex::new(Vec::<String>::new());
        let all_looked = Barrier::new(8);
        let own = || {
            let looked = Cell::new(false);
            let find = || {
                let found = entry.lock().unwrap().last().cloned();
                if !looked.replace(true) {
                    all_looked.wait();
                }
                Ok(found)
            };
            let make = |text: &str| {
                // A keyring takes its time.
                std::thread::sleep(std::time::Duration::from_millis(20));
                entry.lock().unwrap().push(text.to_owned());
                Ok(())
            };
            SealKey::found_or_made(&state, find, make).unwrap()
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(own);
            }
        });
        assert_eq!(entry.lock().unwrap().len(), 1);
    }

    /// Uses the real keyring of the user who runs the test.
    #[cfg(feature = "keyring")]
    #[test]
    #[ignore = "changes the keyring of the user"]
    fn a_desktop_keeps_the_key() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        SealKey::from_keyring(&state).unwrap();
        SealKey::from_keyring(&state).unwrap();
    }

    #[test]
    fn an_entry_that_is_no_key_is_left_as_it_is() {
        let find = || Ok(Some("hunter2".to_owned()));
        let make = |_: &str| -> Result<(), StoreError> { unreachable!("it was replaced") };
        let told = SealKey::found_or_made(Path::new("/none"), find, make).unwrap_err();
        let told = told.to_string();
        assert!(
            told.starts_with("the keyring does not contain a key"),
            "{told}"
        );
    }
}
