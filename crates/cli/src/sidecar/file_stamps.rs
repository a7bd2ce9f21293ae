//! Detects that files have changed without reading them.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What tells one state of some files from another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamps(Vec<Option<Stamp>>);

/// Device, number, length, and when it was changed.
type Stamp = (u64, u64, u64, i64, i64);

impl Stamps {
    /// As the files are now; one that is not there is a state too.
    pub(super) fn now(files: &[PathBuf]) -> Self {
        let stamp = |file: &PathBuf| {
            let it = std::fs::metadata(file).ok()?;
            Some((it.dev(), it.ino(), it.len(), it.mtime(), it.mtime_nsec()))
        };
        Self(files.iter().map(stamp).collect())
    }
}
