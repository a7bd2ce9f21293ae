//! One sealed file: reading and replacing it, and what happens to a damaged one, or
//! to one that an older release left under its name.

use std::io;
use std::path::{Path, PathBuf};

use super::interprocess_lock::LockFile;
use super::private_file::{self, DraftFile, io_error};
use super::seal::{SealKey, UnsealError};
use super::session_owner::SessionOwner;
use super::session_store::faster;
use super::{StoreError, WriteOutcome, record_json};
use crate::SessionRecord;
use crate::warnings::warn;

pub(super) struct SealedFile {
    pub(super) path: PathBuf,
    pub(super) key: SealKey,
    pub(super) owner: SessionOwner,
    /// Where older releases stored the session, if it may still be there.
    pub(super) former: Option<PathBuf>,
}

impl SealedFile {
    /// Reads the record without the lock. Meanwhile the file may be renamed from its
    /// former name.
    pub(super) fn read_unlocked(&self) -> Result<Option<SessionRecord>, StoreError> {
        if let Some(record) = self.read(&self.path)? {
            return Ok(Some(record));
        }
        match self.read_former()? {
            Some(record) => Ok(Some(record)),
            None => self.read(&self.path),
        }
    }

    /// Reads the record under the lock. A damaged file is set aside, as if there had
    /// been no record.
    pub(super) fn read_or_set_aside(&self) -> Result<Option<SessionRecord>, StoreError> {
        match self.read(&self.path) {
            Err(StoreError::Damaged { why, .. }) => {
                set_aside(&self.path, &why)?;
                Ok(None)
            }
            other => other,
        }
    }

    fn read(&self, path: &Path) -> Result<Option<SessionRecord>, StoreError> {
        let Some(bytes) = private_file::read_private(path)? else {
            return Ok(None);
        };
        let plain = self
            .key
            .open(&self.owner, &bytes)
            .map_err(|why| match why {
                UnsealError::OtherKey => StoreError::Sealed {
                    file: path.display().to_string(),
                },
                UnsealError::Damaged(why) => private_file::damaged(path, why),
                UnsealError::OtherOwner => {
                    let why =
                        "it belongs to another profile, or to another url or login of this one";
                    private_file::damaged(path, why)
                }
            })?;
        let record = record_json::decode(&plain);
        let unknown = || private_file::damaged(path, "this version cannot read its content");
        record.ok_or_else(unknown).map(Some)
    }

    /// Reads the record that an older release stored of this session. One of another
    /// URL or login is left alone.
    fn read_former(&self) -> Result<Option<SessionRecord>, StoreError> {
        let Some(former) = &self.former else {
            return Ok(None);
        };
        match private_file::read_private(former)? {
            Some(bytes) if self.is_of_other_owner(&bytes) => Ok(None),
            Some(_) => self.read(former),
            None => Ok(None),
        }
    }

    fn is_of_other_owner(&self, bytes: &[u8]) -> bool {
        self.key.open(&self.owner, bytes) == Err(UnsealError::OtherOwner)
    }

    /// Renames the file of an older release in one step, so that it has one of the
    /// two names after a crash. The lock of that release is held meanwhile, since one
    /// of its processes may be about to write.
    pub(super) fn take_over(&self) -> Result<(), StoreError> {
        let Some(former) = &self.former else {
            return Ok(());
        };
        let is_there = |path: &Path| std::fs::symlink_metadata(path).is_ok();
        if !is_there(former) || is_there(&self.path) {
            return Ok(());
        }
        let _lock = LockFile::take(&private_file::beside(former, ".lock"))?;
        match self.read_former() {
            Ok(Some(record)) => {
                let moved = private_file::move_to(former, &self.path);
                moved.map_err(|error| io_error(former, "renamed", &error))?;
                tracing::info!(
                    file = %self.path.display(),
                    "the session of an older release was converted"
                );
                self.replace(&record)
            }
            Ok(None) => Ok(()),
            Err(StoreError::Damaged { why, .. }) => set_aside(former, &why),
            Err(error) => Err(error),
        }
    }

    /// If the draft is gone, another process swept it, which can happen only if locks
    /// do not work: then that process was probably faster, which the next try finds
    /// out.
    pub(super) fn write(&self, record: &SessionRecord) -> Result<WriteOutcome, StoreError> {
        let failed = |error: io::Error| io_error(&self.path, "written", &error);
        let bytes = self.sealed(record).map_err(failed)?;
        loop {
            let draft = self.draft(&bytes)?;
            if let Some(lost) = faster(self.read_or_set_aside()?.as_ref(), record) {
                return Ok(WriteOutcome::Lost(lost));
            }
            match draft.replace(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => return other.map(|()| WriteOutcome::Done).map_err(failed),
            }
        }
    }

    /// Writes the same record in the current format.
    fn replace(&self, record: &SessionRecord) -> Result<(), StoreError> {
        let failed = |error: io::Error| io_error(&self.path, "written", &error);
        let bytes = self.sealed(record).map_err(failed)?;
        self.draft(&bytes)?.replace(&self.path).map_err(failed)
    }

    fn draft(&self, bytes: &[u8]) -> Result<DraftFile, StoreError> {
        let around = private_file::private_directory(private_file::directory(&self.path))?;
        let written = DraftFile::create(&self.path, &around).and_then(|mut draft| {
            draft.write(bytes)?;
            Ok(draft)
        });
        written.map_err(|error| io_error(&self.path, "written", &error))
    }

    fn sealed(&self, record: &SessionRecord) -> io::Result<Vec<u8>> {
        let text = record_json::encode(record)?;
        let sealed = self.key.seal(&self.owner, &text);
        sealed.map_err(|_| io::Error::other("it could not be sealed"))
    }

    pub(super) fn clear(&self) -> Result<(), StoreError> {
        self.sweep();
        private_file::remove(&self.path).map_err(|error| io_error(&self.path, "removed", &error))
    }

    pub(super) fn sweep(&self) {
        private_file::sweep(&self.path);
    }
}

fn set_aside(path: &Path, why: &str) -> Result<(), StoreError> {
    let aside =
        private_file::set_aside(path).map_err(|error| io_error(path, "set aside", &error))?;
    let (path, aside) = (path.display(), aside.display());
    warn(&format!(
        "the session file {path} is damaged ({why}): it is kept as {aside}, and a new login takes \
         its place"
    ));
    Ok(())
}
