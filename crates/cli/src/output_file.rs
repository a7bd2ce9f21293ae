//! Files that a person names for what a command writes. A pipe that nobody reads is not waited
//! for without end.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;

/// How long a pipe waits for its reader.
const READER_LIMIT: Duration = Duration::from_secs(5);

/// How often it is looked for.
const READER_PAUSE: Duration = Duration::from_millis(10);

/// Opens a file to write into it, and makes it if it is missing. What is in it stays until
/// something is written.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    match fs::metadata(path).is_ok_and(|it| it.file_type().is_fifo()) {
        true => open_pipe(path, &mut options, READER_LIMIT),
        false => options.open(path),
    }
}

/// Empties what [`open`] gave. A device or a pipe has no length.
pub(crate) fn clear(file: &File) -> io::Result<()> {
    match file.metadata().is_ok_and(|it| it.is_file()) {
        true => file.set_len(0),
        false => Ok(()),
    }
}

/// A pipe cannot be opened without waiting as long as nobody reads it.
fn open_pipe(path: &Path, options: &mut OpenOptions, limit: Duration) -> io::Result<File> {
    let options = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let begun = Instant::now();
    loop {
        match options.open(path) {
            Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => (),
            Err(error) => return Err(error),
            Ok(file) => {
                // Whoever reads may take his time.
                fcntl_setfl(&file, OFlags::empty())?;
                return Ok(file);
            }
        }
        if begun.elapsed() >= limit {
            let told = format!(
                "it is a pipe that nobody read within {} seconds",
                limit.as_secs()
            );
            return Err(io::Error::new(io::ErrorKind::TimedOut, told));
        }
        std::thread::sleep(READER_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::process::Command;

    use super::*;

    #[test]
    fn a_pipe_is_written_once_somebody_reads_and_not_waited_for_longer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let mut options = File::options();
        let late = open_pipe(&path, options.write(true), Duration::ZERO).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        let reader = std::thread::spawn({
            let path = path.clone();
            move || {
                let mut text = String::new();
                File::open(path).unwrap().read_to_string(&mut text).unwrap();
                text
            }
        });
        let mut file = open(&path).unwrap();
        clear(&file).unwrap();
        // More than a pipe holds: the reader takes its time.
        let long = "x".repeat(1 << 20);
        file.write_all(long.as_bytes()).unwrap();
        drop(file);
        assert_eq!(reader.join().unwrap(), long);
    }

    #[test]
    fn a_file_keeps_what_is_in_it_until_it_is_cleared() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "before").unwrap();
        let file = open(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        clear(&file).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        assert!(open(directory.path()).is_err());
    }
}
