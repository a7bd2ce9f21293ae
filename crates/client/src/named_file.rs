//! Small files that an operator or integrator names. They are read completely or not at
//! all, waiting for one has a limit, and no copy of its content is left in memory.
//!
//! A pipe is read like a file, for at most five seconds: `<(…)` of a shell and a piped
//! `/dev/stdin` are pipes, and programs that manage secrets often pass them on that way.

use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

/// How long a pipe may take to end.
const PIPE_LIMIT: Duration = Duration::from_secs(5);

/// How often a pipe is checked for more.
const PIPE_PAUSE: Duration = Duration::from_millis(10);

/// An open file that has an end, or a pipe.
#[derive(Debug)]
pub struct NamedFile {
    file: File,
    metadata: Metadata,
    /// Whether a writer may still come: to a pipe that has a name. That of a pipe without
    /// one, such as `<(…)`, is there from the start.
    writer_may_come: bool,
}

/// How long a pipe is waited for.
#[derive(Clone, Copy)]
enum PipePatience {
    /// Until all is there.
    ForAll(Duration),
    /// Until there is a writer.
    ForWriter(Duration),
}

impl PipePatience {
    fn check(self, begun: Instant) -> io::Result<()> {
        let (limit, what) = match self {
            Self::ForAll(limit) => (limit, "that was not closed"),
            Self::ForWriter(limit) => (limit, "that nobody wrote to"),
        };
        if begun.elapsed() < limit {
            return Ok(());
        }
        let told = format!("it is a pipe {what} within {} seconds", limit.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, told))
    }
}

impl NamedFile {
    /// More bytes than any secret or key has.
    pub const LARGEST_SECRET: u64 = 64 << 10;
    /// More bytes than settings or certificates have.
    pub const LARGEST_TEXT: u64 = 4 << 20;

    /// Opens a regular file, a pipe (without waiting for its writer), or `/dev/null`.
    ///
    /// # Errors
    ///
    /// It is something else, such as a directory or device, or it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let is_nothing = path == Path::new("/dev/null");
        Self::of_kind(path, |kind| kind.is_file() || kind.is_fifo() || is_nothing)
    }

    /// Opens a regular file or a pipe that contains a key. The null device contains none,
    /// and its mode cannot be corrected.
    ///
    /// # Errors
    ///
    /// It is something else, or it cannot be opened.
    pub fn key(path: &Path) -> io::Result<Self> {
        Self::of_kind(path, |kind| kind.is_file() || kind.is_fifo())
    }

    /// Opens a regular file and nothing else, for a file that is read again and again.
    ///
    /// # Errors
    ///
    /// It is something else, or it cannot be opened.
    pub fn regular(path: &Path) -> io::Result<Self> {
        Self::of_kind(path, FileType::is_file)
    }

    fn of_kind(path: &Path, fits: impl Fn(&FileType) -> bool) -> io::Result<Self> {
        let check = |metadata: Metadata| match fits(&metadata.file_type()) {
            true => Ok(metadata),
            false => Err(io::Error::other("it is not a regular file")),
        };
        // Some devices do something where they are only opened.
        check(fs::metadata(path)?)?;
        let without_waiting = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = File::options()
            .read(true)
            .custom_flags(without_waiting)
            .open(path)?;
        let metadata = check(file.metadata()?)?;
        let has_name = fs::canonicalize(path).is_ok();
        Ok(Self {
            writer_may_come: metadata.file_type().is_fifo() && has_name,
            file,
            metadata,
        })
    }

    /// The metadata of the open file.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// All bytes of the file.
    ///
    /// # Errors
    ///
    /// It has more than `most` bytes, cannot be read, or is a pipe that did not end in
    /// time.
    pub fn bytes(self, most: u64) -> io::Result<Zeroizing<Vec<u8>>> {
        self.read_all(most, PipePatience::ForAll(PIPE_LIMIT))
    }

    /// The whole text of the file.
    ///
    /// # Errors
    ///
    /// As [`NamedFile::bytes`], and if it is not UTF-8.
    pub fn text(self, most: u64) -> io::Result<Zeroizing<String>> {
        let bytes = self.bytes(most)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "stream did not contain valid UTF-8",
            )
        })?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// All of it, whatever its size, and however long a writer to a pipe takes once there is
    /// one.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is a pipe that nobody wrote to in time.
    pub fn body(self) -> io::Result<Zeroizing<Vec<u8>>> {
        self.read_all(u64::MAX, PipePatience::ForWriter(PIPE_LIMIT))
    }

    fn read_all(mut self, most: u64, patience: PipePatience) -> io::Result<Zeroizing<Vec<u8>>> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        // Room for all of it from the start: a buffer that grows leaves copies behind.
        let length = usize::try_from(self.metadata.len()).unwrap_or(usize::MAX);
        let mut bytes = Zeroizing::new(Vec::with_capacity(length.max(4_096).min(most)));
        let mut part = Zeroizing::new([0; 4_096]);
        let mut begun = Instant::now();
        loop {
            match self.file.read(&mut *part) {
                // Nobody has written yet.
                Ok(0) if self.writer_may_come && bytes.is_empty() => {}
                Ok(0) => return Ok(bytes),
                Ok(read) if read > most - bytes.len() => return Err(too_large(most)),
                Ok(read) => {
                    bytes.extend_from_slice(part.get(..read).unwrap_or_default());
                    continue;
                }
                // Somebody is there and has not written yet.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if matches!(patience, PipePatience::ForWriter(_)) {
                        begun = Instant::now();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            patience.check(begun)?;
            std::thread::sleep(PIPE_PAUSE);
        }
    }
}

fn too_large(most: usize) -> io::Error {
    let told = match most {
        most if most >= 1 << 20 => format!("{} MiB", most >> 20),
        most if most >= 1 << 10 => format!("{} KiB", most >> 10),
        most => format!("{most} bytes"),
    };
    io::Error::other(format!("it is larger than {told}"))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::process::Command;

    use super::*;

    fn read(path: &Path, most: u64) -> Result<String, String> {
        let opened = NamedFile::open(path).and_then(|it| it.text(most));
        opened.map(|it| it.to_string()).map_err(|it| it.to_string())
    }

    fn pipe(directory: &tempfile::TempDir) -> std::path::PathBuf {
        let path = directory.path().join("pipe");
        assert!(
            Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        path
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "x".repeat(10_240)).unwrap();
        assert_eq!(read(&path, 10_240).unwrap().len(), 10_240);
        assert_eq!(read(&path, 10_239).unwrap_err(), "it is larger than 9 KiB");
        fs::write(&path, b"\xff").unwrap();
        assert!(read(&path, 10).unwrap_err().contains("UTF-8"));
        fs::write(&path, b"").unwrap();
        assert_eq!(read(&path, 10).unwrap(), "");
    }

    #[test]
    fn what_has_no_end_or_is_no_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        for path in [Path::new("/dev/zero"), directory.path()] {
            assert_eq!(read(path, 10).unwrap_err(), "it is not a regular file");
        }
        assert_eq!(read(Path::new("/dev/null"), 10).unwrap(), "");
        assert!(NamedFile::key(Path::new("/dev/null")).is_err());
        let missing = NamedFile::open(&directory.path().join("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let refused = NamedFile::regular(&pipe(&directory)).unwrap_err();
        assert_eq!(refused.to_string(), "it is not a regular file");
    }

    #[test]
    fn a_pipe_is_read_to_its_end_and_not_waited_for_longer() {
        let directory = tempfile::tempdir().unwrap();
        let path = pipe(&directory);
        let writer = std::thread::spawn({
            let path = path.clone();
            move || fs::write(path, "secret\n").unwrap()
        });
        assert_eq!(read(&path, 100).unwrap(), "secret\n");
        writer.join().unwrap();
        let opened = NamedFile::open(&path).unwrap();
        let late = opened
            .read_all(100, PipePatience::ForAll(Duration::ZERO))
            .unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        let endless = NamedFile::open(&path).unwrap();
        // Somebody holds the other end and writes less than all.
        let mut held = File::options().write(true).open(&path).unwrap();
        io::Write::write_all(&mut held, b"sec").unwrap();
        let late = endless
            .read_all(100, PipePatience::ForAll(Duration::ZERO))
            .unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_pipe_of_a_shell_that_is_closed_empty_is_empty() {
        let (read_end, write_end) = io::pipe().unwrap();
        drop(write_end);
        let path = format!("/dev/fd/{}", read_end.as_raw_fd());
        let opened = NamedFile::open(Path::new(&path)).unwrap();
        let body = opened.read_all(100, PipePatience::ForWriter(Duration::ZERO));
        assert_eq!(body.unwrap().as_slice(), b"");
    }

    #[test]
    fn a_body_is_waited_for_while_somebody_writes_and_no_longer() {
        let directory = tempfile::tempdir().unwrap();
        let path = pipe(&directory);
        let nobody = NamedFile::open(&path).unwrap();
        let late = nobody.read_all(100, PipePatience::ForWriter(Duration::ZERO));
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let awaited = NamedFile::open(&path).unwrap();
        let mut writer = File::options().write(true).open(&path).unwrap();
        let writing = std::thread::spawn(move || {
            for part in ["slow", "ly"] {
                std::thread::sleep(PIPE_PAUSE * 3);
                io::Write::write_all(&mut writer, part.as_bytes()).unwrap();
            }
        });
        let read = awaited.read_all(100, PipePatience::ForWriter(PIPE_PAUSE * 2));
        assert_eq!(read.unwrap().as_slice(), b"slowly");
        writing.join().unwrap();
    }
}
