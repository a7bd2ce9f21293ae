//! The faults that wait for a request.
//!
//! Several can be armed at once, and one request may meet one of each kind; of two faults of
//! the same kind the later one waits for the next request.

use std::sync::{Mutex, MutexGuard, PoisonError};

use countersign_domain::TokenOperation;

use crate::fault::{FaultFrequency, FaultKind, VendorFault};

/// The faults that are armed, and the seed of those with a rate.
pub(crate) struct ArmedFaults {
    seed: u64,
    faults: Mutex<FaultList>,
}

#[derive(Default)]
struct FaultList {
    waiting: Vec<WaitingFault>,
    ever: u64,
}

struct WaitingFault {
    fault: VendorFault,
    draws: SeededDraws,
}

impl ArmedFaults {
    /// None is armed yet.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            faults: Mutex::default(),
        }
    }

    /// Arms one more.
    pub(crate) fn arm(&self, fault: VendorFault) {
        let mut faults = self.lock();
        let draws = SeededDraws(self.seed ^ faults.ever.wrapping_mul(GOLDEN));
        faults.ever += 1;
        faults.waiting.push(WaitingFault { fault, draws });
    }

    /// Disarms all.
    pub(crate) fn clear(&self) {
        *self.lock() = FaultList::default();
    }

    /// Those that are armed still, with how often they are left.
    pub(crate) fn waiting(&self) -> Vec<VendorFault> {
        self.lock().waiting.iter().map(|it| it.fault).collect()
    }

    /// What goes wrong with a request for this operation.
    pub(crate) fn strike(&self, operation: TokenOperation) -> Vec<FaultKind> {
        let mut faults = self.lock();
        let mut struck: Vec<FaultKind> = Vec::new();
        for waiting in &mut faults.waiting {
            let name = waiting.fault.name();
            let taken = struck.iter().any(|kind| kind.name() == name);
            if !taken && waiting.strikes(operation) {
                struck.push(waiting.fault.kind);
            }
        }
        faults.waiting.retain(WaitingFault::is_left);
        struck
    }

    fn lock(&self) -> MutexGuard<'_, FaultList> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitingFault {
    fn strikes(&mut self, operation: TokenOperation) -> bool {
        if self.fault.on.is_some_and(|on| on != operation) {
            return false;
        }
        match &mut self.fault.often {
            FaultFrequency::Times(0) => false,
            FaultFrequency::Times(left) => {
                *left -= 1;
                true
            }
            FaultFrequency::Rate(rate) => self.draws.next() < *rate,
        }
    }

    fn is_left(&self) -> bool {
        self.fault.often != FaultFrequency::Times(0)
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64 (Steele, Lea, Flood 2014): the same draws for the same seed.
struct SeededDraws(u64);

impl SeededDraws {
    /// The next draw, from 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(armed: &ArmedFaults, requests: usize) -> Vec<usize> {
        let struck = (0..requests).map(|_| armed.strike(TokenOperation::Guard).len());
        struck.collect()
    }

    #[test]
    fn a_fault_strikes_as_often_as_it_was_told_and_only_its_operation() {
        let armed = ArmedFaults::new(0);
        armed.arm(VendorFault::cut().on(TokenOperation::Refresh).times(2));
        assert!(armed.strike(TokenOperation::Login).is_empty());
        assert_eq!(armed.strike(TokenOperation::Refresh), [FaultKind::Cut]);
        assert_eq!(armed.strike(TokenOperation::Refresh), [FaultKind::Cut]);
        assert!(armed.strike(TokenOperation::Refresh).is_empty());
        assert!(armed.waiting().is_empty());
    }

    #[test]
    fn two_kinds_strike_one_request_and_two_of_a_kind_one_after_the_other() {
        let armed = ArmedFaults::new(0);
        armed.arm(VendorFault::status(500));
        armed.arm(VendorFault::lost_reply());
        armed.arm(VendorFault::status(503));
        let statuses = |struck: Vec<FaultKind>| {
            let status = |kind| match kind {
                FaultKind::Status { status, .. } => status,
                _ => 0,
            };
            struck.into_iter().map(status).collect::<Vec<_>>()
        };
        assert_eq!(statuses(armed.strike(TokenOperation::Guard)), [500, 0]);
        assert_eq!(statuses(armed.strike(TokenOperation::Guard)), [503]);
    }

    #[test]
    fn a_rate_strikes_its_part_and_the_same_requests_for_the_same_seed() {
        let runs = [7, 7, 8].map(|seed| {
            let armed = ArmedFaults::new(seed);
            armed.arm(VendorFault::cut().rate(0.25));
            strikes(&armed, 4_000)
        });
        assert_eq!(runs[0], runs[1]);
        assert_ne!(runs[0], runs[2]);
        let struck: usize = runs[0].iter().sum();
        assert!((850..1_150).contains(&struck), "{struck} of 4,000");
    }

    #[test]
    fn what_is_cleared_strikes_no_more() {
        let armed = ArmedFaults::new(0);
        armed.arm(VendorFault::cut().rate(1.0));
        assert_eq!(strikes(&armed, 2), [1, 1]);
        armed.clear();
        assert_eq!(strikes(&armed, 2), [0, 0]);
    }
}
