//! The data directory: its permissions, its files, and which process uses it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use countersign_dialect::Secret;
use countersign_server::rewrap;
use countersign_store::private_file::replace_private;
use countersign_store::seal::MasterKey;
use countersign_store::{ExclusiveStore, Store};

use crate::admin_key_file;
use crate::exit::Failure;

/// A data directory that exists and that only its owner can read.
pub(crate) struct DataDirectory(PathBuf);

impl DataDirectory {
    /// Opens the directory, and makes it with mode 0700 if it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| cannot("made", path, &error))?;
        let mode = fs::metadata(path)
            .map_err(|error| cannot("read", path, &error))?
            .permissions();
        if mode.mode() & 0o077 != 0 {
            let shown = path.display();
            return Err(
                Failure::usage(format!("others can enter the data directory {shown}")).with_help(
                    format!("run `chmod 700 {shown}`, or name another directory with --data"),
                ),
            );
        }
        Ok(Self(path.to_owned()))
    }

    /// The database.
    pub(crate) fn store(&self) -> PathBuf {
        self.0.join("countersign.db")
    }

    /// What was refused, for operators. It may be lost, so no backup needs it.
    pub(crate) fn refusals(&self) -> PathBuf {
        self.0.join("refusals.db")
    }

    /// What the demo writes for scripts once it serves; that of an earlier start is
    /// replaced whole, so that a script always finds one that can be read.
    pub(crate) fn demo(&self) -> PathBuf {
        self.0.join("demo.json")
    }

    /// The demo's accounts with their secrets; it also marks the directory as a
    /// demo's.
    pub(crate) fn demo_accounts(&self) -> PathBuf {
        self.0.join("demo-accounts.json")
    }

    /// Refuses a directory that a demo made for a server, and the reverse: a
    /// demo's secrets lie open in `demo-accounts.json`.
    pub(crate) fn check_owner(&self, demo: bool) -> Result<(), Failure> {
        let (store, marked) = (self.store().exists(), self.demo_accounts().exists());
        let directory = self.0.display();
        if demo && store && !marked {
            return Err(Failure::usage(format!(
                "{directory} holds the data of a server and not of a demo"
            ))
            .with_help("name another directory with --data"));
        }
        if !demo && marked {
            return Err(Failure::usage(format!(
                "{directory} holds the data of a demo, whose secrets are public"
            ))
            .with_help("name another directory with --data"));
        }
        Ok(())
    }

    /// Takes the store for this process, and proves the master key before a byte of
    /// it is changed.
    ///
    /// A store that is new in a directory that was in use (it has an admin key)
    /// was lost or cut to nothing: to begin anew would bury that.
    pub(crate) fn proved_store(&self) -> Result<ExclusiveStore, Failure> {
        let path = self.store();
        let lost = || {
            Failure::usage(format!(
                "{} was in use, and its store is gone or empty",
                self.0.display()
            ))
            .with_help(format!(
                "restore {} from a backup, or name another directory with --data",
                path.display()
            ))
        };
        let in_use = self.admin_key_file().exists();
        if in_use && !path.exists() {
            return Err(lost());
        }
        let locked = ExclusiveStore::at(&path)?;
        match locked.head().filter(|head| head.has_master()) {
            Some(head) => {
                rewrap::prove(&self.master_key_file(), head)?;
            }
            None if in_use => return Err(lost()),
            None => {}
        }
        Ok(locked)
    }

    /// The master key: made with the store, and never again after that.
    pub(crate) async fn master_key(&self, store: &Store) -> Result<MasterKey, Failure> {
        let path = self.master_key_file();
        if store.has_master().await.map_err(Failure::unavailable)? {
            return Ok(rewrap::settle(&path, store).await?);
        }
        let master = MasterKey::open_or_create(&path)?;
        store.check_master(&master).await?;
        Ok(master)
    }

    /// Where the master key is.
    pub(crate) fn master_key_file(&self) -> PathBuf {
        self.0.join("master.key")
    }

    /// Where the admin key is.
    pub(crate) fn admin_key_file(&self) -> PathBuf {
        self.0.join("admin.key")
    }

    /// The admin key that is there already.
    pub(crate) fn kept_admin_key(&self) -> Result<Option<Secret>, Failure> {
        admin_key_file::stored_key(&self.admin_key_file())
    }

    /// A new admin key, kept in its file.
    pub(crate) fn make_admin_key(&self) -> Result<Secret, Failure> {
        let key = countersign_server::generated_key::admin_key()
            .map_err(|error| Failure::failed(error.to_string()))?;
        write_private(&self.admin_key_file(), &format!("{}\n", key.expose()))?;
        Ok(key)
    }

    /// Tells operator commands where the admin API is, and scripts what a demo
    /// has for them.
    pub(crate) fn publish(&self, admin_url: &str, demo: Option<&str>) -> Result<(), Failure> {
        write_private(&self.0.join("admin.url"), &format!("{admin_url}\n"))?;
        match demo {
            Some(manifest) => write_private(&self.demo(), manifest),
            None => Ok(()),
        }
    }
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    replace_private(path, text.as_bytes()).map_err(|error| cannot("written", path, &error))
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("{} cannot be {what}: {error}", path.display()))
}
