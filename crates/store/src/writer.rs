//! The one writer: commands wait in a channel, and all that are waiting are committed
//! together.
//!
//! The writer takes the first command and all others that are waiting, runs them in one
//! transaction, commits with synchronous FULL, tells the verifiers, and only then
//! answers. A single caller waits for nothing but its own commit.
//!
//! If a command fails, its transaction fails with it. The batch is then halved and tried
//! again until the bad command is alone: the others succeed, and only that one gets
//! [`StoreUnavailable`]. So commands need no savepoints.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use countersign_domain::revocation::RevocationNotice;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::error::StoreUnavailable;
use super::work::WriteTransaction;
use crate::clock::StoreClock;

/// The most commands in one transaction.
const BATCH: usize = 128;
/// How many commands may wait; further ones are refused at once.
const QUEUE: usize = 4_096;

/// Tells verifiers what a commit changed.
pub(super) type NotifyVerifiers = Box<dyn Fn(&[RevocationNotice]) + Send + Sync>;

/// The writer before its thread starts.
pub(super) struct WriterThread {
    pub(super) connection: Connection,
    pub(super) clock: StoreClock,
    pub(super) notify: NotifyVerifiers,
    pub(super) lock: Option<File>,
}

/// Accepts commands. Clones lead to the same writer.
#[derive(Clone)]
pub(super) struct WriteQueue(SyncSender<WriterMessage>);

/// The queue from which the writer takes them.
pub(super) struct CommandReceiver(Receiver<WriterMessage>);

enum WriterMessage {
    Run(Box<dyn WriteCommand>),
    Stop,
}

/// A change to make, for a caller that waits for it. It may run again after its
/// transaction was rolled back.
trait WriteCommand: Send {
    fn run(&mut self, work: &mut WriteTransaction<'_>) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, durable: bool);
}

/// Why a transaction did not happen.
#[derive(Debug, thiserror::Error)]
enum TransactionFault {
    /// One of the commands failed; without it the others may succeed.
    #[error("a command failed: {0}")]
    Command(rusqlite::Error),
    /// One of the commands panicked.
    #[error("a command panicked")]
    Panic,
    /// The database failed, regardless of the commands.
    #[error("the database failed: {0}")]
    Database(#[from] rusqlite::Error),
}

/// A new, empty queue.
pub(super) fn queue() -> (WriteQueue, CommandReceiver) {
    let (sender, receiver) = sync_channel(QUEUE);
    (WriteQueue(sender), CommandReceiver(receiver))
}

impl WriteQueue {
    /// Runs `work` in a transaction and returns its result, once that is durable.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreUnavailable>
    where
        T: Send + 'static,
        F: FnMut(&mut WriteTransaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.submit(work)?
            .await
            .unwrap_or(Err(StoreUnavailable::Stopped))
    }

    /// The same for a thread that may block.
    pub(super) fn run_blocking<T, F>(&self, work: F) -> Result<T, StoreUnavailable>
    where
        T: Send + 'static,
        F: FnMut(&mut WriteTransaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.submit(work)?
            .blocking_recv()
            .unwrap_or(Err(StoreUnavailable::Stopped))
    }

    /// Lets the writer end after what is waiting already.
    pub(super) fn stop(&self) {
        // An error means that it ended before.
        let _ended = self.0.send(WriterMessage::Stop);
    }

    fn submit<T, F>(
        &self,
        work: F,
    ) -> Result<oneshot::Receiver<Result<T, StoreUnavailable>>, StoreUnavailable>
    where
        T: Send + 'static,
        F: FnMut(&mut WriteTransaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, receiver) = oneshot::channel();
        let call = WriteJob {
            work,
            result: None,
            reply,
        };
        self.0
            .try_send(WriterMessage::Run(Box::new(call)))
            .map_err(|error| match error {
                TrySendError::Full(_) => StoreUnavailable::Busy,
                TrySendError::Disconnected(_) => StoreUnavailable::Stopped,
            })?;
        Ok(receiver)
    }
}

struct WriteJob<T, F> {
    work: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, StoreUnavailable>>,
}

impl<T, F> WriteCommand for WriteJob<T, F>
where
    T: Send,
    F: FnMut(&mut WriteTransaction<'_>) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, work: &mut WriteTransaction<'_>) -> rusqlite::Result<()> {
        self.result = Some((self.work)(work)?);
        Ok(())
    }

    fn answer(self: Box<Self>, durable: bool) {
        let result = self
            .result
            .filter(|_| durable)
            .ok_or(StoreUnavailable::Failed);
        // The caller may have gone away; the change stands all the same.
        let _gone = self.reply.send(result);
    }
}

impl WriterThread {
    /// Handles the queue until it is told to stop, then removes the WAL.
    pub(super) fn run(self, queue: &CommandReceiver) {
        while let Ok(first) = queue.0.recv() {
            let (batch, stop) = gather(first, queue);
            self.serve(batch);
            if stop {
                break;
            }
        }
        self.checkpoint();
        drop(self.connection);
        // Only now may another process open the store.
        drop(self.lock);
    }

    fn serve(&self, mut batch: Vec<Box<dyn WriteCommand>>) {
        match self.transact(&mut batch) {
            Ok(notices) => {
                self.notify_verifiers(&notices);
                answer(batch, true);
            }
            Err(TransactionFault::Command(_) | TransactionFault::Panic) if batch.len() > 1 => {
                let rest = batch.split_off(batch.len() / 2);
                self.serve(batch);
                self.serve(rest);
            }
            Err(fault) => {
                tracing::error!(%fault, commands = batch.len(), "the store rolled back");
                answer(batch, false);
            }
        }
    }

    fn transact(
        &self,
        batch: &mut [Box<dyn WriteCommand>],
    ) -> Result<Vec<RevocationNotice>, TransactionFault> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        // What a panic leaves half done is rolled back with the transaction.
        let attempt = catch_unwind(AssertUnwindSafe(|| self.attempt(batch)));
        let result = attempt.unwrap_or(Err(TransactionFault::Panic));
        if result.is_err() {
            self.roll_back();
        }
        result
    }

    fn attempt(
        &self,
        batch: &mut [Box<dyn WriteCommand>],
    ) -> Result<Vec<RevocationNotice>, TransactionFault> {
        self.execute("BEGIN IMMEDIATE")?;
        let mut work = WriteTransaction::begin(&self.connection, self.clock.now())?;
        for command in batch {
            command.run(&mut work).map_err(TransactionFault::Command)?;
        }
        let notices = work.finish()?;
        self.execute("COMMIT")?;
        Ok(notices)
    }

    fn roll_back(&self) {
        // SQLite has rolled back by itself after some errors.
        if self.connection.is_autocommit() {
            return;
        }
        if let Err(error) = self.execute("ROLLBACK") {
            tracing::error!(%error, "the store could not roll back");
        }
    }

    fn notify_verifiers(&self, notices: &[RevocationNotice]) {
        if notices.is_empty() {
            return;
        }
        // The commit is durable: its callers are answered even so.
        if catch_unwind(AssertUnwindSafe(|| (self.notify)(notices))).is_err() {
            tracing::error!("notifying the verifiers panicked");
        }
    }

    fn checkpoint(&self) {
        let truncate = "PRAGMA wal_checkpoint(TRUNCATE)";
        if let Err(error) = self.connection.query_row(truncate, [], |_| Ok(())) {
            tracing::warn!(%error, "the write-ahead log could not be merged into the database; the next start does it");
        }
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }
}

/// The first command and those that are waiting, up to the limit.
fn gather(first: WriterMessage, queue: &CommandReceiver) -> (Vec<Box<dyn WriteCommand>>, bool) {
    let mut batch = Vec::new();
    let mut next = Some(first);
    while let Some(message) = next {
        match message {
            WriterMessage::Run(command) => batch.push(command),
            WriterMessage::Stop => return (batch, true),
        }
        next = if batch.len() < BATCH {
            queue.0.try_recv().ok()
        } else {
            None
        };
    }
    (batch, false)
}

fn answer(batch: Vec<Box<dyn WriteCommand>>, durable: bool) {
    for command in batch {
        command.answer(durable);
    }
}
