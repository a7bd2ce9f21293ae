//! Files of the data directory that only their owner can read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Opens a file for reading and writing, and creates it with mode 0600 if it is missing.
///
/// # Errors
///
/// The file cannot be opened or created.
pub fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Writes a file with mode 0600, replacing an existing one, completely or not at all.
///
/// # Errors
///
/// The file cannot be written, or its name cannot be made durable.
pub fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::rename(draft(path, bytes)?, path)?;
    sync_directory(path)
}

/// Writes a new file with mode 0600, completely or not at all. It never replaces a file.
pub(crate) fn create_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = draft(path, bytes)?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    linked?;
    sync_directory(path)
}

/// A durable file that does not have its name yet.
fn draft(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let draft = path.with_extension("draft");
    // What an earlier start that was cut off left behind was never in use, and may have
    // another mode.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(draft)
}

/// Makes the name of the file at `path` as durable as its bytes.
///
/// # Errors
///
/// The directory cannot be opened or synchronised.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_replaced_whole_and_its_owners_whatever_an_earlier_draft_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.url");
        let leftover = path.with_extension("draft");
        fs::write(&leftover, "half of something longer").unwrap();
        fs::set_permissions(&leftover, fs::Permissions::from_mode(0o666)).unwrap();
        for text in ["one", "two"] {
            replace_private(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!((mode(&path), leftover.exists()), (0o600, false));
        }
    }

    #[test]
    fn what_is_there_is_opened_as_it_is_and_never_created_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        drop(open_private(&path).unwrap());
        assert_eq!(mode(&path), 0o600);
        fs::write(&path, "kept").unwrap();
        drop(open_private(&path).unwrap());
        let refused = create_private(&path, b"new").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
    }
}
