//! The sessions that lie in a directory, whosever they are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{self, io_error};
use super::file::FileStore;
use super::owner::{SUFFIX, SessionOwner};
use super::seal::{self, SealKey, Unopened};
use super::{StoreError, payload};
use crate::Record;

/// A file with a session, as it lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSession {
    /// The file.
    pub file: PathBuf,
    /// Whose it is, as its head says; `None` where that cannot be told, as of a
    /// file that an older release wrote.
    pub owner: Option<SessionOwner>,
    /// What is in it.
    pub state: KeptState,
}

/// What is in a file with a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeptState {
    /// A session that can be gone on with.
    Whole(Box<Record>),
    /// Another key sealed it.
    Closed,
    /// An older release kept it, of another url or login; whose it is cannot be
    /// read.
    Former,
    /// It is not as it was written, or was set aside for that.
    Damaged,
}

impl KeptSession {
    /// The session files of a directory, by name, and those that were set aside.
    /// `None` for the key if there is none yet. A directory that is not there has
    /// none.
    ///
    /// # Errors
    ///
    /// The directory cannot be read.
    pub fn all(directory: &Path, key: Option<&SealKey>) -> Result<Vec<Self>, StoreError> {
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
            .filter_map(|it| Self::of(it, key))
            .collect())
    }

    fn of(file: PathBuf, key: Option<&SealKey>) -> Option<Self> {
        let name = file.file_name()?.to_str()?;
        let is_aside = name.contains(&format!("{SUFFIX}{}", disk::ASIDE));
        if !is_aside && !name.ends_with(SUFFIX) {
            return None;
        }
        let bytes = disk::read_private(&file).ok().flatten().unwrap_or_default();
        let (owner, state) = match key.map(|key| key.open_any(&bytes)) {
            Some(Ok((owner, plain))) if !is_aside => match payload::read(&plain) {
                Some(record) => (Some(owner), KeptState::Whole(Box::new(record))),
                None => (Some(owner), KeptState::Damaged),
            },
            Some(Err(Unopened::OtherKey)) | None if !is_aside => {
                (seal::claimed_owner(&bytes), KeptState::Closed)
            }
            _ if !is_aside && seal::is_first_format(&bytes) => {
                let is_ours = key.is_some_and(|key| key.is_of_first(&bytes));
                let state = if is_ours {
                    KeptState::Former
                } else {
                    KeptState::Closed
                };
                (None, state)
            }
            _ => (seal::claimed_owner(&bytes), KeptState::Damaged),
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
        let bytes = disk::read_private(&self.file).ok().flatten();
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
        disk::remove(&self.file).map_err(|error| io_error(&self.file, "removed", &error))
    }
}
