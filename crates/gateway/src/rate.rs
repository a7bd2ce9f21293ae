//! How many guarded requests an account makes in a second.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use countersign_domain::{AccountId, RateLimit, RateTally, Timestamp};

const SECOND: Duration = Duration::from_secs(1);

/// One counter for each account that was seen recently; there are no more counters than
/// accounts.
#[derive(Default)]
pub(crate) struct AccountRates(papaya::HashMap<AccountId, AtomicI64>);

impl AccountRates {
    /// Counts one more request of `most` in a second, all of which may arrive at once.
    ///
    /// # Errors
    ///
    /// How long to wait.
    pub(crate) fn admit(
        &self,
        account: AccountId,
        most: u32,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let rate = RateLimit::refilled(NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN), SECOND);
        let tallies = self.0.pin();
        let unused = || AtomicI64::new(RateTally::default().0.as_micros());
        let tally = tallies.get_or_insert_with(account, unused);
        let mut before = tally.load(Ordering::Relaxed);
        loop {
            let next = rate.admit(RateTally(Timestamp::from_micros(before)), now)?;
            let next = next.0.as_micros();
            match tally.compare_exchange_weak(before, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => before = other,
            }
        }
    }

    /// Drops the counters that count nothing any more.
    pub(crate) fn prune(&self, now: Timestamp) {
        let counts = |tally: &AtomicI64| {
            let tally = RateTally(Timestamp::from_micros(tally.load(Ordering::Relaxed)));
            !tally.is_settled(now)
        };
        self.0.pin().retain(|_, tally| counts(tally));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(1_000 * millis)
    }

    fn account(number: u64) -> AccountId {
        AccountId::new(number).unwrap()
    }

    #[test]
    fn a_second_s_worth_may_come_at_once_and_the_next_waits() {
        let rates = AccountRates::default();
        for _ in 0..10 {
            assert_eq!(rates.admit(account(1), 10, at(0)), Ok(()));
        }
        let wait = Duration::from_millis(100);
        assert_eq!(rates.admit(account(1), 10, at(0)), Err(wait));
        assert_eq!(rates.admit(account(2), 10, at(0)), Ok(()));
        assert_eq!(rates.admit(account(1), 10, at(100)), Ok(()));
    }

    #[test]
    fn threads_together_get_no_more_than_one() {
        let rates = AccountRates::default();
        let tries = || {
            let tries = (0..1_000).map(|_| rates.admit(account(1), 100, at(0)));
            tries.filter(Result::is_ok).count()
        };
        let admitted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(tries)).collect();
            threads.into_iter().map(|it| it.join().unwrap()).sum()
        });
        assert_eq!(admitted, 100);
    }

    #[test]
    fn only_counters_that_count_are_kept() {
        let rates = AccountRates::default();
        rates.admit(account(1), 1, at(0)).unwrap();
        rates.admit(account(2), 1, at(500)).unwrap();
        rates.prune(at(1_000));
        assert_eq!(rates.0.len(), 1);
        assert!(rates.admit(account(2), 1, at(1_000)).is_err());
    }
}
