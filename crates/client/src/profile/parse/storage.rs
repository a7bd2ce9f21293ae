//! Where a session is stored, and the key that seals it.

use std::path::PathBuf;

use countersign_dialect::document::TomlValue;

use super::{ProfileReader, values};
use crate::profile::{KeyPlace, SessionStorage};

#[derive(Clone, Copy, PartialEq, Eq)]
enum StorageKind {
    File,
    Memory,
}

const KINDS: [(&str, StorageKind); 2] =
    [("file", StorageKind::File), ("memory", StorageKind::Memory)];
const KEYS: [&str; 3] = ["store_key_file", "store_key_env", "store_key"];

impl ProfileReader<'_, '_> {
    /// Where sessions are stored; the file has no name yet.
    pub(super) fn storage(&self) -> Option<SessionStorage> {
        // Read in any case, so that a wrong `store` is a single mistake.
        let about_files = KEYS.iter().chain(&["store_dir"]);
        let about_files: Vec<_> = about_files.filter_map(|key| self.table.get(key)).collect();
        let kind = self.table.get("store").map(|it| it.choice(&KINDS));
        match kind.unwrap_or(Some(StorageKind::File))? {
            StorageKind::Memory => {
                for value in about_files {
                    value.blame("has no effect if `store` is \"memory\"", None);
                }
                Some(SessionStorage::Memory)
            }
            StorageKind::File => {
                let (directory, key) = (self.store_dir(), self.store_key());
                Some(SessionStorage::File {
                    path: directory?,
                    key: key?,
                })
            }
        }
    }

    fn store_dir(&self) -> Option<PathBuf> {
        if let Some(value) = self.table.get("store_dir") {
            return self.path(&value);
        }
        let found = self.places.state.clone();
        if found.is_none() {
            self.table.blame(
                "needs `store_dir`, or `store = \"memory\"`: there is no home directory to store it \
                 in",
            );
        }
        found
    }

    fn store_key(&self) -> Option<KeyPlace> {
        if KEYS.iter().all(|key| self.table.get(key).is_none()) {
            return self.own_key();
        }
        let (key, value) = values::only_one(&self.table, &KEYS)?;
        match key {
            "store_key_file" => Some(KeyPlace::File(self.path(&value)?)),
            "store_key_env" => Some(KeyPlace::Env(values::variable(&value)?)),
            _ => keyring(&value),
        }
    }

    fn own_key(&self) -> Option<KeyPlace> {
        let config = self.places.config.as_ref();
        if config.is_none() {
            self.table.blame(
                "needs `store_key_file` or `store_key_env`: there is no home directory to look for a \
                 key in",
            );
        }
        Some(KeyPlace::Own(config?.join("store.key")))
    }
}

/// The key itself is often written here by mistake, so it is not repeated.
fn keyring(value: &TomlValue<'_>) -> Option<KeyPlace> {
    if value.text()? != "keyring" {
        let help = "do not write a key into this file, but name its place with `store_key_file` or \
                    `store_key_env`";
        value.blame("is not \"keyring\"", Some(help.to_owned()));
        return None;
    }
    Some(KeyPlace::Keyring)
}
