//! A store that fails, or stops, where a test says so.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use countersign_client::{
    BoxFuture, LockedStore, ManualClock, MemoryStore, SessionRecord, SessionStore, StoreError,
    WriteOutcome,
};

/// Counts writes, and treats some of them as told.
#[derive(Clone, Default)]
pub(crate) struct Moody {
    pub(crate) kept: MemoryStore,
    pub(crate) mood: Arc<Mood>,
}

#[derive(Default)]
pub(crate) struct Mood {
    pub(crate) writes: AtomicUsize,
    /// From this write on, so many fail.
    pub(crate) fail_from: AtomicUsize,
    pub(crate) fail: AtomicUsize,
    /// Before this write, or after it, nothing goes on; 0 for none.
    pub(crate) stop_before: AtomicUsize,
    pub(crate) stop_after: AtomicUsize,
    /// How long each write takes, by this clock.
    pub(crate) slow: OnceLock<(Arc<ManualClock>, Duration)>,
}

struct MoodyLock {
    kept: Box<dyn LockedStore>,
    mood: Arc<Mood>,
}

impl Moody {
    /// The next writes fail.
    pub(crate) fn fail_after(&self, writes: usize, fail: usize) {
        let done = self.mood.writes.load(Ordering::SeqCst);
        self.mood
            .fail_from
            .store(done + writes + 1, Ordering::SeqCst);
        self.mood.fail.store(fail, Ordering::SeqCst);
    }

    /// Whether something went wrong last.
    pub(crate) async fn kept_trouble(&self) -> bool {
        self.record().await.failure.is_some()
    }

    pub(crate) async fn record(&self) -> SessionRecord {
        self.kept.read().await.unwrap().unwrap_or_default()
    }
}

impl SessionStore for Moody {
    fn read(&self) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        self.kept.read()
    }

    fn lock(&self) -> BoxFuture<'_, Result<Box<dyn LockedStore>, StoreError>> {
        Box::pin(async {
            let (kept, mood) = (self.kept.lock().await?, self.mood.clone());
            Ok(Box::new(MoodyLock { kept, mood }) as Box<dyn LockedStore>)
        })
    }
}

impl LockedStore for MoodyLock {
    fn read(&mut self) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        self.kept.read()
    }

    fn write<'a>(
        &'a mut self,
        record: &'a SessionRecord,
    ) -> BoxFuture<'a, Result<WriteOutcome, StoreError>> {
        Box::pin(async move {
            let mood = &self.mood;
            let number = mood.writes.fetch_add(1, Ordering::SeqCst) + 1;
            let is = |at: &AtomicUsize| at.load(Ordering::SeqCst) == number;
            if is(&mood.stop_before) {
                std::future::pending::<()>().await;
            }
            if let Some((clock, span)) = mood.slow.get() {
                clock.advance(*span);
            }
            let from = mood.fail_from.load(Ordering::SeqCst);
            if from > 0 && (from..from + mood.fail.load(Ordering::SeqCst)).contains(&number) {
                return Err(StoreError::Key {
                    why: "no space left".to_owned(),
                    help: None,
                });
            }
            let written = self.kept.write(record).await;
            if is(&mood.stop_after) {
                std::future::pending::<()>().await;
            }
            written
        })
    }

    fn clear(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.kept.clear()
    }
}
