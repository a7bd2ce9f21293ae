//! The session machine: what to do about a token now, and what an answer means.
//!
//! Pure: `now` is an argument, and so is the jitter. The driver asks
//! [`Session::next`], makes [`Session::draft`] durable after
//! [`Session::asking`] and before it sends anything, tells what came of it
//! ([`Session::received`], [`Session::refused`], [`Session::lost`]), and makes
//! that durable before a token is used.
//!
//! The ladder: the token at hand, then a refresh, then a login. A refused refresh
//! leads to a login; a refused login ends, for a pause that grows.

mod ask;
mod outcome;
mod pause;

#[cfg(test)]
mod tests;

use std::time::Duration;

use countersign_dialect::{Dialect, LostRefresh, Secret, Variant};
use countersign_domain::Timestamp;

use crate::timing::{self, Offset};
use crate::{Attempt, Held, Record, Trouble};

/// What the vendor and its client agree on.
#[derive(Clone, Debug)]
pub struct Terms {
    refreshes: bool,
    /// A refresh presents the access token, which has to live for it.
    presents_access: bool,
    lost_refresh: LostRefresh,
    sliding: Option<Duration>,
    budget: Option<u32>,
    jitter: f64,
}

impl Terms {
    /// Those of a dialect, with the vendor's own budget.
    pub fn of(dialect: &Dialect, variant: Variant) -> Self {
        Self {
            refreshes: dialect.refreshes(variant),
            presents_access: dialect.refreshes_with_access_token(variant),
            lost_refresh: dialect.client_policy().lost_refresh,
            sliding: dialect.client_policy().sliding,
            budget: dialect.preset_of(variant).budget,
            jitter: 0.5,
        }
    }

    /// With another number of requests that one access token may make.
    #[must_use]
    pub fn with_budget(mut self, budget: Option<u32>) -> Self {
        self.budget = budget;
        self
    }

    /// With another place between 0 and 1, drawn once per process: clients that
    /// began together do not ask together.
    #[must_use]
    pub fn with_jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter.clamp(0.0, 1.0);
        self
    }
}

/// The state of a session, and the rules.
///
/// Its record is what is kept; the rest is this process's own: what it learnt of
/// the vendor's clock, and what is under way.
#[derive(Clone, Debug)]
pub struct Session {
    terms: Terms,
    record: Record,
    offset: Option<Offset>,
    under_way: UnderWay,
    forced: bool,
    wanted: u32,
    secret: Option<[u8; 8]>,
}

/// The request that was sent last.
#[derive(Clone, Debug, Default)]
struct UnderWay {
    /// When it was sent: a retry is younger than its attempt.
    sent_at: Option<Timestamp>,
    /// The attempt before it, which stands again if this one was not heard.
    before: Option<Attempt>,
}

/// What to ask the vendor for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// New tokens for the login and its secret.
    Login,
    /// New tokens for the refresh token at hand.
    Refresh,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Use the token at hand.
    Use {
        /// Until then.
        until: Timestamp,
        /// From then on a new one is to be asked for beside its use.
        renew_at: Timestamp,
    },
    /// Ask now.
    Ask {
        /// For what.
        ask: Ask,
        /// The token at hand may be used until then; if there is none, callers
        /// wait.
        meanwhile: Option<Timestamp>,
    },
    /// Nothing may be asked yet.
    Wait {
        /// Before then.
        until: Timestamp,
        /// The token at hand may be used until then; if there is none, callers
        /// wait.
        meanwhile: Option<Timestamp>,
        /// Why.
        trouble: Trouble,
    },
    /// The vendor refused the login, and there is no token: everyone gets the
    /// same clear error.
    Ended {
        /// Why.
        trouble: Trouble,
        /// Before then it is not asked again.
        again_at: Timestamp,
    },
}

/// Whether requests were set aside of the access token's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// They were, or there is no budget.
    Done,
    /// There is no token, or too few are left: [`Session::next`] asks for
    /// another token now.
    TooFew,
    /// No token may make so many.
    TooMany,
}

impl Session {
    /// A session that goes on where `record` stopped.
    pub fn new(terms: Terms, record: Record) -> Self {
        Self {
            terms,
            record,
            offset: None,
            under_way: UnderWay::default(),
            forced: false,
            wanted: 0,
            secret: None,
        }
    }

    /// The state as it is.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The state as it is to be written: under the next serial. Once it is
    /// durable, it is to be adopted.
    pub fn draft(&self) -> Record {
        Record {
            serial: self.record.serial.saturating_add(1),
            ..self.record.clone()
        }
    }

    /// Goes on with a record that was written, here or by another process.
    pub fn adopt(&mut self, record: Record) {
        let token = |record: &Record| record.held.as_ref().map(|held| held.access_token.clone());
        if token(&record) != token(&self.record) {
            self.wanted = 0;
        }
        self.record = record;
    }

    /// What to do now.
    pub fn next(&self, now: Timestamp) -> Next {
        let meanwhile = self.usable(now);
        if let Some(until) = meanwhile
            && !self.is_due(now)
        {
            let renew_at = self.renew_at().unwrap_or(until);
            return Next::Use { until, renew_at };
        }
        let ask = self.ladder(now);
        match self.pause(ask, now).cloned() {
            None => Next::Ask { ask, meanwhile },
            Some(trouble) if pause::ends(&trouble) && meanwhile.is_none() => Next::Ended {
                again_at: trouble.retry_at,
                trouble,
            },
            Some(trouble) => Next::Wait {
                until: trouble.retry_at,
                meanwhile,
                trouble,
            },
        }
    }

    /// The vendor refused this access token, though it was believed good (401):
    /// it is used no more. False if it is another than the one at hand, or if
    /// that is kept: when several in a row were refused soon after they were
    /// given, another one would not help, and asking for one each time would be
    /// hammering.
    pub fn invalidate(&mut self, access_token: &Secret, now: Timestamp) -> bool {
        let rejected = self.record.rejected;
        let Some(held) = &mut self.record.held else {
            return false;
        };
        let age = now.since(held.asked_at);
        let young = age < pause::least_age(rejected);
        if held.access_token != *access_token || held.is_rejected() || young {
            return false;
        }
        held.expires_at = held.asked_at;
        let before = if age < timing::PROVEN { rejected } else { 0 };
        self.record.rejected = before.saturating_add(1);
        true
    }

    /// Sets requests aside of the access token's budget, before they are made.
    /// The last one is never given out: what the vendor counts besides is not
    /// known.
    pub fn reserve(&mut self, uses: u32, now: Timestamp) -> Reserved {
        if self.terms.share().is_some_and(|share| uses > share) {
            return Reserved::TooMany;
        }
        let enough = self.left().is_none_or(|left| left >= uses);
        if self.usable(now).is_none() || !enough {
            self.wanted = self.wanted.max(uses);
            return Reserved::TooFew;
        }
        self.record.spent = self.record.spent.saturating_add(uses);
        Reserved::Done
    }

    /// How many requests may still be set aside; `None` for any number.
    pub fn left(&self) -> Option<u32> {
        Some(self.terms.share()?.saturating_sub(self.record.spent))
    }

    /// The access token was used: where that prolongs its life, it does.
    pub fn used(&mut self, now: Timestamp) {
        let live = self.usable(now).is_some();
        if let (Some(span), Some(held), true) = (self.terms.sliding, &mut self.record.held, live) {
            held.expires_at = held.expires_at.max(now + span - timing::leeway(span));
            held.told_expires_at = held.told_expires_at.max(Some(now + span));
        }
    }

    /// Forgets everything: logged out. A refused login still holds up the next
    /// one, or whoever logs out before each try would not be held up at all.
    pub fn forget(&mut self) {
        let trouble = self.record.trouble.take();
        self.record = Record {
            serial: self.record.serial,
            trouble: trouble.filter(pause::ends),
            ..Record::default()
        };
        self.under_way = UnderWay::default();
        self.forced = false;
        self.wanted = 0;
    }

    /// Next is a login, whatever is at hand and however long the pause: somebody
    /// said so.
    pub fn force(&mut self) {
        self.forced = true;
    }

    /// The login secret's fingerprint as it is now: a login that was refused with
    /// another secret does not hold up one with this.
    pub fn secret_is(&mut self, fingerprint: [u8; 8]) {
        self.secret = Some(fingerprint);
    }

    /// Until when the token at hand may be used, if it may.
    fn usable(&self, now: Timestamp) -> Option<Timestamp> {
        let held = self.record.held.as_ref()?;
        let good = !held.is_rejected() && now < held.expires_at && self.left() != Some(0);
        good.then_some(held.expires_at)
    }

    fn renew_at(&self) -> Option<Timestamp> {
        let held = self.record.held.as_ref()?;
        let life = held.expires_at.since(held.asked_at);
        let life = self.terms.sliding.map_or(life, |span| life.min(span));
        Some(held.expires_at - timing::margin(life, self.terms.jitter))
    }
}

impl Terms {
    /// How many requests of a token's budget are given out.
    fn share(&self) -> Option<u32> {
        self.budget.map(|budget| budget.saturating_sub(1).max(1))
    }
}

impl Held {
    /// Whether the vendor refused the access token.
    pub(crate) fn is_rejected(&self) -> bool {
        self.expires_at <= self.asked_at
    }
}
