//! Keeps the vendor's memory bounded.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use countersign_domain::{SessionId, Timestamp};

/// How many sessions are remembered as used.
const MOST: usize = 100_000;

/// From one pruning to the next, on the sandbox's clock.
const EVERY: Duration = Duration::from_secs(30);

/// The generations whose use is written.
#[derive(Default)]
pub(crate) struct WrittenGenerations(Mutex<HashMap<SessionId, u32>>);

impl WrittenGenerations {
    /// Whether this one is.
    pub(super) fn knows(&self, session: SessionId, generation: u32) -> bool {
        let used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.get(&session).is_some_and(|known| *known >= generation)
    }

    /// This one is. To forget others only writes them again.
    pub(super) fn learn(&self, session: SessionId, generation: u32) {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= MOST {
            used.clear();
        }
        let known = used.entry(session).or_default();
        *known = generation.max(*known);
    }
}

/// When it was pruned last.
#[derive(Default)]
pub(crate) struct PruneSchedule(Mutex<Timestamp>);

impl PruneSchedule {
    /// Whether it is time again, which is told once.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = now.since(*last) >= EVERY;
        if due {
            *last = now;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_use_of_a_generation_is_that_of_those_before_it() {
        let used = WrittenGenerations::default();
        let session = SessionId([1; 16]);
        assert!(!used.knows(session, 0), "the first generation is none");
        used.learn(session, 3);
        used.learn(session, 2);
        assert!(used.knows(session, 3) && used.knows(session, 1));
        assert!(!used.knows(session, 4) && !used.knows(SessionId([2; 16]), 1));
    }

    #[test]
    fn it_is_time_once_in_a_while() {
        let pruning = PruneSchedule::default();
        let start = Timestamp::from_seconds(1_800_000_000);
        assert!(pruning.is_due(start) && !pruning.is_due(start));
        assert!(!pruning.is_due(start + EVERY / 2));
        assert!(pruning.is_due(start + EVERY));
    }
}
