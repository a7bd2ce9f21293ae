//! The store's own background work: it records which access tokens were used, and sweeps
//! expired rows. Both run in small steps between the callers' commands.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_domain::{SessionId, Timestamp};

use super::error::StoreUnavailable;
use super::sweep;
use super::work::WriteTransaction;
use super::writer::WriteQueue;
use crate::clock::StoreClock;

/// How long a use may wait until it is written.
const TICK: Duration = Duration::from_millis(100);
/// The time from one sweep to the next, by the store's clock: if the clock is moved on,
/// the sweep runs at once.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// How many uses may wait; further ones are lost.
const MARKS: usize = 16_384;
/// How many uses are written in one command.
const MARKS_AT_ONCE: usize = 256;

/// The generations whose access token was used, until that is written.
///
/// Losing one only keeps the replay window open to its limit, so they wait in memory and
/// the excess is dropped.
#[derive(Default)]
pub(super) struct UsedGenerations(Mutex<HashMap<SessionId, u32>>);

impl UsedGenerations {
    pub(super) fn add(&self, session: SessionId, generation: u32) {
        let mut marks = self.lock();
        if let Some(marked) = marks.get_mut(&session) {
            *marked = generation.max(*marked);
        } else if marks.len() < MARKS {
            marks.insert(session, generation);
        }
    }

    /// Writes everything that is waiting now.
    pub(super) fn flush(&self, commands: &WriteQueue) -> Result<(), StoreUnavailable> {
        let marks: Vec<_> = std::mem::take(&mut *self.lock()).into_iter().collect();
        for chunk in marks.chunks(MARKS_AT_ONCE) {
            let chunk = chunk.to_vec();
            commands.run_blocking(move |work| write(work, &chunk))?;
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records that these generations were used.
pub(super) fn write(
    work: &mut WriteTransaction<'_>,
    marks: &[(SessionId, u32)],
) -> rusqlite::Result<()> {
    marks.iter().try_for_each(|(session, generation)| {
        work.execute(
            "UPDATE session SET used = 1
             WHERE id = ?1 AND generation = ?2 AND used = 0 AND state = 'active'",
            (session.0, generation),
        )
        .map(drop)
    })
}

/// Runs regularly until the other end of `stop` is gone. `swept` is the time at which the
/// store was opened: a clock that is moved on before this thread runs causes a sweep,
/// too.
pub(super) fn run(
    stop: &Receiver<()>,
    commands: &WriteQueue,
    marks: &Arc<UsedGenerations>,
    clock: &StoreClock,
    mut swept: Timestamp,
) {
    while stop.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        // A mark that fails is lost, which only keeps a replay window open to its
        // bound; the rest is tried again. The writer has logged why.
        let _tried = marks.flush(commands);
        let now = clock.now();
        if now.since(swept) >= SWEEP_EVERY {
            swept = now;
            let _tried = sweep_all(commands, stop);
            let _tried = keep_clock(commands);
        }
    }
}

/// What is written before the store closes, including the time, unless upkeep never
/// began.
pub(super) fn last(commands: &WriteQueue, marks: &UsedGenerations, keeps_time: bool) {
    let _tried = marks.flush(commands);
    if keeps_time {
        let _tried = keep_clock(commands);
    }
}

/// Stores the time on a node that commits nothing else: if the clock is set back while it
/// is down, expired tokens must not become valid again.
fn keep_clock(commands: &WriteQueue) -> Result<(), StoreUnavailable> {
    commands.run_blocking(|work| work.execute_one("UPDATE head SET clock = clock", []))
}

/// One step after another, so that callers' commands can run in between.
fn sweep_all(commands: &WriteQueue, stop: &Receiver<()>) -> Result<(), StoreUnavailable> {
    while commands.run_blocking(sweep::step)?.more {
        if stop.recv_timeout(Duration::ZERO) != Err(RecvTimeoutError::Timeout) {
            break;
        }
    }
    Ok(())
}
