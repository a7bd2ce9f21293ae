//! The sessions that lie in a directory, whosever they are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::file_store::FileStore;
use super::private_file::{self, io_error};
use super::seal::{self, SealKey, UnsealError};
use super::session_owner::{SUFFIX, SessionOwner};
use super::{StoreError, record_json};
use crate::SessionRecord;

/// A file with a session, as it lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSession {
    /// The file.
    pub file: PathBuf,
    /// Whose it is, as its head says; `None` where that cannot be told, as of a
    /// file that an older release wrote.
    pub owner: Option<SessionOwner>,
    /// What is in it.
    pub state: StoredState,
}

/// What is in a file with a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredState {
    /// A session that can be gone on with.
    Whole(Box<SessionRecord>),
    /// Another key sealed it.
    Closed,
    /// An older release kept it, of another url or login; whose it is cannot be
    /// read.
    Former,
    /// It is not as it was written, or was set aside for that.
    Damaged,
}

impl StoredSession {
    /// The session files of a directory, by name, and those that were set aside.
    /// `None` for the key if there is none yet. A directory that is not there has
    /// none.
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

    /// The name of the profile that the file is named by.
    pub fn profile(&self) -> &str {
        let name = self.file.file_name().and_then(|it| it.to_str());
        let name = name.and_then(|it| it.split('.').next());
        name.unwrap_or_default()
    }

    /// Whether an older release kept it for this owner, so that it will be taken
    /// over.
    pub fn is_former_of(&self, owner: &SessionOwner, key: &SealKey) -> bool {
        let bytes = private_file::read_private(&self.file).ok().flatten();
        let named = self.file.parent().map(|it| owner.former_file(it));
        named.as_ref() == Some(&self.file) && bytes.is_some_and(|it| key.open(owner, &it).is_ok())
    }

    /// The store of a session whose owner is known.
    pub fn store(&self, key: SealKey) -> Option<FileStore> {
        let owner = self.owner.clone()?;
        Some(FileStore::at(self.file.clone(), key, owner, None))
    }

    /// Removes the file.
    ///
    /// # Errors
    ///
    /// The system does not let it.
    pub fn remove(&self) -> Result<(), StoreError> {
        private_file::remove(&self.file).map_err(|error| io_error(&self.file, "removed", &error))
    }
}
