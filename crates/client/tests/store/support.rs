//! A directory, and stores in it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use countersign_client::{
    FileStore, SealKey, SessionRecord, SessionStore, StoreError, WriteOutcome,
};
use tempfile::TempDir;

pub(crate) const OWNER: &[&str] = &["pay", "https://api.example", "ann"];

/// A directory of its own, with the session file of one profile.
pub(crate) struct Place {
    directory: TempDir,
    pub(crate) file: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("state/pay.session");
        Self { directory, file }
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// The directory of the session file.
    pub(crate) fn state(&self) -> &Path {
        self.file.parent().unwrap()
    }

    /// A store of its own on the file, like that of another process.
    pub(crate) fn store(&self) -> FileStore {
        FileStore::open(&self.file, key(1), OWNER)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        names(self.state())
    }
}

pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub(crate) fn key(byte: u8) -> SealKey {
    SealKey::from_bytes(&[byte; 32])
}

pub(crate) fn record(serial: u64) -> SessionRecord {
    SessionRecord {
        serial,
        ..SessionRecord::default()
    }
}

/// Locks, writes and unlocks.
pub(crate) async fn write(store: &FileStore, serial: u64) -> Result<WriteOutcome, StoreError> {
    store.lock().await?.write(&record(serial)).await
}

pub(crate) async fn serial(store: &FileStore) -> Option<u64> {
    Some(store.read().await.unwrap()?.serial)
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}
