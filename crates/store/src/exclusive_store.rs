//! A store that is not open yet: its head row is read, so that the master key can be
//! checked before anything is changed.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use countersign_domain::Timestamp;
use countersign_domain::revocation::RevocationNotice;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::Store;
use super::error::OpenError;
use super::file::{self, StoreFiles};
use super::reader::READERS;
use crate::clock::StoreClock;
use crate::seal::{CHECK_CONTEXT, CHECK_VALUE, MasterKey};

/// The file of a store, which no other process can open as long as this lives.
pub struct ExclusiveStore {
    path: PathBuf,
    lock: File,
    head: Option<StoreHead>,
}

/// The content of a store's head row.
pub struct StoreHead {
    /// The time of the last commit, before which the store's clock never starts.
    pub high_water: Timestamp,
    master_check: Option<Vec<u8>>,
}

impl StoreHead {
    /// Whether a master key was ever checked here.
    pub fn has_master(&self) -> bool {
        self.master_check.is_some()
    }

    /// Whether `master` is the key with which this store was created.
    pub fn is_master(&self, master: &MasterKey) -> bool {
        let kept = self.master_check.as_ref();
        let opened = kept.map(|kept| master.open_sealed(&CHECK_CONTEXT, kept));
        opened.is_some_and(|opened| opened.is_ok_and(|value| *value == CHECK_VALUE))
    }
}

impl ExclusiveStore {
    /// Reserves the file at `path` for this process and reads its head row. Only the lock
    /// file is created, and nothing is changed.
    pub fn at(path: &Path) -> Result<Self, OpenError> {
        let lock = file::lock(path)?;
        let head = read_head(path)?;
        Ok(Self {
            path: path.to_owned(),
            lock,
            head,
        })
    }

    /// The content of the head row; `None` if there is no store yet.
    pub fn head(&self) -> Option<&StoreHead> {
        self.head.as_ref()
    }

    /// Opens the store, which is created if it does not exist, and raises `clock` to its
    /// high-water mark. Upkeep does not run before [`Store::begin_upkeep`]. `notify` is
    /// called as described for [`Store::open`].
    pub fn open(
        self,
        clock: StoreClock,
        notify: impl Fn(&[RevocationNotice]) + Send + Sync + 'static,
    ) -> Result<Store, OpenError> {
        let files = StoreFiles::open(&self.path, self.lock, READERS)?;
        clock.raise(files.high_water);
        Store::over(files, clock, Box::new(notify))
    }

    /// Opens the store in order to correct its high-water mark: `clock` is not raised,
    /// and the next commit stores its time.
    pub(super) fn open_behind_its_mark(self, clock: StoreClock) -> Result<Store, OpenError> {
        let files = StoreFiles::open(&self.path, self.lock, READERS)?;
        Store::over(files, clock, Box::new(|_| {}))
    }
}

fn read_head(path: &Path) -> Result<Option<StoreHead>, OpenError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > 0 => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(file::io_error(path, source)),
    }
    let sqlite = |error| file::classify(path, error);
    let connection = connect(path).map_err(sqlite)?;
    let id = connection.query_row("PRAGMA application_id", [], |row| row.get::<_, i64>(0));
    if id.map_err(sqlite)? != file::APPLICATION_ID {
        return Err(OpenError::NotAStore(path.to_owned()));
    }
    head(&connection).map_err(|source| file::damaged(path, source))
}

/// The head row, unless the process that created the file died before it wrote one.
fn head(connection: &Connection) -> rusqlite::Result<Option<StoreHead>> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'head'";
    if connection.query_row(sql, [], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(None);
    }
    connection
        .query_row("SELECT clock, master_check FROM head", [], |row| {
            Ok(StoreHead {
                high_water: Timestamp::from_micros(row.get(0)?),
                master_check: row.get(1)?,
            })
        })
        .map(Some)
}

/// A connection that only reads and changes no file. Without a WAL, it treats the
/// database as immutable; with one, which a killed process leaves behind, it keeps the
/// index in memory and does not move the WAL into the database.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    if !Path::new(&wal).exists() {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        return Connection::open_with_flags(immutable(path), flags);
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    Ok(connection)
}

/// The path as an SQLite URI (<https://www.sqlite.org/uri.html>).
fn immutable(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri + "?immutable=1"
}
