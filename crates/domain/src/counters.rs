//! Many counters in bounded memory, by key.
//!
//! A counter that still counts something is never dropped to make room for another, so
//! nobody can reset a busy counter by making up keys. When there is no room, new keys
//! share a fixed number of counters: they may be refused too early, never too late. Keys
//! are stored as hashes under a secret of the caller's, so that nobody can choose which
//! keys share a counter.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::rate::{RateLimit, RateTally};
use crate::time::Timestamp;

const SHARDS: usize = 64;
/// The counters of one shard that keys share when there is no room.
const SHARED: usize = 16;
/// How often a full shard looks for counters that it can drop.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Counters by key. Locks are held for a few instructions only.
pub struct KeyedCounters {
    shards: Vec<Mutex<CounterShard>>,
    hasher: RandomState,
}

/// Evidence that something was counted, with which it can be taken back.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedAttempt {
    place: CounterPlace,
    rate: RateLimit,
    at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CounterPlace {
    hash: u64,
    shared: bool,
}

struct CounterShard {
    own: HashMap<u64, RateTally>,
    shared: [RateTally; SHARED],
    capacity: usize,
    swept_at: Timestamp,
}

impl KeyedCounters {
    /// Room for about `capacity` counters; `hasher` hashes the keys.
    pub fn new(capacity: usize, hasher: RandomState) -> Self {
        let shard = || {
            Mutex::new(CounterShard {
                own: HashMap::new(),
                shared: [RateTally::default(); SHARED],
                capacity: capacity.div_ceil(SHARDS),
                swept_at: Timestamp::from_micros(i64::MIN),
            })
        };
        Self {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            hasher,
        }
    }

    /// Counts one more for `key`.
    ///
    /// # Errors
    ///
    /// The time until one more would be admitted, if the rate is exhausted; then nothing is
    /// counted.
    pub fn admit<K: Hash + ?Sized>(
        &self,
        key: &K,
        rate: RateLimit,
        now: Timestamp,
    ) -> Result<CountedAttempt, Duration> {
        let hash = self.hasher.hash_one(key);
        let mut shard = self.shard(hash);
        let place = shard.place(hash, now);
        let tally = rate.admit(shard.tally(place), now)?;
        shard.put(place, tally);
        Ok(CountedAttempt {
            place,
            rate,
            at: now,
        })
    }

    /// Checks whether one more for `key` would be admitted, and counts nothing.
    ///
    /// # Errors
    ///
    /// The time until one would be admitted, as [`KeyedCounters::admit`].
    pub fn check<K: Hash + ?Sized>(
        &self,
        key: &K,
        rate: RateLimit,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let hash = self.hasher.hash_one(key);
        let mut shard = self.shard(hash);
        let place = shard.place(hash, now);
        rate.admit(shard.tally(place), now).map(drop)
    }

    /// Takes back what was counted.
    pub fn take_back(&self, counted: CountedAttempt, now: Timestamp) {
        let mut shard = self.shard(counted.place.hash);
        let tally = shard.tally(counted.place);
        let less = counted.rate.take_back(tally, counted.at, now);
        shard.put_back(counted.place, less, now);
    }

    /// How many keys have a counter of their own.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).own.len()).sum()
    }

    /// Whether no key has a counter of its own.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, CounterShard> {
        // The low bits: the map within the shard uses the high ones.
        lock(&self.shards[hash as usize % SHARDS])
    }
}

impl CounterShard {
    /// Where the counter of this key is, or would be.
    fn place(&mut self, hash: u64, now: Timestamp) -> CounterPlace {
        let own = self.own.contains_key(&hash) || self.has_room(now);
        CounterPlace { hash, shared: !own }
    }

    fn has_room(&mut self, now: Timestamp) -> bool {
        if self.own.len() >= self.capacity && now >= self.swept_at + SWEEP_EVERY {
            self.swept_at = now;
            self.own.retain(|_, tally| !tally.is_settled(now));
        }
        self.own.len() < self.capacity
    }

    fn tally(&self, place: CounterPlace) -> RateTally {
        if place.shared {
            return self.shared[place.slot()];
        }
        self.own.get(&place.hash).copied().unwrap_or_default()
    }

    fn put(&mut self, place: CounterPlace, tally: RateTally) {
        if place.shared {
            self.shared[place.slot()] = tally;
        } else {
            self.own.insert(place.hash, tally);
        }
    }

    /// Stores what is left of a counter; one that counts nothing is removed.
    fn put_back(&mut self, place: CounterPlace, tally: RateTally, now: Timestamp) {
        if !place.shared && tally.is_settled(now) {
            self.own.remove(&place.hash);
        } else {
            self.put(place, tally);
        }
    }
}

impl CounterPlace {
    fn slot(self) -> usize {
        (self.hash as usize / SHARDS) % SHARED
    }
}

fn lock(shard: &Mutex<CounterShard>) -> MutexGuard<'_, CounterShard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const CAPACITY: usize = 640;

    fn counters() -> KeyedCounters {
        KeyedCounters::new(CAPACITY, RandomState::new())
    }

    fn once_a_minute() -> RateLimit {
        RateLimit::new(NonZeroU32::MIN, 60 * SECOND)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn keys_count_for_themselves() {
        let counters = counters();
        let admit = |key| counters.admit(key, once_a_minute(), at(0));
        assert!(admit("a").is_ok());
        assert!(!counters.is_empty());
        assert_eq!(admit("a"), Err(60 * SECOND));
        assert!(admit("b").is_ok());
        assert!(counters.check("c", once_a_minute(), at(0)).is_ok());
        assert!(counters.check("b", once_a_minute(), at(0)).is_err());
        assert_eq!(counters.len(), 2, "a check leaves nothing behind");
    }

    #[test]
    fn a_flood_of_made_up_keys_frees_no_counter_and_no_memory() {
        let counters = counters();
        let rate = once_a_minute();
        let _counted = counters.admit("hot", rate, at(0)).unwrap();
        let mut refused = 0;
        for made_up in 0..100_000 {
            let admitted = counters.admit(&made_up, rate, at(made_up / 2_000));
            refused += usize::from(admitted.is_err());
        }
        assert!(counters.len() <= CAPACITY);
        assert!(refused > 90_000, "those without a place share: {refused}");
        assert_eq!(counters.admit("hot", rate, at(59)), Err(SECOND));
        assert!(counters.admit("hot", rate, at(60)).is_ok());
    }

    #[test]
    fn settled_counters_make_place() {
        let counters = counters();
        // So many that no shared counter is left out, wherever the keys fall.
        for key in -100_000..0 {
            let _admitted = counters.admit(&key, once_a_minute(), at(0));
        }
        for (second, makes_place) in [(59, false), (60, true)] {
            for key in 20_000..20_100 {
                let admitted = counters.admit(&key, once_a_minute(), at(second));
                assert_eq!(admitted.is_ok(), makes_place, "{key} at {second}");
            }
        }
    }

    #[test]
    fn what_is_taken_back_leaves_nothing() {
        let counters = counters();
        for _ in 0..1_000 {
            let counted = counters.admit("a", once_a_minute(), at(0)).unwrap();
            counters.take_back(counted, at(0));
        }
        assert!(counters.is_empty());
    }

    #[test]
    fn what_is_taken_back_leaves_what_else_was_counted() {
        let counters = counters();
        let twice = RateLimit::new(NonZeroU32::MIN.saturating_add(1), 60 * SECOND);
        let admit = |second| counters.admit("a", twice, at(second));
        let _first = admit(0).unwrap();
        let second = admit(0).unwrap();
        assert_eq!(admit(0), Err(60 * SECOND));
        counters.take_back(second, at(0));
        assert!(admit(0).is_ok());
        assert_eq!(admit(0), Err(60 * SECOND), "the first still counts");
    }

    #[test]
    fn keys_without_a_place_share_every_shared_counter_and_give_back_to_it() {
        let counters = counters();
        let rate = once_a_minute();
        let admitted: Vec<CountedAttempt> = (0..100_000)
            .filter_map(|key| counters.admit(&key, rate, at(0)).ok())
            .collect();
        assert_eq!(admitted.len(), CAPACITY + SHARDS * SHARED);
        let (key, shared) = (0..100_000)
            .find_map(|key| {
                let hash = counters.hasher.hash_one(key);
                let of_it = |counted: &&CountedAttempt| {
                    counted.place == CounterPlace { hash, shared: true }
                };
                admitted.iter().find(of_it).map(|counted| (key, *counted))
            })
            .unwrap();
        assert_eq!(counters.admit(&key, rate, at(0)), Err(60 * SECOND));
        counters.take_back(shared, at(0));
        assert!(counters.admit(&key, rate, at(0)).is_ok());
        assert_eq!(counters.len(), CAPACITY, "no counter of another went");
    }

    /// Counters with room for one key.
    fn shard() -> CounterShard {
        CounterShard {
            own: HashMap::new(),
            shared: [RateTally::default(); SHARED],
            capacity: 1,
            swept_at: Timestamp::from_micros(i64::MIN),
        }
    }

    #[test]
    fn a_full_shard_looks_for_what_it_may_forget_once_a_second() {
        let millis = |millis: i64| Timestamp::from_micros(millis * 1_000);
        let mut shard = shard();
        shard.own.insert(1, RateTally(millis(500)));
        for (now, shared) in [(0, true), (900, true), (999, true), (1_000, false)] {
            let place = CounterPlace { hash: 2, shared };
            assert_eq!(shard.place(2, millis(now)), place, "at {now} ms");
        }
    }

    #[test]
    fn a_shard_with_room_does_not_put_off_the_look_that_it_needs_once_it_is_full() {
        let mut shard = shard();
        assert!(!shard.place(1, at(10)).shared);
        shard.own.insert(1, RateTally(at(10)));
        assert!(!shard.place(2, at(10)).shared, "1 is settled and goes");
    }
}
