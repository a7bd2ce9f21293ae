//! The sessions that are stored in a directory, whoever owns them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::file_store::FileStore;
use super::private_file::{self, io_error};
use super::seal::{self, SealKey, UnsealError};
use super::session_owner::{SUFFIX, SessionOwner};
use super::{StoreError, record_json};
use crate::SessionRecord;

/// A file with a session, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSession {
    /// The file.
    pub file: PathBuf,
    /// The owner according to the head of the file; `None` if it has none, as in a
    /// file of an older release.
    pub owner: Option<SessionOwner>,
    /// Its content.
    pub state: StoredState,
}

/// The content of a session file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredState {
    /// A session that can be continued.
    Whole(Box<SessionRecord>),
    /// Another key sealed it.
    Closed,
    /// An older release wrote it for another URL or login. Its owner cannot be read.
    Former,
    /// It is not as it was written, or was set aside because of that.
    Damaged,
}

impl StoredSession {
    /// The session files of a directory, sorted by name, with those that were set
    /// aside. `key` is `None` if there is no key yet. A missing directory has no
    /// files.
    ///
    /// # Errors
    ///
    /// The directory cannot be read.
    pub fn in_directory(directory: &Path, key: Option<&SealKey>) -> Result<Vec<Self>, StoreError> {
        let failed = |error: io::Error| io_error(directory, "read", &error);
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(failed)?,
        };
        let paths = entries.map(|entry| entry.map(|it| it.path()).map_err(failed));
        let mut paths: Vec<_> = paths.collect::<Result<_, _>>()?;
        paths.sort();
        Ok(paths
            .into_iter()
            .filter_map(|it| Self::read_file(it, key))
            .collect())
    }

    fn read_file(file: PathBuf, key: Option<&SealKey>) -> Option<Self> {
        let name = file.file_name()?.to_str()?;
        let is_aside = name.contains(&format!("{SUFFIX}{}", private_file::ASIDE));
        if !is_aside && !name.ends_with(SUFFIX) {
            return None;
        }
        let bytes = private_file::read_private(&file)
            .ok()
            .flatten()
            .unwrap_or_default();
        let (owner, state) = match key.map(|key| key.open_any(&bytes)) {
            Some(Ok((owner, plain))) if !is_aside => match record_json::decode(&plain) {
                Some(record) => (Some(owner), StoredState::Whole(Box::new(record))),
                None => (Some(owner), StoredState::Damaged),
            },
            Some(Err(UnsealError::OtherKey)) | None if !is_aside => {
                (seal::claimed_owner(&bytes), StoredState::Closed)
            }
            _ if !is_aside && seal::is_first_format(&bytes) => {
                let is_ours = key.is_some_and(|key| key.sealed_first_format(&bytes));
                let state = if is_ours {
                    StoredState::Former
                } else {
                    StoredState::Closed
                };
                (None, state)
            }
            _ => (seal::claimed_owner(&bytes), StoredState::Damaged),
        };
        Some(Self { file, owner, state })
    }

    /// The name of the profile after which the file is named.
    pub fn profile(&self) -> &str {
        let name = self.file.file_name().and_then(|it| it.to_str());
        let name = name.and_then(|it| it.split('.').next());
        name.unwrap_or_default()
    }

    /// Whether an older release wrote it for this owner, so that it will be taken
    /// over.
    pub fn is_former_of(&self, owner: &SessionOwner, key: &SealKey) -> bool {
        let bytes = private_file::read_private(&self.file).ok().flatten();
        let named = self.file.parent().map(|it| owner.former_file(it));
        named.as_ref() == Some(&self.file) && bytes.is_some_and(|it| key.open(owner, &it).is_ok())
    }

    /// A store of this session, if its owner is known.
    pub fn store(&self, key: SealKey) -> Option<FileStore> {
        let owner = self.owner.clone()?;
        Some(FileStore::at(self.file.clone(), key, owner, None))
    }

    /// Removes the file.
    ///
    /// # Errors
    ///
    /// The file cannot be removed.
    pub fn remove(&self) -> Result<(), StoreError> {
        private_file::remove(&self.file).map_err(|error| io_error(&self.file, "removed", &error))
    }
}
