//! How slowly the request bodies of a connection arrive while the service waits for
//! them. When a listener is full, the slowest one is closed to make room.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::connection_state::{ConnectionPhase, ConnectionState};

/// What every request has to its credit, in bytes, so that one that has only just
/// begun is not taken for a slow one.
const CREDIT: u64 = 4096;

/// The parts of request bodies that are still missing on one connection. Over HTTP/1 one
/// request runs at a time.
#[derive(Debug, Default)]
pub(crate) struct HalfSent {
    state: Mutex<AwaitedState>,
}

#[derive(Debug, Default)]
struct AwaitedState {
    /// Running requests beyond the first.
    others: usize,
    /// Requests whose answer is being sent.
    answering: usize,
    /// Bodies that were waited for and have not ended.
    bodies: usize,
    /// Of these, how many are waited for now, and since when one is.
    awaited: usize,
    since: Option<Instant>,
    /// How many bytes of them have arrived, and how long they were waited for.
    moved: u64,
    waited: Duration,
}

impl HalfSent {
    /// Sets how many requests run.
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

    /// How many bytes arrive per second of waiting, if the connection waits only for the
    /// rest of bodies.
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

/// One of these bodies.
#[derive(Debug)]
pub(crate) struct AwaitedBody {
    state: Arc<ConnectionState>,
    begun: bool,
    awaited: bool,
}

impl AwaitedBody {
    pub(crate) fn new(state: Arc<ConnectionState>) -> Self {
        Self {
            state,
            begun: false,
            awaited: false,
        }
    }

    /// The service waits for more of it.
    pub(crate) fn wait(&mut self) {
        if self.awaited || self.state.phase() != ConnectionPhase::Running {
            return;
        }
        self.state.half_sent().lock().wait(!self.begun);
        (self.begun, self.awaited) = (true, true);
    }

    /// Counts bytes that have arrived.
    pub(crate) fn moved(&mut self, bytes: usize) {
        if !self.begun {
            return;
        }
        let mut half_sent = self.state.half_sent().lock();
        half_sent.moved = half_sent.moved.saturating_add(bytes as u64);
        if std::mem::take(&mut self.awaited) {
            half_sent.resume();
        }
    }
}

impl Drop for AwaitedBody {
    fn drop(&mut self) {
        if !self.begun {
            return;
        }
        let mut half_sent = self.state.half_sent().lock();
        half_sent.bodies = half_sent.bodies.saturating_sub(1);
        if self.awaited {
            half_sent.resume();
        }
    }
}
