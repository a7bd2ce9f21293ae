//! Reads: threads with one connection each, which see every commit that was acknowledged
//! before the read began, and never wait for the writer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::error::StoreUnavailable;

/// How many connections read.
pub(super) const READERS: usize = 2;
/// How many reads may wait for one thread; further ones are refused at once.
const QUEUE: usize = 1_024;

type ReadJob = Box<dyn FnOnce(&Connection) + Send>;

enum ReadMessage {
    Run(ReadJob),
    Stop,
}

/// Accepts reads and distributes them over the threads.
pub(super) struct ReadQueue {
    queues: Vec<SyncSender<ReadMessage>>,
    next: AtomicUsize,
}

/// A reader before its thread starts.
pub(super) struct ReaderThread {
    connection: Connection,
    queue: Receiver<ReadMessage>,
}

/// One reader for each connection.
pub(super) fn readers(connections: Vec<Connection>) -> (ReadQueue, Vec<ReaderThread>) {
    let open = |connection| {
        let (sender, queue) = sync_channel(QUEUE);
        (sender, ReaderThread { connection, queue })
    };
    let (queues, readers) = connections.into_iter().map(open).unzip();
    (
        ReadQueue {
            queues,
            next: AtomicUsize::new(0),
        },
        readers,
    )
}

impl ReadQueue {
    /// Runs `read` on one of the threads.
    pub(super) async fn run<T, F>(&self, read: F) -> Result<T, StoreUnavailable>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, receiver) = oneshot::channel();
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.queues.len();
        let answer: ReadJob = Box::new(move |connection| {
            // The caller may have gone away.
            let _gone = reply.send(read(connection));
        });
        self.queues[turn]
            .try_send(ReadMessage::Run(answer))
            .map_err(|error| match error {
                TrySendError::Full(_) => StoreUnavailable::Busy,
                TrySendError::Disconnected(_) => StoreUnavailable::Stopped,
            })?;
        match receiver.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::error!(%error, "a read of the store failed");
                Err(StoreUnavailable::Failed)
            }
            // Dropped unanswered: it panicked, or the thread stopped before it.
            Err(_) => Err(StoreUnavailable::Failed),
        }
    }

    /// Lets the threads end after what is waiting already.
    pub(super) fn stop(&self) {
        for queue in &self.queues {
            // An error means that it ended before.
            let _ended = queue.send(ReadMessage::Stop);
        }
    }
}

impl ReaderThread {
    /// Serves reads until it is told to stop.
    pub(super) fn run(self) {
        while let Ok(ReadMessage::Run(read)) = self.queue.recv() {
            if catch_unwind(AssertUnwindSafe(|| read(&self.connection))).is_err() {
                tracing::error!("a read of the store panicked");
            }
        }
    }
}
