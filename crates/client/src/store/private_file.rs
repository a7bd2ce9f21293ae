//! Files that are their owner's alone, replaced whole or not at all.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;

use super::StoreError;

/// More than any record is.
const MAX_FILE: u64 = 1 << 20;

/// The directory that a file is in.
pub(super) fn directory(path: &Path) -> &Path {
    let parent = path.parent();
    let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// A directory that only its owner can enter.
pub(super) fn private_directory(path: &Path) -> Result<Metadata, StoreError> {
    let made = make_directory(path);
    let metadata = made.map_err(|error| io_error(path, "made", &error))?;
    check_directory(path, &metadata)?;
    Ok(metadata)
}

/// A directory. If it is missing it is made, as are those above it, so that only
/// this user can enter it.
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
            "run `chmod 700 {}`, or name a directory that is for nothing else",
            path.display()
        ),
    })
}

/// The bytes of a file that only its owner can read; `None` if there is none. Of
/// one that is longer than any record, a little more than that; of what is no
/// file, none.
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

/// Whether what is there is no file, or one that not even its owner may read. A
/// link is no file: what it leads to stays as it is, wherever the link goes.
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

/// How many damaged files of one name are kept; the last one gives way.
const MOST_ASIDE: u32 = 9;

/// What the name of a file that was set aside goes on with.
pub(super) const ASIDE: &str = ".damaged";

/// Gives what is at `path` another name beside it, and tells that. Nobody else
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

/// Gives a file another name, for good.
pub(super) fn move_to(path: &Path, other: &Path) -> io::Result<()> {
    fs::rename(path, other)?;
    sync_directory(other)
}

/// The file at `path` itself: a link is not followed, since a new file would
/// take the place of the link and not of what it leads to.
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

/// Refuses what is no file, without opening it.
pub(super) fn check_kind(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(io::Error::other("it is no regular file, or a link to one"))
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

/// A file of root's in another's directory locks that one out, and a file of
/// another in one's own is none of one's own.
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

/// Whether two are one file.
pub(super) fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// A new file beside the one that it shall become. It goes with its process,
/// or, if that was killed, with the next writer.
pub(super) struct DraftFile {
    path: PathBuf,
    file: File,
    done: bool,
}

impl DraftFile {
    /// An empty draft of the file at `path`, with a name that no other has. The
    /// directory is this user's.
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

    /// Writes all of it, and makes it durable.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.file.sync_all()
    }

    /// Puts it in the place of the file at `path`.
    pub(super) fn replace(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.done = true;
        sync_directory(path)
    }

    /// Gives it the name `path`, if nothing has it.
    pub(super) fn publish(self, path: &Path) -> io::Result<()> {
        fs::hard_link(&self.path, path)?;
        sync_directory(path)
    }
}

impl Drop for DraftFile {
    fn drop(&mut self) {
        if !self.done {
            // Who is killed here leaves one too: the next writer sweeps.
            let _ = fs::remove_file(&self.path);
        }
    }
}

const DRAFT: &str = ".draft";

fn draft_name(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    rand::fill(&mut random).map_err(|Unspecified| io::Error::other("no random bytes"))?;
    Ok(beside(path, &format!(".{}{DRAFT}", hex::encode(random))))
}

/// The path with something appended to its last name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes the drafts of the file at `path` that killed writers left behind. One
/// that stays does no harm.
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

/// Removes a file for good; one that is not there is removed.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) => Ok(()),
        Ok(()) => sync_directory(path),
    }
}

/// Makes the name of what is at `path` durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory(path))?.sync_all()
}

/// The file system refused.
pub(super) fn io_error(path: &Path, what: &'static str, error: &io::Error) -> StoreError {
    StoreError::Io {
        file: path.display().to_string(),
        what,
        why: error.to_string(),
    }
}
