//! Detects that a file has changed without reading it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What changes when a file is written, renamed over, or when a symbolic link
/// on the way to it is switched, as certbot and Kubernetes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileStamp {
    /// None for a file that is not there.
    pub(super) fn take(file: &Path) -> Option<Self> {
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
