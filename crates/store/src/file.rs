//! The files of the store: opened by one process at a time, mode 0600, with the schema
//! brought up to date. A file that is not a Countersign store is left untouched.
//!
//! The store can also be kept in memory: SQLite's `memdb` keeps a database that the
//! connections of this process share by its name, until the last of them closes. It has no
//! WAL, so a reader may wait for the writer's commit.

use std::ffi::OsString;
use std::fs::{File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_domain::Timestamp;
use refinery_core::error::Kind;
use refinery_core::{Migration, Runner};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::OpenError;
use crate::private_file::open_private;
use crate::random::random;

/// "CSN1", which identifies a database as ours.
pub(super) const APPLICATION_ID: i64 = 0x4353_4e31;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const STATEMENTS: usize = 64;

/// The files of `migrations/`, in their order. They are listed here because the macro
/// that would read the directory makes the compiler build regex, time and syn a second
/// time.
const MIGRATIONS: [(&str, &str); 4] = [
    ("V1__first", include_str!("../migrations/V1__first.sql")),
    (
        "V2__limits_and_scopes",
        include_str!("../migrations/V2__limits_and_scopes.sql"),
    ),
    ("V3__limits", include_str!("../migrations/V3__limits.sql")),
    (
        "V4__operators",
        include_str!("../migrations/V4__operators.sql"),
    ),
];

/// The open files of a store.
pub(super) struct StoreFiles {
    pub(super) writer: Connection,
    pub(super) readers: Vec<Connection>,
    /// Keeps other processes away as long as it lives; in memory there are none.
    pub(super) lock: Option<File>,
    /// The time of the last commit.
    pub(super) high_water: Timestamp,
}

impl StoreFiles {
    /// Opens the file that `lock` protects.
    pub(super) fn open(path: &Path, lock: File, readers: usize) -> Result<Self, OpenError> {
        private(path)?
            .sync_all()
            .map_err(|source| io_error(path, source))?;
        let writer = connect(path).map_err(|error| classify(path, error))?;
        identify(path, &writer)?;
        restrict(path)?;
        Self::connect(path, writer, || connect(path), readers, Some(lock))
    }

    /// A separate store in memory.
    pub(super) fn in_memory(readers: usize) -> Result<Self, OpenError> {
        let path = memory_name()?;
        let path = path.as_path();
        let writer = connect_in_memory(path).map_err(|error| classify(path, error))?;
        Self::connect(path, writer, || connect_in_memory(path), readers, None)
    }

    fn connect(
        path: &Path,
        mut writer: Connection,
        another: impl Fn() -> rusqlite::Result<Connection>,
        readers: usize,
        lock: Option<File>,
    ) -> Result<Self, OpenError> {
        let sqlite = |error| classify(path, error);
        configure(&writer).map_err(sqlite)?;
        migrate(path, &mut writer)?;
        let high_water = high_water(&writer).map_err(|source| damaged(path, source))?;
        let readers = (0..readers).map(|_| reader(another()?));
        let readers = readers.collect::<Result<_, _>>().map_err(sqlite)?;
        Ok(Self {
            writer,
            readers,
            lock,
            high_water,
        })
    }
}

/// The name by which the connections of one store in memory find it: memdb shares
/// databases that are named like a path.
fn memory_name() -> Result<PathBuf, OpenError> {
    let id = random::<16>()
        .map_err(|error| io_error(Path::new("in memory"), io::Error::other(error)))?;
    Ok(PathBuf::from(format!("/countersign-{}", hex::encode(id))))
}

/// Keeps other processes away from the store at `path`.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = OsString::from(path);
    name.push(".lock");
    let name = PathBuf::from(name);
    let file = private(&name)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(io_error(&name, source)),
    }
}

/// Creates a file with a mode that SQLite cannot set: only its owner can read a new one.
/// SQLite gives its WAL and shared memory files the mode of the database.
fn private(path: &Path) -> Result<File, OpenError> {
    open_private(path).map_err(|source| io_error(path, source))
}

fn restrict(path: &Path) -> Result<(), OpenError> {
    std::fs::set_permissions(path, Permissions::from_mode(0o600))
        .map_err(|source| io_error(path, source))
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    prepare(Connection::open_with_flags(path, flags)?)
}

fn connect_in_memory(name: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    prepare(Connection::open_with_flags_and_vfs(name, flags, c"memdb")?)
}

fn prepare(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Without this, SQLite plans a cached join anew for each bound value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// An empty file becomes a store; any other file must be one.
fn identify(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let read = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let id = read("PRAGMA application_id").map_err(|error| classify(path, error))?;
    let tables =
        read("SELECT count(*) FROM sqlite_schema").map_err(|error| classify(path, error))?;
    match (id, tables) {
        (APPLICATION_ID, _) => Ok(()),
        (0, 0) => connection
            .pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(|error| classify(path, error)),
        _ => Err(OpenError::NotAStore(path.to_owned())),
    }
}

fn configure(writer: &Connection) -> rusqlite::Result<()> {
    writer.pragma_update(None, "journal_mode", "WAL")?;
    writer.pragma_update(None, "synchronous", "FULL")?;
    writer.pragma_update(None, "foreign_keys", true)?;
    writer.pragma_update(None, "trusted_schema", false)?;
    writer.pragma_update(None, "cache_size", -8_192)?;
    writer.pragma_update(None, "temp_store", "MEMORY")?;
    writer.pragma_update(None, "journal_size_limit", 64 << 20)?;
    writer.pragma_update(None, "wal_autocheckpoint", 2_000)
}

fn reader(connection: Connection) -> rusqlite::Result<Connection> {
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn migrate(path: &Path, connection: &mut Connection) -> Result<(), OpenError> {
    let migrations = MIGRATIONS.iter();
    let migrations: Result<Vec<Migration>, _> = migrations
        .map(|(name, sql)| Migration::unapplied(name, sql))
        .collect();
    let migrations = migrations.map_err(|error| migration_error(path, &error))?;
    // One transaction for the migrations and their history: a process that dies
    // in between leaves neither.
    let runner = Runner::new(&migrations).set_grouped(true);
    match runner.run(connection) {
        Ok(_) => Ok(()),
        Err(error) => Err(migration_error(path, &error)),
    }
}

fn migration_error(path: &Path, error: &refinery_core::Error) -> OpenError {
    match error.kind() {
        Kind::MissingVersion(unknown) => OpenError::Newer {
            path: path.to_owned(),
            found: i64::from(unknown.version()),
            known: MIGRATIONS.len() as i64,
        },
        _ => OpenError::Migration {
            path: path.to_owned(),
            reason: error.to_string(),
        },
    }
}

fn high_water(connection: &Connection) -> rusqlite::Result<Timestamp> {
    connection.query_row("SELECT clock FROM head", [], |row| {
        row.get(0).map(Timestamp::from_micros)
    })
}

pub(super) fn classify(path: &Path, error: rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotAStore(path.to_owned()),
        Some(ErrorCode::DatabaseCorrupt) => damaged(path, error),
        _ => OpenError::Sqlite {
            path: path.to_owned(),
            source: error,
        },
    }
}

pub(super) fn damaged(path: &Path, source: rusqlite::Error) -> OpenError {
    OpenError::Damaged {
        path: path.to_owned(),
        source,
    }
}

pub(super) fn io_error(path: &Path, source: io::Error) -> OpenError {
    OpenError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_of_the_folder_is_run_and_none_has_changed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let files = std::fs::read_dir(folder).unwrap();
        let mut named: Vec<String> = files
            .map(|file| {
                file.unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        named.sort();
        assert_eq!(named, MIGRATIONS.map(|(name, _)| name));
        // What stores remember of the migrations that they have run: with another sum
        // they would refuse to open.
        let sums =
            MIGRATIONS.map(|(name, sql)| Migration::unapplied(name, sql).unwrap().checksum());
        let remembered: [u64; 4] = [
            13_162_638_818_168_687_361,
            1_984_549_808_306_476_225,
            16_468_809_016_190_849_458,
            7_731_862_070_808_604_338,
        ];
        assert_eq!(sums, remembered);
    }
}
