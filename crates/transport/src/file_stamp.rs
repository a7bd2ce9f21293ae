//! Detects that a file has changed without reading it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What changes when a file is written, renamed over, or when a symbolic link
/// on the way to it is switched, as certbot and Kubernetes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileStamp {
    /// The stamp of the file as it is now. None for a file that is not there.
    pub fn take(file: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(file).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, write};

    use super::*;

    #[test]
    fn a_file_of_the_same_length_and_time_is_not_taken_for_the_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("profiles.toml");
        assert_eq!(FileStamp::take(&path), None);
        write(&path, "one").unwrap();
        let before = FileStamp::take(&path);
        let modified = path.metadata().unwrap().modified().unwrap();
        assert_eq!(FileStamp::take(&path), before);
        // The clock of the file system may stand still for some milliseconds.
        let is_told_apart = (0..5_000).any(|_| {
            write(&path, "two").unwrap();
            File::open(&path).unwrap().set_modified(modified).unwrap();
            FileStamp::take(&path) != before
        });
        assert!(is_told_apart);
    }
}
