//! Where the session record is stored, and who may change it.

mod file_store;
#[doc(hidden)]
pub mod fuzzing;
mod interprocess_lock;
mod key_source;
mod keyring;
mod memory_store;
mod private_file;
mod record_json;
mod seal;
mod sealed_file;
mod session_owner;
mod stored_session;

pub use file_store::FileStore;
pub use memory_store::MemoryStore;
pub use seal::SealKey;
pub use session_owner::SessionOwner;
pub use stored_session::{StoredSession, StoredState};

use crate::{BoxFuture, SessionRecord};

/// Stores one session's record for every task and process that shares it.
pub trait SessionStore: Send + Sync + 'static {
    /// Reads the record without waiting for the lock. `None` if there is none.
    ///
    /// # Errors
    ///
    /// The record cannot be read.
    fn read(&self) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>>;

    /// Waits until nobody else changes the record. The lock is held until it is
    /// dropped; the kernel releases that of a process that was killed.
    ///
    /// # Errors
    ///
    /// The store cannot be locked.
    fn lock(&self) -> BoxFuture<'_, Result<Box<dyn LockedStore>, StoreError>>;
}

impl<S: SessionStore + ?Sized> SessionStore for std::sync::Arc<S> {
    fn read(&self) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        (**self).read()
    }

    fn lock(&self) -> BoxFuture<'_, Result<Box<dyn LockedStore>, StoreError>> {
        (**self).lock()
    }
}

/// The record while nobody else may change it.
pub trait LockedStore: Send {
    /// Reads the record. `None` if there is none.
    ///
    /// # Errors
    ///
    /// The record cannot be read.
    fn read(&mut self) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>>;

    /// Replaces the record whose serial is `record.serial - 1` (0: there is none). It
    /// is durable when this returns. If locks do not work, another process may have
    /// been faster: then nothing is written, and the record of that process is
    /// returned (the default record, of serial 0, if that process has removed the
    /// record).
    ///
    /// # Errors
    ///
    /// The record cannot be written.
    fn write<'a>(
        &'a mut self,
        record: &'a SessionRecord,
    ) -> BoxFuture<'a, Result<WriteOutcome, StoreError>>;

    /// Removes the record.
    ///
    /// # Errors
    ///
    /// The record cannot be removed.
    fn clear(&mut self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// The outcome of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// It is durable.
    Done,
    /// Another process was faster and wrote this record.
    Lost(Box<SessionRecord>),
}

/// A stored session cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("{file} cannot be {what}: {why}")]
    Io {
        /// The file.
        file: String,
        /// What was tried: "read", "written", "locked".
        what: &'static str,
        /// The system's message.
        why: String,
    },
    /// Another key sealed the file. It is left unchanged.
    #[error(
        "{file} cannot be opened with this key: another key sealed it, and it is left as it is"
    )]
    Sealed {
        /// The file.
        file: String,
    },
    /// The file is not as it was written. The next process that locks it sets it
    /// aside.
    #[error("{file} is damaged: {why}; the next use sets it aside and logs in again")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// Others could read or change it.
    #[error("others can read or change {file}")]
    Exposed {
        /// The file.
        file: String,
        /// What to do.
        help: String,
    },
    /// There is no key to seal the file with.
    #[error("{why}")]
    Key {
        /// What is wrong with it.
        why: String,
        /// What to do.
        help: Option<String>,
    },
}

impl StoreError {
    pub(crate) fn key(why: impl Into<String>) -> Self {
        let why = why.into();
        Self::Key { why, help: None }
    }

    pub(crate) fn key_with_help(why: impl Into<String>, help: impl Into<String>) -> Self {
        let (why, help) = (why.into(), Some(help.into()));
        Self::Key { why, help }
    }

    /// What to do about it, if there is something to do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Sealed { .. } => {
                Some("bring back the key, or remove the file to log in again".to_owned())
            }
            Self::Exposed { help, .. } => Some(help.clone()),
            Self::Key { help, .. } => help.clone(),
            Self::Io { .. } | Self::Damaged { .. } => None,
        }
    }
}

/// The record of a process that was faster than the writer of `next`.
fn faster(kept: Option<&SessionRecord>, next: &SessionRecord) -> Option<Box<SessionRecord>> {
    let kept_serial = kept.map_or(0, |kept| kept.serial);
    let expected = next.serial.checked_sub(1);
    (expected != Some(kept_serial)).then(|| Box::new(kept.cloned().unwrap_or_default()))
}
