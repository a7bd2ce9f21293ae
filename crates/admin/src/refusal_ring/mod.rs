//! The ring of refusals: why each request was refused, recorded for operators.
//!
//! It may lose entries on purpose, and is separate from the store: it has its own file
//! (`refusals.db`), its own thread, and a queue that never makes a request wait. Entries
//! that do not fit are dropped and counted, a crash may lose the last seconds, and a file
//! that cannot be used is set aside: nothing here prevents a start or slows down a
//! request.
//!
//! A flood does not displace what others were refused for (`flood.rs`). Rows are removed
//! after seven days, or earlier if there are a million newer ones.

mod diagnosis;
mod file;
mod flood;
mod read;
mod record;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use countersign_domain::Timestamp;
use metrics::{Counter, counter, describe_counter};
use tokio::sync::oneshot;

use self::file::RingFile;
use self::read::RingReader;
use self::writer::{RingMessage, RingWriter};

pub use diagnosis::{RefusalEvidence, better_reason};
pub use read::{RefusalCause, RefusalFilter, RefusalSuspects, RingUnreadable};
pub use record::{EventKind, KeptEvent, KeptRefusal, NewRefusal, RefusingPart, ServerEvent};

/// How long refusals and events are kept.
pub const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How many refusals are kept.
pub const MOST: u32 = 1_000_000;

/// How many entries may wait for the thread that writes them.
const QUEUE: usize = 4_096;

/// How long a reader waits for what was recorded before.
const PATIENCE: Duration = Duration::from_secs(1);

const DROPPED: &str = "countersign_refusals_dropped_total";

/// The ring. Clones are the same ring.
#[derive(Clone)]
pub struct RefusalRing(Arc<RingInner>);

struct RingInner {
    /// Taken to end the thread.
    queue: RwLock<Option<SyncSender<RingMessage>>>,
    dropped: Arc<DroppedCounter>,
    reading: Arc<RingReader>,
    writer: Option<JoinHandle<()>>,
}

/// Counts entries that are not recorded.
struct DroppedCounter {
    since_start: AtomicU64,
    counter: Counter,
}

impl RefusalRing {
    /// Opens the ring in the file at `path`, which is created if it does not exist.
    ///
    /// This always succeeds. A file that is damaged or is not a ring is renamed to end in
    /// `.aside`, with a warning. If no file can be created at all, every entry is dropped
    /// and reads fail.
    pub fn open(path: &Path) -> Self {
        Self::bounded(path, MOST)
    }

    fn bounded(path: &Path, most: u32) -> Self {
        let dropped = Arc::new(DroppedCounter::new());
        let reading = Arc::new(RingReader::default());
        let (sender, queue) = sync_channel(QUEUE);
        let writer = RingFile::open(path).and_then(|file| {
            let mut writer =
                RingWriter::new(file, Arc::clone(&reading), Arc::clone(&dropped), most);
            let run = move || writer.run(&queue);
            let thread = thread::Builder::new().name("refusals".to_owned());
            thread.spawn(run).map_err(file::RingFileFault::from)
        });
        if let Err(fault) = &writer {
            tracing::error!(%fault, path = %path.display(), "refusals are not recorded");
        }
        let queue = writer.is_ok().then_some(sender);
        Self(Arc::new(RingInner {
            queue: RwLock::new(queue),
            dropped,
            reading,
            writer: writer.ok(),
        }))
    }

    /// Records a refusal, if there is room. It never waits.
    pub fn record(&self, refused: NewRefusal) {
        self.hand_in(RingMessage::Refused(Box::new(refused)));
    }

    /// Records something else that an operator wants to see beside refusals.
    pub fn note(&self, event: ServerEvent) {
        self.hand_in(RingMessage::Event(event));
    }

    /// Removes what is older than [`KEPT_FOR`]. Must be called from time to time.
    pub fn sweep(&self, now: Timestamp) {
        self.hand_in(RingMessage::Sweep(now));
    }

    /// How many refusals were not recorded since the start.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.since_start.load(Ordering::Relaxed)
    }

    fn hand_in(&self, message: RingMessage) {
        let queue = self.0.queue.read().unwrap_or_else(PoisonError::into_inner);
        let sent = match queue.as_ref() {
            Some(queue) => queue.try_send(message),
            None => Err(TrySendError::Disconnected(message)),
        };
        if sent.is_err() {
            self.0.dropped.count(1);
        }
    }

    /// Waits, within limits, until what was recorded before can be read.
    async fn caught_up(&self) {
        let (reached, wait) = oneshot::channel();
        self.hand_in(RingMessage::Reached(reached));
        // If it takes longer, a reader gets what there is.
        let _ = tokio::time::timeout(PATIENCE, wait).await;
    }
}

impl DroppedCounter {
    fn new() -> Self {
        describe_counter!(DROPPED, "Refusals that were not kept for operators");
        Self {
            since_start: AtomicU64::new(0),
            counter: counter!(DROPPED),
        }
    }

    fn count(&self, refusals: u64) {
        self.since_start.fetch_add(refusals, Ordering::Relaxed);
        self.counter.increment(refusals);
    }
}

impl Drop for RingInner {
    /// Writes what is waiting, and ends the thread.
    fn drop(&mut self) {
        drop(self.queue.get_mut().map(Option::take));
        let ended = self.writer.take().map(JoinHandle::join);
        if ended.is_some_and(|ended| ended.is_err()) {
            tracing::error!("the thread that keeps refusals panicked");
        }
    }
}

#[cfg(test)]
mod tests;
