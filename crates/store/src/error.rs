//! What can go wrong with the store, as far as its callers need to tell it apart.

use std::io;
use std::path::PathBuf;

use countersign_domain::Reason;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the store {0} is open in another process")]
    Locked(PathBuf),
    /// A later release wrote it.
    #[error(
        "a later release wrote the store {path}: it has schema {found}, and this one knows {known}"
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The schema's number.
        found: i64,
        /// The greatest number that this release knows.
        known: i64,
    },
    /// The file is something else.
    #[error("{0} is not a Countersign store")]
    NotAStore(PathBuf),
    /// The file is a store, and broken.
    #[error("the store {path} is damaged: {source}")]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What SQLite found.
        source: rusqlite::Error,
    },
    /// The file or its directory is missing, or may not be written.
    #[error("the store {path} cannot be written: {source}")]
    Io {
        /// The file that was tried.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// SQLite refuses for another reason.
    #[error("the store {path} cannot be opened: {source}")]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The schema could not be brought up to date.
    #[error("the store {path} cannot be migrated: {reason}")]
    Migration {
        /// The database file.
        path: PathBuf,
        /// What failed.
        reason: String,
    },
    /// What is in it cannot be read.
    #[error("the store cannot be read: {0}")]
    Unread(StoreUnavailable),
    /// The system gives no threads.
    #[error("the store could not start its threads: {0}")]
    Threads(io::Error),
}

impl OpenError {
    /// What to do about it, if there is something to do.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Locked(_) => Some("stop that process, or use another data directory"),
            Self::Newer { .. } => {
                Some("start a release that is at least as new as the one that wrote it")
            }
            Self::NotAStore(_) => Some("move the file away, or use another data directory"),
            Self::Damaged { .. } => Some("restore it from a backup"),
            Self::Io { .. }
            | Self::Sqlite { .. }
            | Self::Migration { .. }
            | Self::Unread(_)
            | Self::Threads(_) => None,
        }
    }
}

/// The store did not answer, or its answer is unknown: the caller is told 503,
/// and may send the same request again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreUnavailable {
    /// Too much is waiting already. Nothing was done.
    #[error("the store is overloaded")]
    Busy,
    /// The store was closed.
    #[error("the store is closed")]
    Stopped,
    /// The disk or the database failed. The change is rolled back unless the
    /// failure hid a commit that is durable all the same.
    #[error("the store failed")]
    Failed,
}

/// Why an account or credential was not created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// A credential of the same api has this login.
    #[error("the login is taken")]
    LoginTaken,
    /// An account has this id, or had it before it was deleted.
    #[error("the account id is taken")]
    IdTaken,
    /// There is no such account to create a credential for.
    #[error("there is no such account")]
    NoAccount,
    /// The store did not answer.
    #[error(transparent)]
    Unavailable(#[from] StoreUnavailable),
}

/// Why no session was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The account or credential may not be used any more, or not from there.
    #[error("refused: {0}")]
    Refused(Reason),
    /// The store did not answer.
    #[error(transparent)]
    Unavailable(#[from] StoreUnavailable),
}

/// Why a key was not stored, or a ring not replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A key of some api has this id already.
    #[error("a key with this id already exists")]
    KidTaken,
    /// The ring names a signing key that the api does not have.
    #[error("the api has no such signing key")]
    NoKey,
    /// The store did not answer.
    #[error(transparent)]
    Unavailable(#[from] StoreUnavailable),
}

/// Why no admin key was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminKeyError {
    /// An admin key has this name.
    #[error("the name is taken")]
    NameTaken,
    /// The store did not answer.
    #[error(transparent)]
    Unavailable(#[from] StoreUnavailable),
}

/// Why a master key is not the store's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyProofError {
    /// Another master key sealed what is in the store.
    #[error("the master key is not the one that this store was made with, and nothing was changed")]
    Wrong,
    /// The check value could not be sealed.
    #[error("the master key could not be used")]
    Unusable,
    /// The store did not answer.
    #[error(transparent)]
    Unavailable(#[from] StoreUnavailable),
}

impl MasterKeyProofError {
    /// What to do about it, if there is something to do.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Wrong => Some("put the right file in its place"),
            Self::Unusable | Self::Unavailable(_) => None,
        }
    }
}

/// Why nothing was sealed anew. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewrapError {
    /// A record does not open under the master key.
    #[error("the sealed record {0:?} cannot be decrypted")]
    NotOpened(String),
    /// A record could not be sealed.
    #[error("the new master key could not be used")]
    NotSealed,
    /// The store did not answer.
    #[error(transparent)]
    Unavailable(#[from] StoreUnavailable),
}

impl RewrapError {
    /// What to do about it, if there is something to do.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::NotOpened(_) => Some("restore the store from a backup"),
            Self::NotSealed | Self::Unavailable(_) => None,
        }
    }
}
