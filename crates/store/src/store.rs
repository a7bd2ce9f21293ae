//! The store itself: its threads, and how work reaches them.

use std::io;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use countersign_domain::Timestamp;
use countersign_domain::revocation::RevocationNotice;
use rusqlite::Connection;

use crate::background::{self, UsedGenerations};
use crate::clock::StoreClock;
use crate::file::StoreFiles;
use crate::reader::{self, READERS, ReadQueue, ReaderThread};
use crate::work::WriteTransaction;
use crate::writer::{self, CommandReceiver, NotifyVerifiers, WriteQueue, WriterThread};
use crate::{ExclusiveStore, OpenError, StoreUnavailable, SweepOutcome, sweep};

/// The store. Clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<StoreInner>);

struct StoreInner {
    clock: StoreClock,
    commands: WriteQueue,
    readers: ReadQueue,
    marks: Arc<UsedGenerations>,
    threads: Mutex<StoreThreads>,
}

#[derive(Default)]
struct StoreThreads {
    /// Dropped to end the background thread.
    stop: Option<SyncSender<()>>,
    ticks: Option<JoinHandle<()>>,
    readers: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<()>>,
}

impl Store {
    /// Opens the store in the file at `path`, which is created if it does not exist.
    ///
    /// `clock` is raised to the time of the last commit. `notify` is called by the writer
    /// after each commit and before its callers get their answers: it must be quick, and
    /// must not hold on to the store. The caller must create the directory, with mode
    /// 0700.
    pub fn open(
        path: &Path,
        clock: StoreClock,
        notify: impl Fn(&[RevocationNotice]) + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        let store = ExclusiveStore::at(path)?.open(clock, notify)?;
        store.begin_upkeep()?;
        Ok(store)
    }

    /// Starts the store's upkeep: the sweep, and recording the time and which tokens were
    /// used. From here on, the store changes even if nobody changes it.
    pub fn begin_upkeep(&self) -> Result<(), OpenError> {
        self.0.tick().map_err(OpenError::Threads)
    }

    /// Opens a new store in memory, for the sandbox. It keeps every promise except that
    /// of a file, and leaves nothing behind.
    pub fn in_memory(
        clock: StoreClock,
        notify: impl Fn(&[RevocationNotice]) + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        let store = Self::over(StoreFiles::in_memory(READERS)?, clock, Box::new(notify))?;
        store.begin_upkeep()?;
        Ok(store)
    }

    /// The store in a file, without upkeep.
    #[cfg(test)]
    pub(crate) fn open_quiet(
        path: &Path,
        clock: StoreClock,
        notify: NotifyVerifiers,
    ) -> Result<Self, OpenError> {
        ExclusiveStore::at(path)?.open(clock, notify)
    }

    pub(crate) fn over(
        files: StoreFiles,
        clock: StoreClock,
        notify: NotifyVerifiers,
    ) -> Result<Self, OpenError> {
        let StoreFiles {
            writer: connection,
            readers,
            lock,
            ..
        } = files;
        let (commands, queue) = writer::queue();
        let (readers, reader_threads) = reader::readers(readers);
        let marks = Arc::new(UsedGenerations::default());
        let threads = Mutex::new(StoreThreads::default());
        let inner = StoreInner {
            clock: clock.clone(),
            commands,
            readers,
            marks,
            threads,
        };
        inner
            .start(
                WriterThread {
                    connection,
                    clock,
                    notify,
                    lock,
                },
                queue,
                reader_threads,
            )
            .map_err(OpenError::Threads)?;
        Ok(Self(Arc::new(inner)))
    }

    /// Closes the store for all its clones: what is waiting is committed, the WAL is
    /// removed and the file is free for another process.
    pub async fn close(self) {
        let ending = tokio::task::spawn_blocking(move || self.0.shut_down()).await;
        if ending.is_err() {
            tracing::error!("the store could not be closed cleanly");
        }
    }

    /// The current time by the store's clock.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Checks that the store can make a change durable now, by making one and reading.
    pub async fn ready(&self) -> Result<(), StoreUnavailable> {
        self.write(|work| work.execute_one("UPDATE head SET clock = clock", []))
            .await?;
        self.read(|connection| connection.query_row("SELECT 1 FROM head", [], |_| Ok(())))
            .await
    }

    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreUnavailable>
    where
        T: Send + 'static,
        F: FnMut(&mut WriteTransaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.0.commands.run(work).await
    }

    pub(crate) async fn read<T, F>(&self, read: F) -> Result<T, StoreUnavailable>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.0.readers.run(read).await
    }

    /// Which access tokens were used, until it is written.
    pub(crate) fn used_generations(&self) -> &UsedGenerations {
        &self.0.marks
    }

    /// Writes which access tokens were used until now.
    #[cfg(test)]
    pub(crate) fn flush_used_generations(&self) -> Result<(), StoreUnavailable> {
        self.0.marks.flush(&self.0.commands)
    }

    /// Removes a limited number of rows that are not needed any more. The store does this
    /// by itself every ten seconds.
    pub async fn sweep_once(&self) -> Result<SweepOutcome, StoreUnavailable> {
        self.write(sweep::step).await
    }
}

impl StoreInner {
    fn start(
        &self,
        writer: WriterThread,
        queue: CommandReceiver,
        readers: Vec<ReaderThread>,
    ) -> io::Result<()> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.writer = Some(spawn("store-writer", move || writer.run(&queue))?);
        for reader in readers {
            threads
                .readers
                .push(spawn("store-reader", move || reader.run())?);
        }
        Ok(())
    }

    fn tick(&self) -> io::Result<()> {
        let (stop, stopped) = sync_channel(0);
        let (commands, marks) = (self.commands.clone(), Arc::clone(&self.marks));
        let clock = self.clock.clone();
        let opened_at = clock.now();
        let ticks = spawn("store-tick", move || {
            background::run(&stopped, &commands, &marks, &clock, opened_at);
        })?;
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        (threads.stop, threads.ticks) = (Some(stop), Some(ticks));
        Ok(())
    }

    /// Ends the threads, in the order in which they depend on each other. Calling it
    /// again does nothing.
    fn shut_down(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let StoreThreads {
            stop,
            ticks,
            readers,
            writer,
        } = std::mem::take(&mut *threads);
        drop(stop);
        let kept = ticks.is_some();
        ticks.into_iter().for_each(join);
        self.readers.stop();
        readers.into_iter().for_each(join);
        if let Some(writer) = writer {
            // On a thread of its own: who drops the store may not block.
            let (commands, marks) = (self.commands.clone(), Arc::clone(&self.marks));
            let last = spawn("store-last", move || {
                background::last(&commands, &marks, kept);
            });
            last.into_iter().for_each(join);
            self.commands.stop();
            join(writer);
        }
    }
}

impl Drop for StoreInner {
    fn drop(&mut self) {
        self.shut_down();
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

fn join(handle: JoinHandle<()>) {
    if handle.join().is_err() {
        tracing::error!("a thread of the store panicked");
    }
}
