//! Files that only their owner can read, replaced whole or not at all.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;

use super::StoreError;

/// The size of the largest file that is read. No record is that long.
const MAX_FILE: u64 = 1 << 20;

/// The directory that a file is in.
pub(super) fn directory(path: &Path) -> &Path {
    let parent = path.parent();
    let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Checks, and creates if it is missing, a directory that only its owner can enter.
pub(super) fn private_directory(path: &Path) -> Result<Metadata, StoreError> {
    let made = make_directory(path);
    let metadata = made.map_err(|error| io_error(path, "made", &error))?;
    check_directory(path, &metadata)?;
    Ok(metadata)
}

/// Creates a directory, and those above it, so that only this user can enter them.
/// One that exists is left as it is.
pub(super) fn make_directory(path: &Path) -> io::Result<Metadata> {
    if let Ok(found) = fs::metadata(path) {
        return Ok(found);
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    sync_directory(path)?;
    fs::metadata(path)
}

fn check_directory(path: &Path, metadata: &Metadata) -> Result<(), StoreError> {
    if !metadata.is_dir() {
        let error = io::Error::from(io::ErrorKind::NotADirectory);
        return Err(io_error(path, "used", &error));
    }
    if metadata.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(StoreError::Exposed {
        file: path.display().to_string(),
        help: format!(
            "run `chmod 700 {}`, or choose a directory that is used for nothing else",
            path.display()
        ),
    })
}

/// Reads a file that only its owner can read; `None` if there is none. A file that is
/// too long for a record, or is not a regular file, is damaged.
pub(super) fn read_private(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let failed = |error: io::Error| io_error(path, "read", &error);
    let opened = match open_private(path) {
        Err(error) if is_unreadable(path) => {
            let why = error.to_string();
            return Err(damaged(path, &why));
        }
        other => other.map_err(failed)?,
    };
    let Some((file, metadata)) = opened else {
        return Ok(None);
    };
    check_mode(path, &metadata)?;
    let around = fs::metadata(directory(path)).map_err(failed)?;
    check_directory(directory(path), &around)?;
    check_owners(&metadata, &around).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(damaged(path, "it is too long for a session"));
    }
    Ok(Some(bytes))
}

/// Whether there is something else than a regular file, or a file that not even its
/// owner may read. A link is not followed: what it points to stays as it is.
fn is_unreadable(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| !it.is_file() || it.mode() & 0o400 == 0)
}

/// The file is not as it was written.
pub(super) fn damaged(path: &Path, why: &str) -> StoreError {
    StoreError::Damaged {
        file: path.display().to_string(),
        why: why.to_owned(),
    }
}

/// How many damaged files of one name are kept; a further one replaces the last.
const MOST_ASIDE: u32 = 9;

/// The suffix of a file that was set aside.
pub(super) const ASIDE: &str = ".damaged";

/// Renames the file at `path` to a free name beside it, and returns that. Nobody else
/// may be changing it.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let name = |nth: u32| match nth {
        1 => beside(path, ASIDE),
        _ => beside(path, &format!("{ASIDE}-{nth}")),
    };
    let is_free = |name: &PathBuf| fs::symlink_metadata(name).is_err();
    let free = (1..MOST_ASIDE).map(name).find(is_free);
    let aside = free.unwrap_or_else(|| name(MOST_ASIDE));
    move_to(path, &aside)?;
    Ok(aside)
}

/// Renames a file, durably.
pub(super) fn move_to(path: &Path, other: &Path) -> io::Result<()> {
    fs::rename(path, other)?;
    sync_directory(other)
}

/// Opens the file at `path` itself. A link is not followed, since a new file would
/// replace the link and not what it points to.
fn open_private(path: &Path) -> io::Result<Option<(File, Metadata)>> {
    let opened = fs::symlink_metadata(path).and_then(|seen| {
        check_kind(&seen)?;
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok((file, metadata))
    });
    match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// Refuses anything but a regular file, without opening it.
pub(super) fn check_kind(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(io::Error::other("it is not a regular file"))
}

/// Refuses a file that others can read.
pub(super) fn check_mode(path: &Path, metadata: &Metadata) -> Result<(), StoreError> {
    if metadata.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(StoreError::Exposed {
        file: path.display().to_string(),
        help: format!("run `chmod 600 {}`", path.display()),
    })
}

/// Refuses a file whose owner is not that of its directory: a file of root in the
/// directory of a user locks that user out, and a file of somebody else is not the
/// user's own.
fn check_owners(file: &Metadata, around: &Metadata) -> io::Result<()> {
    if file.uid() == around.uid() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "its directory belongs to the user with id {}, and the file to the one with id {}",
        around.uid(),
        file.uid()
    )))
}

/// Whether both are the same file.
pub(super) fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// A new file beside the one that it will replace. It is removed with its process or,
/// if that was killed, by the next writer.
pub(super) struct DraftFile {
    path: PathBuf,
    file: File,
    done: bool,
}

impl DraftFile {
    /// Creates an empty draft of the file at `path`, with a unique name. The
    /// directory belongs to this user.
    pub(super) fn create(path: &Path, around: &Metadata) -> io::Result<Self> {
        let name = draft_name(path)?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&name)?;
        let draft = Self {
            path: name,
            file,
            done: false,
        };
        check_owners(&draft.file.metadata()?, around)?;
        Ok(draft)
    }

    /// Writes all bytes, durably.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.file.sync_all()
    }

    /// Replaces the file at `path` with it.
    pub(super) fn replace(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.done = true;
        sync_directory(path)
    }

    /// Gives it the name `path`, unless that is taken.
    pub(super) fn publish(self, path: &Path) -> io::Result<()> {
        fs::hard_link(&self.path, path)?;
        sync_directory(path)
    }
}

impl Drop for DraftFile {
    fn drop(&mut self) {
        if !self.done {
            // A process that is killed here leaves a draft too, which the next writer
            // removes.
            let _ = fs::remove_file(&self.path);
        }
    }
}

const DRAFT: &str = ".draft";

fn draft_name(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    rand::fill(&mut random)
        .map_err(|Unspecified| io::Error::other("the system returned no random bytes"))?;
    Ok(beside(path, &format!(".{}{DRAFT}", hex::encode(random))))
}

/// The path with `suffix` appended to its last name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes the drafts of the file at `path` that killed writers left behind. One that
/// cannot be removed does no harm.
pub(super) fn sweep(path: &Path) {
    let Some(name) = path.file_name().map(|it| it.to_string_lossy()) else {
        return;
    };
    let is_draft = |entry: &fs::DirEntry| {
        let found = entry.file_name();
        let found = found.to_string_lossy();
        let rest = found.strip_prefix(&*name);
        rest.is_some_and(|rest| rest.starts_with('.') && rest.ends_with(DRAFT))
    };
    let entries = fs::read_dir(directory(path)).into_iter().flatten();
    for draft in entries.flatten().filter(is_draft) {
        let _ = fs::remove_file(draft.path());
    }
}

/// Removes a file durably; a missing one counts as removed.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) => Ok(()),
        Ok(()) => sync_directory(path),
    }
}

/// Makes the directory entry of `path` durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory(path))?.sync_all()
}

/// An error of the file system.
pub(super) fn io_error(path: &Path, what: &'static str, error: &io::Error) -> StoreError {
    StoreError::Io {
        file: path.display().to_string(),
        what,
        why: error.to_string(),
    }
}
