//! The login throttle: limits how often a login and secret may be tried.
//!
//! A network from which a credential's correct secret came before is known to it, and has
//! its own counter there that nobody elsewhere can fill: a flood from other networks
//! cannot lock the partner out. All other attempts count three times: for the login and
//! the network, for the network, and for the login over all networks that are unknown to
//! it. A correct secret takes its counts back, so only wrong ones add up.
//!
//! Some vendors also limit the logins of a network, including successful ones
//! (`anonymous_per_minute`). That is a fifth counter, which nothing takes back.
//!
//! Attempts are counted before any secret is hashed, and in the same way for logins that
//! do not exist.

mod login;
mod mints;

use std::hash::{Hash, RandomState};
use std::num::NonZeroU32;
use std::time::Duration;

use countersign_dialect::VendorPreset;
use countersign_domain::{
    ApiName, CountedAttempt, HostNetwork, KeyedCounters, RateLimit, Timestamp,
};

use self::login::LoginKey;
pub(crate) use self::mints::MintCounter;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// All processes of a partner may start at once.
const AT_ONCE_WHERE_KNOWN: NonZeroU32 = NonZeroU32::MIN.saturating_add(63);

/// The most counters of each kind.
const CAPACITY: usize = 262_144;

/// How often the logins of an api may be tried with wrong secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleSettings {
    /// For one login from one network, within a minute.
    pub logins_per_minute: NonZeroU32,
    /// From one network within a minute, for all logins that do not know it.
    pub network_logins_per_minute: NonZeroU32,
    /// For one login, from all networks together from which it never succeeded, within an
    /// hour.
    pub strange_logins_per_hour: NonZeroU32,
    /// From one network within a minute, including successful ones; `None` for any
    /// number. Vendors that limit their callers without a token count like this.
    pub anonymous_per_minute: Option<NonZeroU32>,
}

impl Default for ThrottleSettings {
    fn default() -> Self {
        let count = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self {
            logins_per_minute: count(30),
            network_logins_per_minute: count(300),
            strange_logins_per_hour: count(100),
            anonymous_per_minute: None,
        }
    }
}

impl ThrottleSettings {
    /// The defaults for an api with a dialect that has this preset. The vendor's limit
    /// for one address without a token is not among them: it would refuse partners whose
    /// logins are correct.
    pub fn from_preset(preset: &VendorPreset) -> Self {
        let vendor = preset.logins_per_minute;
        let default = Self::default();
        Self {
            logins_per_minute: vendor
                .and_then(NonZeroU32::new)
                .unwrap_or(default.logins_per_minute),
            ..default
        }
    }

    fn where_known(&self) -> RateLimit {
        let period = RateLimit::refilled(self.logins_per_minute, MINUTE).period();
        RateLimit::new(self.logins_per_minute.max(AT_ONCE_WHERE_KNOWN), period)
    }
}

/// One attempt to log in.
#[derive(Clone, Copy, Debug)]
pub struct LoginAttempt<'a> {
    /// The api.
    pub api: &'a ApiName,
    /// The login as it was sent.
    pub login: &'a str,
    /// The network from which it came.
    pub network: HostNetwork,
    /// Whether a correct secret of this login came from there before.
    pub network_is_known: bool,
}

/// Counts the attempts of all apis, in the memory of one process.
pub struct LoginThrottle {
    known: KeyedCounters,
    pairs: KeyedCounters,
    networks: KeyedCounters,
    logins: KeyedCounters,
    anonymous: KeyedCounters,
}

/// Evidence that a login may be tried. Its counts stay unless they are taken back.
#[must_use]
pub struct AdmittedLogin<'t>(Vec<(&'t KeyedCounters, CountedAttempt)>);

impl AdmittedLogin<'_> {
    /// The secret was correct: this attempt does not count.
    pub fn take_back(self, now: Timestamp) {
        for (counters, counted) in self.0 {
            counters.take_back(counted, now);
        }
    }
}

impl LoginThrottle {
    /// Counters that have not counted anything yet.
    pub fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    fn with_capacity(capacity: usize) -> Self {
        let counters = || KeyedCounters::new(capacity, RandomState::new());
        Self {
            known: counters(),
            pairs: counters(),
            networks: counters(),
            logins: counters(),
            anonymous: counters(),
        }
    }

    /// Counts a login from this network, whether its secret is correct or not. Nothing
    /// takes it back.
    ///
    /// # Errors
    ///
    /// How long to wait. A login that is refused is not counted anywhere.
    pub fn admit_anonymous(
        &self,
        settings: &ThrottleSettings,
        api: &ApiName,
        network: HostNetwork,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let Some(most) = settings.anonymous_per_minute else {
            return Ok(());
        };
        let rate = RateLimit::refilled(most, MINUTE);
        let counted = self.anonymous.admit(&(api, network), rate, now);
        counted.map(drop)
    }

    /// Allows an attempt.
    ///
    /// # Errors
    ///
    /// How long to wait. An attempt that is refused is not counted anywhere.
    pub fn admit(
        &self,
        settings: &ThrottleSettings,
        attempt: &LoginAttempt<'_>,
        now: Timestamp,
    ) -> Result<AdmittedLogin<'_>, Duration> {
        let mut admitted = AdmittedLogin(Vec::new());
        let (api, network) = (attempt.api, attempt.network);
        let login = LoginKey::normalize(attempt.login);
        let counted = if attempt.network_is_known {
            admitted.count(
                &self.known,
                &(api, &login, network),
                settings.where_known(),
                now,
            )
        } else {
            let per_minute = |count| RateLimit::refilled(count, MINUTE);
            let (login_rate, network_rate) = (
                per_minute(settings.logins_per_minute),
                per_minute(settings.network_logins_per_minute),
            );
            let strange = RateLimit::within(settings.strange_logins_per_hour, HOUR);
            admitted
                .count(&self.networks, &(api, network), network_rate, now)
                .and_then(|()| {
                    admitted.count(&self.pairs, &(api, &login, network), login_rate, now)
                })
                .and_then(|()| admitted.count(&self.logins, &(api, &login), strange, now))
        };
        match counted {
            Ok(()) => Ok(admitted),
            Err(wait) => {
                admitted.take_back(now);
                Err(wait)
            }
        }
    }
}

impl Default for LoginThrottle {
    fn default() -> Self {
        Self::new()
    }
}

impl<'t> AdmittedLogin<'t> {
    fn count<K: Hash>(
        &mut self,
        counters: &'t KeyedCounters,
        key: &K,
        rate: RateLimit,
        now: Timestamp,
    ) -> Result<(), Duration> {
        self.0.push((counters, counters.admit(key, rate, now)?));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
