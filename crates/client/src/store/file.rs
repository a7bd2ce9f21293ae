//! A sealed file, shared by all processes of a user.
//!
//! A record is written beside the old one, made durable, and then takes its
//! place: a reader finds the old one or the new one, and so does whoever starts
//! after a crash. Where the locks of a file system do not hold, the serial in the
//! record is compared right before that.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{self, Draft, io_error};
use super::lock::{Gate, Held};
use super::seal::{Owner, SealKey};
use super::{Locked, Store, StoreError, Written, faster, payload};
use crate::{BoxFuture, Record};

/// Keeps the record in a sealed file. Clones share it, and so do all processes
/// with the same path and key.
#[derive(Clone)]
pub struct FileStore(Arc<Inner>);

struct Inner {
    file: SealedFile,
    gate: Gate,
}

struct SealedFile {
    path: PathBuf,
    key: SealKey,
    owner: Owner,
}

impl FileStore {
    /// The store in the file at `path`, which is made when something is kept.
    ///
    /// `owner` says whose session it is: name, URL and login of the profile. The
    /// file of another does not open.
    pub fn open(path: impl Into<PathBuf>, key: SealKey, owner: &[&str]) -> Self {
        let path = path.into();
        let gate = Gate::before(&path);
        let owner = Owner::new(owner);
        let file = SealedFile { path, key, owner };
        Self(Arc::new(Inner { file, gate }))
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.0.file.path
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileStore").field(&self.path()).finish()
    }
}

impl Store for FileStore {
    fn read(&self) -> BoxFuture<'_, Result<Option<Record>, StoreError>> {
        let store = self.0.clone();
        Box::pin(blocking(&self.0.file.path, move || store.file.read()))
    }

    fn lock(&self) -> BoxFuture<'_, Result<Box<dyn Locked>, StoreError>> {
        Box::pin(async {
            let held = self.0.gate.enter().await?;
            let locked = LockedFile(Arc::new(Shared {
                store: self.0.clone(),
                _held: held,
            }));
            let swept = |file: &SealedFile| {
                file.sweep();
                Ok(())
            };
            locked.work(swept).await?;
            Ok(Box::new(locked) as Box<dyn Locked>)
        })
    }
}

struct LockedFile(Arc<Shared>);

/// What is being written is still written when the task that asked for it is
/// gone, and the lock holds until then.
struct Shared {
    store: Arc<Inner>,
    _held: Held,
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

impl Locked for LockedFile {
    fn read(&mut self) -> BoxFuture<'_, Result<Option<Record>, StoreError>> {
        Box::pin(self.work(SealedFile::read))
    }

    fn write<'a>(&'a mut self, record: &'a Record) -> BoxFuture<'a, Result<Written, StoreError>> {
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

impl SealedFile {
    fn read(&self) -> Result<Option<Record>, StoreError> {
        let Some(bytes) = disk::read_private(&self.path)? else {
            return Ok(None);
        };
        let sealed = |why: &str| StoreError::Sealed {
            file: self.path.display().to_string(),
            why: why.to_owned(),
        };
        let text = self.key.open(&self.owner, &bytes).map_err(sealed)?;
        let record = payload::read(&text);
        record
            .ok_or_else(|| sealed("what is in it is unknown to this version"))
            .map(Some)
    }

    /// A draft is gone if another swept it, which can only be where locks do not
    /// hold: then that one is probably faster, which the next try finds out.
    fn write(&self, record: &Record) -> Result<Written, StoreError> {
        let failed = |error: io::Error| io_error(&self.path, "written", &error);
        let bytes = self.sealed(record).map_err(failed)?;
        loop {
            let draft = self.draft(&bytes)?;
            if let Some(lost) = faster(self.read()?.as_ref(), record) {
                return Ok(Written::Lost(lost));
            }
            match draft.replace(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => return other.map(|()| Written::Done).map_err(failed),
            }
        }
    }

    fn draft(&self, bytes: &[u8]) -> Result<Draft, StoreError> {
        let around = disk::private_directory(disk::directory(&self.path))?;
        let written = Draft::of(&self.path, &around).and_then(|mut draft| {
            draft.write(bytes)?;
            Ok(draft)
        });
        written.map_err(|error| io_error(&self.path, "written", &error))
    }

    fn sealed(&self, record: &Record) -> io::Result<Vec<u8>> {
        let text = payload::write(record)?;
        let sealed = self.key.seal(&self.owner, &text);
        sealed.map_err(|_| io::Error::other("it could not be sealed"))
    }

    fn clear(&self) -> Result<(), StoreError> {
        self.sweep();
        disk::remove(&self.path).map_err(|error| io_error(&self.path, "removed", &error))
    }

    fn sweep(&self) {
        disk::sweep(&self.path);
    }
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
        let held = store.0.gate.enter().await.unwrap();
        let locked = LockedFile(Arc::new(Shared {
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
