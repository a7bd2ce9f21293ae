//! Listening on a Unix domain socket (unix(7)) that only its owner can open.
//!
//! The socket file is created with mode 0600 before anybody can connect. A file that a
//! dead process left is replaced. That is decided under a lock on the directory, so of
//! two processes that start at once one is refused, and neither takes over the other's
//! socket. The file is deleted with the listener.

use std::fs::{self, File, Metadata, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixSocket};
use tokio::time::sleep;

/// A socket file that is listened on.
#[derive(Debug)]
pub struct SocketFile {
    listener: UnixListener,
    path: PathBuf,
    /// Device and number of the file: another may stand there at the end.
    id: (u64, u64),
}

/// Why a socket file cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum SocketFault {
    /// Somebody answers there.
    #[error("{0} is in use by another process")]
    InUse(PathBuf),
    /// What is there was not made by listening, and is left as it is.
    #[error("{0} already exists and is not a socket")]
    NoSocket(PathBuf),
    /// Others hold the directory for too long.
    #[error("the directory of {0} is locked by another process")]
    Locked(PathBuf),
    /// The system refuses.
    #[error("cannot listen on {path}: {error}")]
    Io {
        /// The socket file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Of the connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// What a socket file is called until it is listened on, under the lock of its
/// directory. Short, since a path of a socket is.
const DRAFT: &str = ".countersign.sock";

/// How often, and after which pause, a locked directory is tried again.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

impl SocketFile {
    /// Listens at `path`, whose directory must exist.
    ///
    /// # Errors
    ///
    /// Somebody listens there, something else stands there, or the system
    /// refuses.
    pub async fn bind(path: &Path) -> Result<Self, SocketFault> {
        let refused = |error| SocketFault::Io {
            path: path.to_owned(),
            error,
        };
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let directory = File::open(directory).map_err(refused)?;
        lock(&directory, path).await?;
        clear(path)?;
        let bound = listen(path).map_err(refused)?;
        drop(directory);
        Ok(bound)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|it| id(&it) == self.id);
        if is_ours {
            // Nobody is left to tell; the next to listen there replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Locks the directory, until it is dropped.
async fn lock(directory: &File, path: &Path) -> Result<(), SocketFault> {
    for _ in 0..TRIES {
        match directory.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => sleep(PAUSE).await,
            Err(TryLockError::Error(error)) => {
                let path = path.to_owned();
                return Err(SocketFault::Io { path, error });
            }
        }
    }
    Err(SocketFault::Locked(path.to_owned()))
}

/// Removes a socket on which nobody listens any more.
fn clear(path: &Path) -> Result<(), SocketFault> {
    let refused = |error| SocketFault::Io {
        path: path.to_owned(),
        error,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refused(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SocketFault::NoSocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(refused)
        }
        // A full backlog, or one that we may not open, is somebody's too.
        _ => Err(SocketFault::InUse(path.to_owned())),
    }
}

/// The file gets its name once it is listened on: who sees it can connect. The
/// mode is set before that.
fn listen(path: &Path) -> io::Result<SocketFile> {
    let draft = path.with_file_name(DRAFT);
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = UnixSocket::new_stream()?;
    socket.bind(&draft)?;
    fs::set_permissions(&draft, Permissions::from_mode(0o600))?;
    let id = id(&fs::symlink_metadata(&draft)?);
    let listener = socket.listen(BACKLOG)?;
    fs::rename(&draft, path)?;
    let path = path.to_owned();
    Ok(SocketFile { listener, path, id })
}

fn id(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pay.sock");
        (directory, path)
    }

    #[tokio::test]
    async fn only_the_owner_can_open_it_and_it_goes_with_the_listener() {
        let (_directory, path) = place();
        let bound = SocketFile::bind(&path).await.unwrap();
        let mode = fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(bound);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn who_sees_the_file_can_connect() {
        let (_directory, path) = place();
        for _ in 0..200 {
            let seen = path.clone();
            let waiter = std::thread::spawn(move || {
                while !seen.exists() {
                    std::hint::spin_loop();
                }
                UnixStream::connect(&seen).map(drop)
            });
            let bound = SocketFile::bind(&path).await.unwrap();
            waiter.join().unwrap().unwrap();
            drop(bound);
        }
    }

    #[tokio::test]
    async fn what_a_dead_process_left_is_replaced() {
        let (_directory, path) = place();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the standard library leaves it behind");
        let bound = SocketFile::bind(&path).await.unwrap();
        assert!(UnixStream::connect(bound.path()).is_ok());
    }

    #[tokio::test]
    async fn one_that_is_in_use_is_refused_and_goes_on() {
        let (_directory, path) = place();
        let first = SocketFile::bind(&path).await.unwrap();
        let second = SocketFile::bind(&path).await.unwrap_err();
        assert!(matches!(second, SocketFault::InUse(_)), "{second}");
        assert!(UnixStream::connect(&path).is_ok());
        drop(first);
        SocketFile::bind(&path).await.unwrap();
    }

    #[tokio::test]
    async fn of_many_that_start_at_once_beside_a_dead_one_one_listens() {
        let (_directory, path) = place();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let starts: Vec<_> = (0..16)
            .map(|_| {
                let path = path.clone();
                tokio::spawn(async move { SocketFile::bind(&path).await })
            })
            .collect();
        let mut bound = Vec::new();
        for start in starts {
            bound.extend(start.await.unwrap().ok());
        }
        assert_eq!(bound.len(), 1);
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_as_it_is() {
        let (_directory, path) = place();
        fs::write(&path, "mine").unwrap();
        let refused = SocketFile::bind(&path).await.unwrap_err();
        assert!(matches!(refused, SocketFault::NoSocket(_)), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[tokio::test]
    async fn a_file_that_another_put_in_its_place_is_left_as_it_is() {
        let (_directory, path) = place();
        let bound = SocketFile::bind(&path).await.unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "theirs").unwrap();
        drop(bound);
        assert!(path.exists());
    }
}
