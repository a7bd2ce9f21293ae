//! The session machine: what to do about a token now, and what a reply means.
//!
//! It does no I/O: `now` is an argument, and so is the jitter. The driver asks
//! [`ClientSession::next`], makes [`ClientSession::draft`] durable after
//! [`ClientSession::begin_request`] and before it sends anything, reports what came
//! of it ([`ClientSession::received`], [`ClientSession::refused`],
//! [`ClientSession::lost`]), and makes that durable before a token is used.
//!
//! It uses the token at hand, else a refresh, else a login. A refused refresh leads
//! to a login; after a refused login nothing is requested for a pause that grows.

mod backoff;
mod reply;
mod request;

#[cfg(test)]
mod tests;

use std::time::Duration;

use countersign_dialect::{Dialect, LostRefresh, Secret, Variant};
use countersign_domain::Timestamp;

use crate::timing::{self, ClockOffset};
use crate::{RenewalFailure, RequestAttempt, SessionRecord, TokenSet};

/// The vendor's rules for sessions, as a client has to know them.
#[derive(Clone, Debug)]
pub struct SessionTerms {
    refreshes: bool,
    /// A refresh presents the access token, which must still be valid.
    presents_access: bool,
    lost_refresh: LostRefresh,
    sliding: Option<Duration>,
    budget: Option<u32>,
    jitter: f64,
}

impl SessionTerms {
    /// The rules of a dialect, with the vendor's own budget.
    pub fn for_dialect(dialect: &Dialect, variant: Variant) -> Self {
        Self {
            refreshes: dialect.refreshes(variant),
            presents_access: dialect.refreshes_with_access_token(variant),
            lost_refresh: dialect.client_policy().lost_refresh,
            sliding: dialect.client_policy().sliding,
            budget: dialect.preset_of(variant).budget,
            jitter: 0.5,
        }
    }

    /// Sets how many requests one access token may make.
    #[must_use]
    pub fn with_budget(mut self, budget: Option<u32>) -> Self {
        self.budget = budget;
        self
    }

    /// Sets the jitter, between 0 and 1 and drawn once per process, so that clients
    /// that start together do not send their requests together.
    #[must_use]
    pub fn with_jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter.clamp(0.0, 1.0);
        self
    }
}

/// The state of a session, and the rules that change it.
///
/// Its record is stored. The rest belongs to this process: what it has learnt of the
/// vendor's clock, and the request in progress.
#[derive(Clone, Debug)]
pub struct ClientSession {
    terms: SessionTerms,
    record: SessionRecord,
    offset: Option<ClockOffset>,
    under_way: RequestUnderWay,
    forced: bool,
    wanted: u32,
    secret: Option<[u8; 8]>,
}

/// The request that was sent last.
#[derive(Clone, Debug, Default)]
struct RequestUnderWay {
    /// When it was sent: a retry is younger than its attempt.
    sent_at: Option<Timestamp>,
    /// The attempt before it, which counts again if the vendor has not seen this one.
    before: Option<RequestAttempt>,
}

/// How new tokens are requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewalKind {
    /// With the login and its secret.
    Login,
    /// With the refresh token at hand.
    Refresh,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Use the token at hand.
    Use {
        /// Until this instant.
        until: Timestamp,
        /// From then on a new one is requested while this one is still used.
        renew_at: Timestamp,
    },
    /// Send a request to the vendor now.
    Request {
        /// How tokens are requested.
        kind: RenewalKind,
        /// The token at hand may be used until then; if there is none, callers
        /// wait.
        meanwhile: Option<Timestamp>,
    },
    /// No request may be sent yet.
    Wait {
        /// Until this instant.
        until: Timestamp,
        /// The token at hand may be used until then; if there is none, callers
        /// wait.
        meanwhile: Option<Timestamp>,
        /// The reason.
        failure: RenewalFailure,
    },
    /// The vendor refused the login, and there is no token: every caller gets the
    /// same error.
    Ended {
        /// The reason.
        failure: RenewalFailure,
        /// No login is tried again before this instant.
        again_at: Timestamp,
    },
}

/// Whether requests of the access token's budget were set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReserveOutcome {
    /// They were, or there is no budget.
    Done,
    /// There is no token, or too few requests of it are left: [`ClientSession::next`]
    /// now says to request another token.
    TooFew,
    /// No token may make that many.
    TooMany,
}

impl ClientSession {
    /// A session that continues from `record`.
    pub fn new(terms: SessionTerms, record: SessionRecord) -> Self {
        Self {
            terms,
            record,
            offset: None,
            under_way: RequestUnderWay::default(),
            forced: false,
            wanted: 0,
            secret: None,
        }
    }

    /// The current state.
    pub fn record(&self) -> &SessionRecord {
        &self.record
    }

    /// The state to be written, under the next serial. Once it is durable, it must be
    /// adopted.
    pub fn draft(&self) -> SessionRecord {
        SessionRecord {
            serial: self.record.serial.saturating_add(1),
            ..self.record.clone()
        }
    }

    /// Continues with a record that was written, here or by another process.
    pub fn adopt(&mut self, record: SessionRecord) {
        let token = |record: &SessionRecord| {
            record
                .tokens
                .as_ref()
                .map(|tokens| tokens.access_token.clone())
        };
        if token(&record) != token(&self.record) {
            self.wanted = 0;
        }
        self.record = record;
    }

    /// What to do now.
    pub fn next(&self, now: Timestamp) -> NextStep {
        let meanwhile = self.usable(now);
        if let Some(until) = meanwhile
            && !self.is_due(now)
        {
            let renew_at = self.renew_at().unwrap_or(until);
            return NextStep::Use { until, renew_at };
        }
        let kind = self.choose_kind(now);
        match self.blocking_failure(kind, now).cloned() {
            None => NextStep::Request { kind, meanwhile },
            Some(failure) if backoff::is_refused_login(&failure) && meanwhile.is_none() => {
                NextStep::Ended {
                    again_at: failure.retry_at,
                    failure,
                }
            }
            Some(failure) => NextStep::Wait {
                until: failure.retry_at,
                meanwhile,
                failure,
            },
        }
    }

    /// The vendor refused this access token (401), though it should have been valid:
    /// it is not used any more.
    ///
    /// `false` if it is not the token at hand, or if that one is used on. When
    /// several tokens in a row were refused soon after they were granted, another one
    /// would not help, and requesting one each time would overload the vendor.
    pub fn invalidate(&mut self, access_token: &Secret, now: Timestamp) -> bool {
        let rejected = self.record.rejected;
        let Some(tokens) = &mut self.record.tokens else {
            return false;
        };
        let age = now.since(tokens.asked_at);
        let young = age < backoff::least_age_to_give_up(rejected);
        if tokens.access_token != *access_token || tokens.is_rejected() || young {
            return false;
        }
        tokens.expires_at = tokens.asked_at;
        let before = if age < timing::PROVEN { rejected } else { 0 };
        self.record.rejected = before.saturating_add(1);
        true
    }

    /// Sets requests of the access token's budget aside, before they are made. The
    /// last one is never given out, because it is not known what else the vendor
    /// counts.
    pub fn reserve(&mut self, uses: u32, now: Timestamp) -> ReserveOutcome {
        if self.terms.share().is_some_and(|share| uses > share) {
            return ReserveOutcome::TooMany;
        }
        let enough = self.left().is_none_or(|left| left >= uses);
        if self.usable(now).is_none() || !enough {
            self.wanted = self.wanted.max(uses);
            return ReserveOutcome::TooFew;
        }
        self.record.spent = self.record.spent.saturating_add(uses);
        ReserveOutcome::Done
    }

    /// How many requests may still be set aside; `None` if the number is unlimited.
    pub fn left(&self) -> Option<u32> {
        Some(self.terms.share()?.saturating_sub(self.record.spent))
    }

    /// The access token was used, which prolongs its life with some vendors.
    pub fn used(&mut self, now: Timestamp) {
        let live = self.usable(now).is_some();
        if let (Some(span), Some(tokens), true) =
            (self.terms.sliding, &mut self.record.tokens, live)
        {
            tokens.expires_at = tokens.expires_at.max(now + span - timing::leeway(span));
            tokens.stated_expires_at = tokens.stated_expires_at.max(Some(now + span));
        }
    }

    /// Forgets everything, after a logout. A refused login still delays the next one;
    /// otherwise a caller that logs out before each try would not be delayed at all.
    pub fn forget(&mut self) {
        let failure = self.record.failure.take();
        self.record = SessionRecord {
            serial: self.record.serial,
            failure: failure.filter(backoff::is_refused_login),
            ..SessionRecord::default()
        };
        self.under_way = RequestUnderWay::default();
        self.forced = false;
        self.wanted = 0;
    }

    /// Makes the next request a login, whatever token is at hand and however long the
    /// pause, because the caller wants one.
    pub fn force(&mut self) {
        self.forced = true;
    }

    /// Sets the fingerprint of the current login secret: a login that was refused
    /// with another secret does not delay one with this.
    pub fn set_secret(&mut self, fingerprint: [u8; 8]) {
        self.secret = Some(fingerprint);
    }

    /// Until when the token at hand may be used; `None` if it may not.
    fn usable(&self, now: Timestamp) -> Option<Timestamp> {
        let tokens = self.record.tokens.as_ref()?;
        let good = !tokens.is_rejected() && now < tokens.expires_at && self.left() != Some(0);
        good.then_some(tokens.expires_at)
    }

    fn renew_at(&self) -> Option<Timestamp> {
        let tokens = self.record.tokens.as_ref()?;
        let life = tokens.expires_at.since(tokens.asked_at);
        let life = self.terms.sliding.map_or(life, |span| life.min(span));
        Some(tokens.expires_at - timing::margin(life, self.terms.jitter))
    }
}

impl SessionTerms {
    /// How many requests of a token's budget are given out.
    fn share(&self) -> Option<u32> {
        self.budget.map(|budget| budget.saturating_sub(1).max(1))
    }
}

impl TokenSet {
    /// Whether the vendor refused the access token.
    pub(crate) fn is_rejected(&self) -> bool {
        self.expires_at <= self.asked_at
    }
}
