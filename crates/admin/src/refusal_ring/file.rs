//! The file of the ring: it is created, opened, or set aside if it cannot be used.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_store::private_file::open_private;
use rusqlite::{Connection, OpenFlags};

/// "CSNR", which identifies a database as a ring.
const APPLICATION_ID: i64 = 0x4353_4e52;
/// The version of the schema. A file with another one is set aside: it contains a week at
/// most.
const VERSION: i64 = 2;
const SCHEMA: &str = include_str!("schema.sql");
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// An open ring.
pub(super) struct RingFile {
    pub(super) path: PathBuf,
    pub(super) writer: Connection,
    pub(super) reader: Connection,
}

/// Why a file cannot be used as a ring.
#[derive(Debug, thiserror::Error)]
pub(super) enum RingFileFault {
    #[error("it is the file of another program or release")]
    Foreign,
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl RingFile {
    /// Opens the file. If it cannot be used, it is set aside and a new one is created.
    pub(super) fn open(path: &Path) -> Result<Self, RingFileFault> {
        let fault = match Self::try_open(path) {
            Ok(file) => return Ok(file),
            Err(fault) => fault,
        };
        tracing::warn!(
            %fault,
            path = %path.display(),
            "the file of refusals cannot be used: it is renamed, and a new one is created");
        put_aside(path)?;
        Self::try_open(path)
    }

    fn try_open(path: &Path) -> Result<Self, RingFileFault> {
        open_private(path)?;
        let writer = connect(path)?;
        // Before anything is written: what is not ours stays as it is.
        let is_new = identify(&writer)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        // A crash may cost the last seconds, and never the file.
        writer.pragma_update(None, "synchronous", "NORMAL")?;
        writer.pragma_update(None, "journal_size_limit", 16 << 20)?;
        if is_new {
            make(&writer)?;
        }
        let reader = connect(path)?;
        reader.pragma_update(None, "query_only", true)?;
        Ok(Self {
            path: path.to_owned(),
            writer,
            reader,
        })
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cache_size", -2_048)?;
    Ok(connection)
}

/// Whether the file is empty. Any other file must be a ring, and readable.
fn identify(connection: &Connection) -> Result<bool, RingFileFault> {
    let read = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let tables = read("SELECT count(*) FROM sqlite_schema")?;
    match (
        read("PRAGMA application_id")?,
        read("PRAGMA user_version")?,
        tables,
    ) {
        (APPLICATION_ID, VERSION, 1..) => {
            read("SELECT ifnull(max(number), 0) FROM refusal")?;
            read("SELECT ifnull(max(number), 0) FROM event")?;
            Ok(false)
        }
        (0, 0, 0) => Ok(true),
        _ => Err(RingFileFault::Foreign),
    }
}

/// In one transaction: a process that dies in the middle leaves an empty file.
fn make(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};
         {SCHEMA} COMMIT;"
    ))
}

/// Renames the file to end in `.aside`, replacing one that was set aside before, and
/// removes the files that belong to it.
pub(super) fn put_aside(path: &Path) -> io::Result<()> {
    for suffix in ["-wal", "-shm"] {
        match std::fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::rename(path, beside(path, ".aside"))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}
