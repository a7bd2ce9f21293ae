//! Replaces the master key while no server runs: everything that is sealed is sealed again.
//!
//! The process may die at any point. The new key is durable in `master.key.new` before the
//! one transaction that seals everything again, the master check included; after that the
//! file replaces the old one. So at a start either the old or the new key opens the check,
//! that one is used, and [`settle`] finishes what was begun. The old key is kept as
//! `master.key.old`, since earlier backups are sealed under it; the operator deletes it with
//! them. It is never overwritten: while it is there, no further rewrap is possible.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_store::private_file::sync_directory;
use countersign_store::seal::{MasterKey, MasterKeyError};
use countersign_store::{MasterKeyProofError, RewrapError, Store, StoreHead};

/// Why the master key was not replaced, or is not the store's.
#[derive(Debug, thiserror::Error)]
pub enum RewrapFault {
    /// The key of an earlier rewrap is still there.
    #[error("{0} is left from an earlier rewrap")]
    OldKey(PathBuf),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] MasterKeyError),
    /// The names of the files cannot be changed.
    #[error("{path} cannot be moved into place: {source}")]
    Rename {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another key sealed the store.
    #[error(transparent)]
    Master(#[from] MasterKeyProofError),
    /// Something could not be sealed anew.
    #[error(transparent)]
    Sealed(#[from] RewrapError),
}

impl RewrapFault {
    /// What to do about it, if there is something to do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::OldKey(_) => Some(
                "delete it if no backup from before then will be restored, or move it to where \
                 those backups are"
                    .to_owned(),
            ),
            Self::File(error) => error.help(),
            Self::Master(error) => error.help().map(str::to_owned),
            Self::Sealed(error) => error.help().map(str::to_owned),
            Self::Rename { .. } => None,
        }
    }
}

/// Whether one of the key files is the master key of the store with this head row,
/// before the store is opened. It changes nothing.
pub fn prove(path: &Path, head: &StoreHead) -> Result<(), RewrapFault> {
    let new = beside(path, ".new");
    if head.is_master(&MasterKey::open(path)?) {
        return Ok(());
    }
    if new.exists() && head.is_master(&MasterKey::open(&new)?) {
        return Ok(());
    }
    Err(MasterKeyProofError::Wrong.into())
}

/// The master key of a store that has one, whichever file it is in after a
/// rewrap that was cut off. A wrong one changes nothing.
pub async fn settle(path: &Path, store: &Store) -> Result<MasterKey, RewrapFault> {
    let new = beside(path, ".new");
    if !new.exists() {
        let master = MasterKey::open(path)?;
        store.check_master(&master).await?;
        return Ok(master);
    }
    let master = MasterKey::open(path)?;
    if store
        .is_master(&master)
        .await
        .map_err(MasterKeyProofError::from)?
    {
        // Nothing was ever sealed under the new one.
        remove(&new)?;
        return Ok(master);
    }
    let master = MasterKey::open(&new)?;
    store.check_master(&master).await?;
    put_in_place(path, &new)?;
    Ok(master)
}

/// Replaces the master key in the file at `path` and seals everything anew.
/// Gives how many records that were.
pub async fn rewrap(path: &Path, store: &Store) -> Result<usize, RewrapFault> {
    let old = settle(path, store).await?;
    let new = begin(path)?;
    let sealed = store.rewrap(Arc::new(old), Arc::new(new)).await?;
    put_in_place(path, &beside(path, ".new"))?;
    Ok(sealed)
}

/// Makes the new key, durable beside the old one.
fn begin(path: &Path) -> Result<MasterKey, RewrapFault> {
    let kept = beside(path, ".old");
    if kept.exists() {
        return Err(RewrapFault::OldKey(kept));
    }
    Ok(MasterKey::create(&beside(path, ".new"))?)
}

/// The old key gets another name, and the new one its place, in one step: there
/// is a master key at any time.
fn put_in_place(path: &Path, new: &Path) -> Result<(), RewrapFault> {
    let kept = beside(path, ".old");
    match fs::hard_link(path, &kept) {
        // An earlier attempt was cut off after this.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        linked => linked.map_err(|source| renamed(&kept, source))?,
    }
    fs::rename(new, path).map_err(|source| renamed(new, source))?;
    sync_directory(path).map_err(|source| renamed(path, source))
}

fn remove(path: &Path) -> Result<(), RewrapFault> {
    fs::remove_file(path).map_err(|source| renamed(path, source))?;
    sync_directory(path).map_err(|source| renamed(path, source))
}

fn renamed(path: &Path, source: io::Error) -> RewrapFault {
    RewrapFault::Rename {
        path: path.to_owned(),
        source,
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use countersign_domain::Timestamp;
    use countersign_domain::key::{KeyRecord, KeyState, Kid};
    use countersign_domain::{Algorithm, ApiName};

    use super::*;
    use countersign_store::clock::StoreClock;
    use countersign_store::{AuditActor, ExclusiveStore, KeyPurpose, SealedKey};

    struct Place {
        directory: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self {
                directory: tempfile::tempdir().unwrap(),
            }
        }

        fn key(&self) -> PathBuf {
            self.directory.path().join("master.key")
        }

        fn has(&self, ending: &str) -> bool {
            beside(&self.key(), ending).exists()
        }

        fn bytes(&self) -> Vec<u8> {
            fs::read(self.key()).unwrap()
        }

        fn store(&self) -> Store {
            let clock = StoreClock::manual(Timestamp::from_seconds(1_800_000_000));
            Store::open(&self.directory.path().join("db"), clock, |_| {}).unwrap()
        }

        /// A store with one sealed key.
        async fn begin(&self) -> Store {
            let store = self.store();
            let master = MasterKey::create(&self.key()).unwrap();
            store.check_master(&master).await.unwrap();
            let key = KeyRecord {
                kid: Kid("k1".to_owned()),
                algorithm: Algorithm::Hs256,
                state: KeyState::Active,
                created_at: store.now(),
            };
            let mut sealed = SealedKey {
                key,
                purpose: KeyPurpose::Signing,
                sealed: Vec::new(),
            };
            sealed.sealed = master.seal(&sealed.context(&pay()), b"material").unwrap();
            store
                .insert_key(&pay(), sealed, AuditActor::System)
                .await
                .unwrap();
            store
        }
    }

    fn pay() -> ApiName {
        "pay".parse().unwrap()
    }

    async fn opens(store: &Store, master: &MasterKey) -> bool {
        let keys = store.keys(&pay()).await.unwrap();
        let opened = master.open_sealed(&keys[0].context(&pay()), &keys[0].sealed);
        opened.is_ok_and(|plain| *plain == b"material")
    }

    #[tokio::test]
    async fn a_new_master_key_opens_everything_and_the_old_one_nothing() {
        let place = Place::new();
        let store = place.begin().await;
        let before = place.bytes();
        assert_eq!(rewrap(&place.key(), &store).await.unwrap(), 1);
        assert_ne!(place.bytes(), before);
        assert_eq!(fs::read(beside(&place.key(), ".old")).unwrap(), before);
        let new = settle(&place.key(), &store).await.unwrap();
        assert!(opens(&store, &new).await);
        let old = MasterKey::open(&beside(&place.key(), ".old")).unwrap();
        assert!(!opens(&store, &old).await);
        assert_eq!(
            store.check_master(&old).await,
            Err(MasterKeyProofError::Wrong)
        );
        let log = store.audit(None, 10).await.unwrap();
        assert_eq!(log.last().unwrap().action, "master_key_replaced");
        let again = rewrap(&place.key(), &store).await.unwrap_err();
        assert!(matches!(again, RewrapFault::OldKey(_)), "{again}");
    }

    /// A process that dies between two steps, and the start after it.
    #[tokio::test]
    async fn a_rewrap_that_dies_between_any_two_steps_is_settled_at_the_next_start() {
        for steps in 0..=4 {
            let place = Place::new();
            let store = place.begin().await;
            let before = place.bytes();
            let new_file = beside(&place.key(), ".new");
            let proved = || {
                let locked = ExclusiveStore::at(&place.directory.path().join("db")).unwrap();
                prove(&place.key(), locked.head().unwrap())
            };
            if steps >= 1 {
                begin(&place.key()).unwrap();
            }
            if steps >= 2 {
                let open = |path: &Path| Arc::new(MasterKey::open(path).unwrap());
                store
                    .rewrap(open(&place.key()), open(&new_file))
                    .await
                    .unwrap();
            }
            if steps >= 3 {
                fs::hard_link(place.key(), beside(&place.key(), ".old")).unwrap();
            }
            if steps >= 4 {
                fs::rename(&new_file, place.key()).unwrap();
            }
            store.close().await;
            for start in ["first", "second"] {
                assert!(proved().is_ok(), "{steps} steps, {start} start");
                let store = place.store();
                let master = settle(&place.key(), &store).await.unwrap();
                assert!(opens(&store, &master).await, "{steps} steps, {start} start");
                assert!(!place.has(".new"), "{steps} steps, {start} start");
                assert_eq!(place.bytes() == before, steps < 2, "{steps} steps");
                assert_eq!(place.has(".old"), steps >= 2, "{steps} steps");
                store.close().await;
            }
        }
    }

    #[tokio::test]
    async fn a_wrong_master_key_changes_nothing() {
        let place = Place::new();
        let store = place.begin().await;
        fs::remove_file(place.key()).unwrap();
        MasterKey::create(&place.key()).unwrap();
        MasterKey::create(&beside(&place.key(), ".new")).unwrap();
        let before = place.bytes();
        let refused = settle(&place.key(), &store).await.unwrap_err();
        assert!(
            matches!(refused, RewrapFault::Master(MasterKeyProofError::Wrong)),
            "{refused}"
        );
        assert!(rewrap(&place.key(), &store).await.is_err());
        assert!(place.has(".new") && !place.has(".old"));
        assert_eq!(place.bytes(), before);
    }

    #[tokio::test]
    async fn a_record_that_does_not_open_stops_it_all() {
        let place = Place::new();
        let store = place.begin().await;
        let keys = store.keys(&pay()).await.unwrap();
        let mut foreign = keys[0].clone();
        foreign.key.kid = Kid("k2".to_owned());
        store
            .insert_key(&pay(), foreign, AuditActor::System)
            .await
            .unwrap();
        let refused = rewrap(&place.key(), &store).await.unwrap_err();
        assert!(refused.to_string().contains("k2"), "{refused}");
        let master = settle(&place.key(), &store).await.unwrap();
        assert!(opens(&store, &master).await, "nothing was changed");
    }
}
