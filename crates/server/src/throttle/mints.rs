//! How many tokens an account may obtain in a minute. Logins and refreshes count, and so do
//! those that repeat an answer, since they are written as well.

use std::collections::HashMap;
use std::hash::RandomState;
use std::num::NonZeroU32;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use countersign_domain::limits::ApiLimits;
use countersign_domain::{Account, AccountId, CountedAttempt, KeyedCounters, RateLimit, Timestamp};

use super::{CAPACITY, MINUTE};

/// Counts in the memory of one process.
pub(crate) struct MintCounter {
    counters: KeyedCounters,
    /// The limits of accounts that have their own, as they were last seen. A refresh is
    /// counted before its account is loaded, so a change holds from the second request
    /// after it.
    own: RwLock<HashMap<AccountId, u32>>,
}

impl MintCounter {
    pub(crate) fn new() -> Self {
        Self {
            counters: KeyedCounters::new(CAPACITY, RandomState::new()),
            own: RwLock::default(),
        }
    }

    /// Counts one more for the account. `limits` are its api's.
    ///
    /// # Errors
    ///
    /// How long to wait until one more would be admitted.
    pub(crate) fn admit(
        &self,
        account: AccountId,
        limits: &ApiLimits,
        now: Timestamp,
    ) -> Result<CountedAttempt, Duration> {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        let most = own.get(&account).copied();
        drop(own);
        let most = NonZeroU32::new(most.unwrap_or(limits.mints_per_minute));
        let rate = RateLimit::refilled(most.unwrap_or(NonZeroU32::MIN), MINUTE);
        self.counters.admit(&account, rate, now)
    }

    /// Takes back what was counted for tokens that were not issued.
    pub(crate) fn take_back(&self, counted: CountedAttempt, now: Timestamp) {
        self.counters.take_back(counted, now);
    }

    /// Remembers the account's own limit, or that it has none.
    pub(crate) fn learn(&self, account: &Account) {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        let known = own.get(&account.id).copied();
        drop(own);
        if known == account.limits.mints_per_minute {
            return;
        }
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        match account.limits.mints_per_minute {
            Some(most) => own.insert(account.id, most),
            None => own.remove(&account.id),
        };
    }
}
