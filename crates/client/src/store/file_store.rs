//! A sealed file, shared by all processes of a user.
//!
//! A record is written to a new file beside the old one, made durable, and then
//! replaces it: a reader finds the old one or the new one, and so does a process that
//! starts after a crash. In case the file system's locks do not work, the serial in
//! the record is compared right before that.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::interprocess_lock::{InterprocessLock, InterprocessLockGuard};
use super::private_file::io_error;
use super::seal::SealKey;
use super::sealed_file::SealedFile;
use super::session_owner::SessionOwner;
use super::{LockedStore, SessionStore, StoreError, WriteOutcome};
use crate::{BoxFuture, SessionRecord};

/// Stores the record in a sealed file. Clones share it, and so do all processes with
/// the same path and key.
#[derive(Clone)]
pub struct FileStore(Arc<FileStoreState>);

struct FileStoreState {
    file: SealedFile,
    gate: InterprocessLock,
}

impl FileStore {
    /// A store in the file at `path`, which is created with the first record.
    ///
    /// `owner` says whose session it is: name, URL and login of the profile. A file
    /// of another owner is set aside.
    pub fn open(path: impl Into<PathBuf>, key: SealKey, owner: &[&str]) -> Self {
        Self::at(path.into(), key, SessionOwner::from_words(owner), None)
    }

    /// A store in a directory, in a file that is named after the owner of the session
    /// ([`SessionOwner::file`]): another URL or login has another file. A file that
    /// an older release named after the profile alone is taken over, if it has the
    /// same owner.
    pub fn in_directory(directory: &Path, key: SealKey, owner: SessionOwner) -> Self {
        let former = owner.former_file(directory);
        Self::at(owner.file(directory), key, owner, Some(former))
    }

    pub(super) fn at(
        path: PathBuf,
        key: SealKey,
        owner: SessionOwner,
        former: Option<PathBuf>,
    ) -> Self {
        let gate = InterprocessLock::beside(&path);
        let file = SealedFile {
            path,
            key,
            owner,
            former,
        };
        Self(Arc::new(FileStoreState { file, gate }))
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.0.file.path
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileStore").field(&self.path()).finish()
    }
}

impl SessionStore for FileStore {
    fn read(&self) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        let store = self.0.clone();
        Box::pin(blocking(&self.0.file.path, move || {
            store.file.read_unlocked()
        }))
    }

    fn lock(&self) -> BoxFuture<'_, Result<Box<dyn LockedStore>, StoreError>> {
        Box::pin(async {
            let held = self.0.gate.lock().await?;
            let locked = LockedFile(Arc::new(LockedFileState {
                store: self.0.clone(),
                _held: held,
            }));
            let prepare = |file: &SealedFile| {
                file.sweep();
                file.take_over()
            };
            locked.work(prepare).await?;
            Ok(Box::new(locked) as Box<dyn LockedStore>)
        })
    }
}

struct LockedFile(Arc<LockedFileState>);

/// A write goes on when the task that asked for it is gone, and the lock holds until
/// it is done.
struct LockedFileState {
    store: Arc<FileStoreState>,
    _held: InterprocessLockGuard,
}

impl LockedFile {
    fn work<'a, T: Send + 'static>(
        &'a self,
        work: impl FnOnce(&SealedFile) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send + 'a {
        let shared = self.0.clone();
        blocking(&self.0.store.file.path, move || work(&shared.store.file))
    }
}

impl LockedStore for LockedFile {
    fn read(&mut self) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        Box::pin(self.work(SealedFile::read_or_set_aside))
    }

    fn write<'a>(
        &'a mut self,
        record: &'a SessionRecord,
    ) -> BoxFuture<'a, Result<WriteOutcome, StoreError>> {
        let record = record.clone();
        Box::pin(self.work(move |file| file.write(&record)))
    }

    fn clear(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.work(SealedFile::clear))
    }
}

async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io_error(path, "used", &io::Error::other(error))))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn the_lock_outlives_the_task_that_does_not_wait_for_its_write() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/pay.session");
        let store = FileStore::open(path, SealKey::from_bytes(&[1; 32]), &["pay"]);
        let held = store.0.gate.lock().await.unwrap();
        let locked = LockedFile(Arc::new(LockedFileState {
            store: store.0.clone(),
            _held: held,
        }));
        let (go_on, wait) = mpsc::channel();
        let writing = locked.work(move |_| {
            let _ = wait.recv();
            Ok(())
        });
        assert!(timeout(Duration::ZERO, writing).await.is_err());
        drop(locked);
        let early = timeout(Duration::from_millis(20), store.lock()).await;
        assert!(early.is_err(), "the write goes on");
        go_on.send(()).unwrap();
        assert!(store.lock().await.is_ok());
    }
}
