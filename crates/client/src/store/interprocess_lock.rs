//! The lock over a whole renewal, for all processes: a file beside the session file
//! that is locked, never read, and never removed, since a process that still waits
//! for a removed file would hold a lock that nobody else sees.
//!
//! Waiting for the kernel's lock blocks. It is done on a thread of its own, at most
//! one for each store, so the runtime is not held up, neither now nor when it ends.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::{Mutex as TurnMutex, OwnedMutexGuard, oneshot};

use super::StoreError;
use super::private_file::{self, io_error};

/// Lets the tasks of this process wait, one by one, for the lock among all processes.
pub(super) struct InterprocessLock {
    path: PathBuf,
    turn: Arc<TurnMutex<()>>,
    desk: Arc<Mutex<LockHandover>>,
}

/// The task that gets the lock when the kernel grants it.
#[derive(Default)]
struct LockHandover {
    /// Whether a thread waits for the lock.
    waiting: bool,
    /// The task that waits for it. It may be gone by then.
    taker: Option<oneshot::Sender<Result<LockFile, StoreError>>>,
}

/// The lock. It is released when this is dropped, or with the process.
pub(super) struct InterprocessLockGuard {
    _lock: LockFile,
    _turn: OwnedMutexGuard<()>,
}

impl InterprocessLock {
    /// The lock of the file at `path`.
    pub(super) fn beside(path: &Path) -> Self {
        Self {
            path: private_file::beside(path, ".lock"),
            turn: Arc::default(),
            desk: Arc::default(),
        }
    }

    /// Waits until nobody else holds the lock. A task that stops waiting leaves
    /// nothing behind.
    pub(super) async fn lock(&self) -> Result<InterprocessLockGuard, StoreError> {
        let turn = self.turn.clone().lock_owned().await;
        let (taker, taken) = oneshot::channel();
        self.hand_lock_to(taker)?;
        let ended = || io_error(&self.path, "locked", &io::Error::other("its thread ended"));
        let lock = taken.await.map_err(|_| ended())??;
        Ok(InterprocessLockGuard {
            _lock: lock,
            _turn: turn,
        })
    }

    /// Hands the lock to `taker` when it is granted. A thread that waits on behalf of a
    /// task that is gone then waits for this one.
    fn hand_lock_to(
        &self,
        taker: oneshot::Sender<Result<LockFile, StoreError>>,
    ) -> Result<(), StoreError> {
        let mut desk = at(&self.desk);
        desk.taker = Some(taker);
        if desk.waiting {
            return Ok(());
        }
        let (path, shared) = (self.path.clone(), self.desk.clone());
        let thread = thread::Builder::new().name("countersign-lock".into());
        let spawned = thread.spawn(move || hand_over(&path, &shared));
        spawned.map_err(|error| io_error(&self.path, "locked", &error))?;
        desk.waiting = true;
        Ok(())
    }
}

fn hand_over(path: &Path, desk: &Mutex<LockHandover>) {
    let lock = LockFile::take(path);
    let taker = {
        let mut desk = at(desk);
        desk.waiting = false;
        desk.taker.take()
    };
    // If the task is gone, the lock comes back here and ends.
    let _ = taker.map(|taker| taker.send(lock));
}

fn at(desk: &Mutex<LockHandover>) -> MutexGuard<'_, LockHandover> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The locked file.
pub(super) struct LockFile(File);

impl LockFile {
    /// Blocks until this process holds the lock.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let failed = |error: io::Error| io_error(path, "locked", &error);
        loop {
            let file = Self::open(path)?;
            lock(&file).map_err(failed)?;
            let locked = Self(file);
            // Whoever cleans up may have removed the file while it was waited for.
            if locked.is_at(path).map_err(failed)? {
                return Ok(locked);
            }
        }
    }

    fn open(path: &Path) -> Result<File, StoreError> {
        let failed = |error: io::Error| io_error(path, "locked", &error);
        let directory = private_file::directory(path);
        let around = private_file::private_directory(directory)?;
        match fs::symlink_metadata(path) {
            Ok(found) => private_file::check_kind(&found).map_err(failed)?,
            // Made only where a file of this user's belongs.
            Err(_) => drop(private_file::DraftFile::create(path, &around).map_err(failed)?),
        }
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(failed)
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        match fs::symlink_metadata(path) {
            Ok(found) => Ok(private_file::is_same(&found, &self.0.metadata()?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn lock(file: &File) -> io::Result<()> {
    loop {
        match file.lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

impl Drop for LockFile {
    /// Closing the file is not enough to end a lock if a forked child has a copy of it.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forked_child_that_lives_on_does_not_keep_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/lock");
        let lock = LockFile::take(&path).unwrap();
        // What a child has: another descriptor of the same open file.
        let of_child = lock.0.try_clone().unwrap();
        drop(lock);
        assert!(File::open(&path).unwrap().try_lock().is_ok());
        drop(of_child);
    }
}
