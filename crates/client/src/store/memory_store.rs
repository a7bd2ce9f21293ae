//! A store in memory that ends with its process.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use super::session_store::faster;
use super::{LockedStore, SessionStore, StoreError, WriteOutcome};
use crate::{BoxFuture, SessionRecord};

/// Stores the record in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    /// A cell that is never locked for long; it has no watchers.
    kept: Arc<watch::Sender<Option<SessionRecord>>>,
    lock: Arc<Mutex<()>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl SessionStore for MemoryStore {
    fn read(&self) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        Box::pin(async { Ok(self.kept.borrow().clone()) })
    }

    fn lock(&self) -> BoxFuture<'_, Result<Box<dyn LockedStore>, StoreError>> {
        Box::pin(async {
            let held = LockedMemory {
                kept: self.kept.clone(),
                _lock: self.lock.clone().lock_owned().await,
            };
            Ok(Box::new(held) as Box<dyn LockedStore>)
        })
    }
}

struct LockedMemory {
    kept: Arc<watch::Sender<Option<SessionRecord>>>,
    _lock: OwnedMutexGuard<()>,
}

impl LockedStore for LockedMemory {
    fn read(&mut self) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        Box::pin(async { Ok(self.kept.borrow().clone()) })
    }

    fn write<'a>(
        &'a mut self,
        record: &'a SessionRecord,
    ) -> BoxFuture<'a, Result<WriteOutcome, StoreError>> {
        Box::pin(async {
            let mut lost = None;
            self.kept.send_if_modified(|kept| {
                lost = faster(kept.as_ref(), record);
                if lost.is_none() {
                    *kept = Some(record.clone());
                }
                lost.is_none()
            });
            Ok(lost.map_or(WriteOutcome::Done, WriteOutcome::Lost))
        })
    }

    fn clear(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async {
            self.kept.send_replace(None);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(serial: u64) -> SessionRecord {
        SessionRecord {
            serial,
            ..SessionRecord::default()
        }
    }

    #[tokio::test]
    async fn clones_share_the_record_and_one_at_a_time_may_change_it() {
        let store = MemoryStore::new();
        let mut locked = store.lock().await.unwrap();
        assert_eq!(locked.write(&record(1)).await.unwrap(), WriteOutcome::Done);

        let other = store.clone();
        assert_eq!(other.read().await.unwrap(), Some(record(1)));
        let waiting = tokio::spawn(async move { other.lock().await.unwrap().read().await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        locked.clear().await.unwrap();
        drop(locked);
        assert_eq!(waiting.await.unwrap().unwrap(), None);
    }

    #[tokio::test]
    async fn who_read_an_older_record_gets_the_newer_one_instead_of_writing() {
        let mut locked = MemoryStore::new().lock().await.unwrap();
        let lost = |record| WriteOutcome::Lost(Box::new(record));
        assert_eq!(
            locked.write(&record(2)).await.unwrap(),
            lost(SessionRecord::default())
        );
        locked.write(&record(1)).await.unwrap();
        locked.write(&record(2)).await.unwrap();
        for stale in [0, 1, 2, 4] {
            let written = locked.write(&record(stale)).await.unwrap();
            assert_eq!(written, lost(record(2)), "{stale}");
        }
        assert_eq!(locked.write(&record(3)).await.unwrap(), WriteOutcome::Done);
    }
}
