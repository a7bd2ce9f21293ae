//! How slowly the request bodies of a connection arrive while the service waits for
//! them. When a listener is full, the slowest one is closed to make room.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::connection_state::{ConnectionPhase, ConnectionState};

/// What every request has to its credit, in bytes, so that one that has only just
/// begun is not taken for a slow one.
const CREDIT: u64 = 4096;

/// What the requests of one connection owe. Over HTTP/1 one runs at a time.
#[derive(Debug, Default)]
pub(crate) struct HalfSent {
    state: Mutex<AwaitedState>,
}

#[derive(Debug, Default)]
struct AwaitedState {
    /// Requests that run beside the first.
    others: usize,
    /// Requests whose answer is under way.
    answering: usize,
    /// Bodies that were waited for and have not ended.
    bodies: usize,
    /// Of these, how many are waited for now, and since when one is.
    awaited: usize,
    since: Option<Instant>,
    /// What has come of them, and how long that was waited for.
    moved: u64,
    waited: Duration,
}

impl HalfSent {
    /// So many requests run.
    pub(crate) fn set_running(&self, requests: usize) {
        self.lock().others = requests.saturating_sub(1);
    }

    pub(crate) fn answer_begins(&self) {
        self.lock().answering += 1;
    }

    pub(crate) fn answer_ends(&self) {
        let mut state = self.lock();
        state.answering = state.answering.saturating_sub(1);
    }

    /// How many bytes have come in a second of waiting, if nothing but the rest of
    /// bodies is waited for on this connection.
    pub(crate) fn rate(&self) -> Option<u64> {
        let state = self.lock();
        let since = state.since?;
        if state.answering > 0 || state.awaited <= state.others {
            return None;
        }
        let waited = (state.waited + since.elapsed()).as_millis().max(1);
        let waited = u64::try_from(waited).unwrap_or(u64::MAX);
        Some((state.moved + CREDIT).saturating_mul(1000) / waited)
    }

    fn lock(&self) -> MutexGuard<'_, AwaitedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AwaitedState {
    fn wait(&mut self, anew: bool) {
        if anew {
            if self.bodies == 0 {
                self.moved = 0;
                self.waited = Duration::ZERO;
            }
            self.bodies += 1;
        }
        self.awaited += 1;
        self.since.get_or_insert_with(Instant::now);
    }

    fn resume(&mut self) {
        self.awaited = self.awaited.saturating_sub(1);
        if self.awaited == 0
            && let Some(since) = self.since.take()
        {
            self.waited += since.elapsed();
        }
    }
}

/// One body among them.
#[derive(Debug)]
pub(crate) struct AwaitedBody {
    link: Arc<ConnectionState>,
    begun: bool,
    awaited: bool,
}

impl AwaitedBody {
    pub(crate) fn new(link: Arc<ConnectionState>) -> Self {
        Self {
            link,
            begun: false,
            awaited: false,
        }
    }

    /// The service waits for more of it.
    pub(crate) fn wait(&mut self) {
        if self.awaited || self.link.phase() != ConnectionPhase::Running {
            return;
        }
        self.link.half_sent().lock().wait(!self.begun);
        (self.begun, self.awaited) = (true, true);
    }

    /// So many bytes have come.
    pub(crate) fn moved(&mut self, bytes: usize) {
        if !self.begun {
            return;
        }
        let mut state = self.link.half_sent().lock();
        state.moved = state.moved.saturating_add(bytes as u64);
        if std::mem::take(&mut self.awaited) {
            state.resume();
        }
    }
}

impl Drop for AwaitedBody {
    fn drop(&mut self) {
        if !self.begun {
            return;
        }
        let mut state = self.link.half_sent().lock();
        state.bodies = state.bodies.saturating_sub(1);
        if self.awaited {
            state.resume();
        }
    }
}
