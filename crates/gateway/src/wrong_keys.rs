//! How often a network sends static keys that do not exist.
//!
//! A right key is never refused because of a neighbour's wrong ones: it has at least 190
//! random bits, so no rate of guessing finds one, and many partners can share an address.

use std::hash::RandomState;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::denial::GuardDenial;

use countersign_domain::{HostNetwork, KeyedCounters, RateLimit, Reason, Timestamp};

/// The most networks with a counter of their own.
const CAPACITY: usize = 65_536;
const A_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(299);
const MINUTE: Duration = Duration::from_secs(60);

/// Counts wrong keys by network. Clones count together.
#[derive(Clone)]
pub(crate) struct WrongKeys(Arc<KeyedCounters>);

impl WrongKeys {
    pub(crate) fn new() -> Self {
        Self(Arc::new(KeyedCounters::new(CAPACITY, RandomState::new())))
    }

    /// Refuses a key that nobody has, and counts it.
    pub(crate) fn refuse(&self, from: IpAddr, now: Timestamp) -> GuardDenial {
        let rate = RateLimit::refilled(A_MINUTE, MINUTE);
        match self.0.admit(&HostNetwork::containing(from), rate, now) {
            Ok(_) => Reason::StaticKeyWrong.into(),
            Err(wait) => GuardDenial::from(Reason::LoginThrottled).for_now(wait),
        }
    }
}
