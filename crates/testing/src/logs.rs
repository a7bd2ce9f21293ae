//! Log lines that are kept in memory.

use std::io;
use std::sync::{Arc, Mutex};

use tracing::Level;
use tracing::subscriber::{DefaultGuard, set_default, set_global_default};

/// What was logged. Its clones share it, and what is written to one is kept as well.
#[derive(Clone, Debug, Default)]
pub struct CapturedLog(Arc<Mutex<Vec<u8>>>);

impl CapturedLog {
    /// Listens to this thread, down to a level, while the guard lives.
    #[must_use]
    pub fn of_this_thread(level: Level) -> (Self, DefaultGuard) {
        let log = Self::default();
        let guard = set_default(log.subscriber(level));
        (log, guard)
    }

    /// Listens to the whole process, down to a level: the log of one thread misses what
    /// is first said in another. A process can do so once.
    #[must_use]
    pub fn of_this_process(level: Level) -> Self {
        let log = Self::default();
        set_global_default(log.subscriber(level)).unwrap();
        log
    }

    fn subscriber(&self, level: Level) -> impl tracing::Subscriber + Send + Sync + use<> {
        let log = self.clone();
        tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish()
    }

    /// All that was logged so far.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for CapturedLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
