//! Reports the first use of each generation of a session, once.
//!
//! The report closes the window in which a lost refresh may be repeated, so a lost report
//! only keeps the window open until it times out. The memory is bounded: when it is full,
//! nothing more is reported until it has been pruned.

use countersign_domain::{SessionId, Timestamp};

use crate::permit::{CallerProof, Permit};

/// Remembers which generations were reported as used.
pub struct FirstUses {
    seen: papaya::HashMap<SessionId, SeenGenerations>,
    capacity: usize,
    report: Box<dyn Fn(SessionId, u32) + Send + Sync>,
}

struct SeenGenerations {
    generation: u32,
    until: Timestamp,
}

impl FirstUses {
    /// Reports through `report`, which must not block, and remembers at most
    /// about `capacity` sessions.
    pub fn new(capacity: usize, report: impl Fn(SessionId, u32) + Send + Sync + 'static) -> Self {
        Self {
            seen: papaya::HashMap::new(),
            capacity,
            report: Box::new(report),
        }
    }

    /// A guarded request was allowed with this permit.
    pub(crate) fn note_permit(&self, permit: &Permit) {
        if let Some(CallerProof::Token {
            session,
            generation,
            expires_at,
            ..
        }) = permit.caller().map(|caller| caller.proof)
        {
            self.note(session, generation, expires_at);
        }
    }

    /// A guarded request was allowed with an access token of this generation, which
    /// expires at `until`.
    fn note(&self, session: SessionId, generation: u32, until: Timestamp) {
        let seen = self.seen.pin();
        match seen.get(&session) {
            Some(before) if before.generation >= generation => return,
            None if seen.len() >= self.capacity => return,
            _ => {}
        }
        seen.insert(session, SeenGenerations { generation, until });
        (self.report)(session, generation);
    }

    /// Drops the generations that no valid token can belong to any more.
    pub fn prune(&self, now: Timestamp) {
        self.seen.pin().retain(|_, seen| seen.until > now);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    type Log = Arc<Mutex<Vec<(u8, u32)>>>;

    fn uses(capacity: usize) -> (FirstUses, Log) {
        let log = Log::default();
        let reported = Arc::clone(&log);
        let uses = FirstUses::new(capacity, move |session, generation| {
            reported.lock().unwrap().push((session.0[0], generation));
        });
        (uses, log)
    }

    fn session(byte: u8) -> SessionId {
        SessionId([byte; 16])
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn each_generation_is_reported_once() {
        let (uses, log) = uses(10);
        for generation in [0, 0, 1, 1, 0] {
            uses.note(session(1), generation, at(10));
        }
        assert_eq!(*log.lock().unwrap(), [(1, 0), (1, 1)]);
    }

    #[test]
    fn a_full_memory_reports_nothing_until_it_is_pruned() {
        let (uses, log) = uses(1);
        uses.note(session(1), 0, at(10));
        uses.note(session(2), 0, at(20));
        uses.prune(at(9));
        uses.note(session(2), 0, at(20));
        assert_eq!(*log.lock().unwrap(), [(1, 0)]);
        uses.prune(at(10));
        uses.note(session(2), 0, at(20));
        assert_eq!(*log.lock().unwrap(), [(1, 0), (2, 0)]);
    }
}
