//! Signing keys in two generations: the next key is published before its first use, and
//! the last one verifies until every token that it signed has expired.
//!
//! A key is pending, then active, then retiring, then gone. It can be killed at any
//! point, which ends every token that it signed. At most three keys of one algorithm are
//! alive at once, because a token without `kid` is tried with each.

use std::fmt;
use std::time::Duration;

use crate::time::Timestamp;
use crate::token::Algorithm;

/// The id of a key (RFC 7517 section 4.5).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kid(pub String);

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a key is in its life cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published, but does not sign yet.
    Pending,
    /// Signs every new token.
    Active,
    /// Verifies, and signs only repeated answers.
    Retiring {
        /// When the last token that it signed expires.
        until: Timestamp,
    },
    /// Neither signs nor verifies.
    Killed,
}

/// What a key ring knows about a key. The key material is elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The id.
    pub kid: Kid,
    /// The one algorithm that it signs with.
    pub algorithm: Algorithm,
    /// Where it is in its life.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The greatest number of keys of one algorithm that are alive at once.
pub const MAX_LIVE: usize = 3;

/// The keys of one api and algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRing {
    keys: Vec<KeyRecord>,
}

/// Why a set of keys is not a valid ring, or cannot be changed as requested.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingFault {
    /// There is not exactly one active key.
    #[error("a key ring needs exactly one active key, this one has {0}")]
    Active(usize),
    /// More keys are alive than allowed.
    #[error("a key ring has at most {MAX_LIVE} keys that are alive, but this one would have {0}")]
    TooMany(usize),
    /// One ring has keys of several algorithms.
    #[error("a key ring has keys of one algorithm only")]
    Mixed,
    /// There is no key that a rotation could make active.
    #[error("there is no pending key")]
    NoPending,
    /// The ring has no such key, or the key is dead already.
    #[error("the key is not alive")]
    NotAlive,
}

impl KeyRing {
    /// The ring of these keys, as they are at `now`.
    ///
    /// # Errors
    ///
    /// [`RingFault::Active`] unless exactly one key is active, [`RingFault::Mixed`] if the
    /// keys are of several algorithms, and [`RingFault::TooMany`] if more than [`MAX_LIVE`]
    /// are alive at `now`.
    pub fn new(keys: Vec<KeyRecord>, now: Timestamp) -> Result<Self, RingFault> {
        let ring = Self { keys };
        let active = ring
            .keys
            .iter()
            .filter(|key| key.state == KeyState::Active)
            .count();
        if active != 1 {
            return Err(RingFault::Active(active));
        }
        if ring
            .keys
            .iter()
            .any(|key| key.algorithm != ring.keys[0].algorithm)
        {
            return Err(RingFault::Mixed);
        }
        match ring.live(now).count() {
            live if live > MAX_LIVE => Err(RingFault::TooMany(live)),
            _ => Ok(ring),
        }
    }

    /// All keys, including dead ones.
    pub fn keys(&self) -> &[KeyRecord] {
        &self.keys
    }

    /// The key that signs new tokens.
    pub fn active(&self) -> &Kid {
        let active = self.keys.iter().find(|key| key.state == KeyState::Active);
        // `new` and `rotate` keep exactly one.
        active.map_or(&self.keys[0].kid, |key| &key.kid)
    }

    /// The keys whose signatures are accepted at `now`. This includes a pending key,
    /// because another node may already sign with it.
    pub fn live(&self, now: Timestamp) -> impl Iterator<Item = &KeyRecord> {
        self.keys.iter().filter(move |key| match key.state {
            KeyState::Pending | KeyState::Active => true,
            KeyState::Retiring { until } => now < until,
            KeyState::Killed => false,
        })
    }

    /// The ring with a new pending key.
    ///
    /// # Errors
    ///
    /// [`RingFault::TooMany`], if [`MAX_LIVE`] keys are alive already.
    pub fn publish(&self, kid: Kid, now: Timestamp) -> Result<Self, RingFault> {
        let algorithm = self.keys[0].algorithm;
        let key = KeyRecord {
            kid,
            algorithm,
            state: KeyState::Pending,
            created_at: now,
        };
        Self::new(self.keys.iter().cloned().chain([key]).collect(), now)
    }

    /// The ring after its pending key became active.
    ///
    /// `longest` is the longest lifetime of a token that the retiring key may have
    /// signed: the key verifies for that long.
    ///
    /// # Errors
    ///
    /// [`RingFault::NoPending`], if no key is pending.
    pub fn rotate(&self, longest: Duration, now: Timestamp) -> Result<Self, RingFault> {
        let next = self.pending().ok_or(RingFault::NoPending)?.kid.clone();
        let keys = self.keys.iter().cloned().map(|key| match key.state {
            KeyState::Active => KeyRecord {
                state: KeyState::Retiring {
                    until: now + longest,
                },
                ..key
            },
            KeyState::Pending if key.kid == next => KeyRecord {
                state: KeyState::Active,
                ..key
            },
            _ => key,
        });
        Self::new(keys.collect(), now)
    }

    /// The ring after a key was killed, with every token that it signed.
    ///
    /// If it was the active key, the pending key takes its place, since those who read
    /// the published keys may know it already. Without a pending key, a new one with the
    /// id `fresh` does.
    ///
    /// # Errors
    ///
    /// [`RingFault::NotAlive`], if no key of this name is alive, and
    /// [`RingFault::NoPending`], if the active key is to be killed, none is pending and
    /// `fresh` is `None`.
    pub fn kill(&self, kid: &Kid, fresh: Option<Kid>, now: Timestamp) -> Result<Self, RingFault> {
        let killed = self.live(now).find(|key| key.kid == *kid);
        let was_active = killed.ok_or(RingFault::NotAlive)?.state == KeyState::Active;
        let mut keys = self.keys.clone();
        for key in keys.iter_mut().filter(|key| key.kid == *kid) {
            key.state = KeyState::Killed;
        }
        let pending = keys.iter_mut().find(|key| key.state == KeyState::Pending);
        match (was_active, pending, fresh) {
            (false, ..) => {}
            (true, Some(next), _) => next.state = KeyState::Active,
            (true, None, Some(kid)) => keys.push(KeyRecord {
                kid,
                algorithm: self.keys[0].algorithm,
                state: KeyState::Active,
                created_at: now,
            }),
            (true, None, None) => return Err(RingFault::NoPending),
        }
        Self::new(keys, now)
    }

    /// The key that the next rotation makes active.
    pub fn pending(&self) -> Option<&KeyRecord> {
        self.keys.iter().find(|key| key.state == KeyState::Pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn key(kid: &str, state: KeyState) -> KeyRecord {
        KeyRecord {
            kid: Kid(kid.to_owned()),
            algorithm: Algorithm::Hs256,
            state,
            created_at: Timestamp::default(),
        }
    }

    fn kids(ring: &KeyRing, now: Timestamp) -> Vec<&str> {
        ring.live(now).map(|key| key.kid.0.as_str()).collect()
    }

    #[test]
    fn a_key_verifies_before_it_signs_and_after_it_signed() {
        let start = Timestamp::from_seconds(1_000);
        let ring = KeyRing::new(vec![key("a", KeyState::Active)], start).unwrap();
        let ring = ring.publish(Kid("b".to_owned()), start).unwrap();
        assert_eq!(
            (ring.active().0.as_str(), kids(&ring, start)),
            ("a", vec!["a", "b"])
        );

        let ring = ring.rotate(HOUR, start).unwrap();
        assert_eq!(
            (ring.active().0.as_str(), kids(&ring, start)),
            ("b", vec!["a", "b"])
        );

        let last = start + HOUR - Duration::from_micros(1);
        assert_eq!(kids(&ring, last), ["a", "b"]);
        assert_eq!(kids(&ring, start + HOUR), ["b"]);
    }

    #[test]
    fn a_rotation_needs_a_key_to_move_to() {
        let now = Timestamp::default();
        let ring = KeyRing::new(vec![key("a", KeyState::Active)], now).unwrap();
        assert_eq!(ring.rotate(HOUR, now), Err(RingFault::NoPending));
    }

    #[test]
    fn a_fourth_living_key_is_refused_until_one_is_gone() {
        let now = Timestamp::default();
        let next = |ring: &KeyRing, kid: &str, now| {
            ring.publish(Kid(kid.to_owned()), now)
                .and_then(|ring| ring.rotate(HOUR, now))
        };
        let ring = KeyRing::new(vec![key("a", KeyState::Active)], now).unwrap();
        let ring = next(&next(&ring, "b", now).unwrap(), "c", now).unwrap();
        assert_eq!(next(&ring, "d", now), Err(RingFault::TooMany(4)));
        assert_eq!(next(&ring, "d", now + HOUR).unwrap().active().0, "d");
    }

    #[test]
    fn where_the_active_key_is_killed_another_signs_at_once() {
        let now = Timestamp::from_seconds(1_000);
        let named = |kid: &str| Kid(kid.to_owned());
        let ring = KeyRing::new(vec![key("a", KeyState::Active)], now).unwrap();
        assert_eq!(ring.kill(&named("a"), None, now), Err(RingFault::NoPending));
        let fresh = ring.kill(&named("a"), Some(named("b")), now).unwrap();
        assert_eq!(
            (fresh.active().0.as_str(), kids(&fresh, now)),
            ("b", vec!["b"])
        );
        let ring = ring.publish(named("c"), now).unwrap();
        let next = ring.kill(&named("a"), Some(named("b")), now).unwrap();
        assert_eq!(
            (next.active().0.as_str(), kids(&next, now)),
            ("c", vec!["c"])
        );
        let again = next.kill(&named("a"), None, now);
        assert_eq!(again, Err(RingFault::NotAlive));
        let idle = ring.kill(&named("c"), None, now).unwrap();
        assert_eq!(
            (idle.active().0.as_str(), kids(&idle, now)),
            ("a", vec!["a"])
        );
    }

    #[test]
    fn a_key_can_be_killed_where_no_further_one_fits_beside_it() {
        let now = Timestamp::default();
        let until = now + HOUR;
        let old = ["a", "b"].map(|kid| key(kid, KeyState::Retiring { until }));
        let keys = old.into_iter().chain([key("c", KeyState::Active)]);
        let ring = KeyRing::new(keys.collect(), now).unwrap();
        let fresh = Kid("d".to_owned());
        let ring = ring.kill(&Kid("c".to_owned()), Some(fresh), now).unwrap();
        assert_eq!(kids(&ring, now), ["a", "b", "d"]);
    }

    #[test]
    fn a_ring_without_exactly_one_active_key_does_not_start() {
        let now = Timestamp::default();
        assert_eq!(KeyRing::new(vec![], now), Err(RingFault::Active(0)));
        let two = vec![key("a", KeyState::Active), key("b", KeyState::Active)];
        assert_eq!(KeyRing::new(two, now), Err(RingFault::Active(2)));
        let killed = vec![key("a", KeyState::Killed)];
        assert_eq!(KeyRing::new(killed, now), Err(RingFault::Active(0)));
    }

    #[test]
    fn algorithms_do_not_mix() {
        let rsa = KeyRecord {
            algorithm: Algorithm::Rs256,
            ..key("b", KeyState::Pending)
        };
        let ring = KeyRing::new(vec![key("a", KeyState::Active), rsa], Timestamp::default());
        assert_eq!(ring, Err(RingFault::Mixed));
    }

    #[test]
    fn the_pending_key_is_the_one_that_is_published_and_not_used_yet() {
        let now = Timestamp::default();
        let ring = KeyRing::new(vec![key("a", KeyState::Active)], now).unwrap();
        assert_eq!(ring.pending(), None);
        let ring = ring.publish(Kid("b".to_owned()), now).unwrap();
        assert_eq!(ring.pending(), Some(&key("b", KeyState::Pending)));
        assert_eq!(ring.keys().len(), 2);
        assert_eq!(ring.keys()[1].kid.to_string(), "b");
    }

    #[test]
    fn one_pending_key_at_a_time_becomes_active() {
        let now = Timestamp::default();
        let ring = KeyRing::new(vec![key("a", KeyState::Active)], now).unwrap();
        let ring = ring.publish(Kid("b".to_owned()), now).unwrap();
        let ring = ring.publish(Kid("c".to_owned()), now).unwrap();
        let ring = ring.rotate(HOUR, now).unwrap();
        assert_eq!(ring.active().0, "b");
        assert_eq!(ring.pending().unwrap().kid.0, "c");
    }
}
