//! An access token in the caller's hand.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use countersign_dialect::Secret;
use countersign_domain::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::TokenSet;

/// An access token that was good when it was handed out. Cloning it copies a
/// handle, not the token.
#[derive(Clone)]
pub struct AccessToken(Arc<LiveToken>);

/// What authenticates a request.
#[derive(Clone, Debug)]
pub enum RequestCredential {
    /// An access token.
    Token(AccessToken),
    /// The static key, because no token can be obtained at the moment.
    /// [`crate::Dialect::static_key`] says where it goes.
    StaticKey(Secret),
}

impl AccessToken {
    /// The token itself. The caller keeps it out of logs and errors.
    pub fn expose(&self) -> &str {
        self.0.token.expose()
    }

    /// Until when it is used, by the client's clock.
    pub fn expires_at(&self) -> Timestamp {
        self.0.until()
    }

    /// When it expires according to the vendor, by the vendor's clock. If each use
    /// prolongs its life, this is until when it is used.
    pub fn stated_expires_at(&self) -> Timestamp {
        self.0.stated_end()
    }

    /// Puts it into the headers of a request, with whatever else the vendor requires
    /// beside it.
    pub fn present(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0.headers {
            headers.insert(name.clone(), value.clone());
        }
    }

    pub(crate) fn live(&self) -> &LiveToken {
        &self.0
    }
}

impl From<Arc<LiveToken>> for AccessToken {
    fn from(live: Arc<LiveToken>) -> Self {
        Self(live)
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}

/// The access token at hand, and this process's part of its budget.
///
/// All its changes are single atomic operations: taking it never waits.
pub(crate) struct LiveToken {
    token: Secret,
    headers: Vec<(HeaderName, HeaderValue)>,
    until: AtomicI64,
    stated_end: Option<Timestamp>,
    sliding: Option<Duration>,
    /// When it was last taken; kept only if that moves its expiry.
    used_at: AtomicI64,
    refused: AtomicBool,
    loan: Option<BudgetLoan>,
}

/// A part of the token's budget that was set aside in the record for this
/// process, to be spent in memory.
struct BudgetLoan {
    left: AtomicU32,
    /// When this many are left, the next part is borrowed.
    low: u32,
}

/// The outcome of taking the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakeOutcome {
    /// It may be used.
    Yes,
    /// It may be used, and more of its budget should be borrowed now.
    Low,
    /// It has expired or was refused, or nothing of its budget is left here.
    No,
}

impl LiveToken {
    /// The token of `tokens`, presented in these headers and used until `until`. If
    /// it has a budget, `part` of it is borrowed at a time.
    pub(crate) fn new(
        headers: Vec<(HeaderName, HeaderValue)>,
        tokens: &TokenSet,
        until: Timestamp,
        sliding: Option<Duration>,
        part: Option<u32>,
    ) -> Self {
        Self {
            token: tokens.access_token.clone(),
            headers,
            until: AtomicI64::new(until.as_micros()),
            stated_end: tokens.stated_expires_at,
            sliding,
            used_at: AtomicI64::new(i64::MIN),
            refused: AtomicBool::new(false),
            loan: part.map(BudgetLoan::of_parts),
        }
    }

    /// Takes it for one request.
    pub(crate) fn take(&self, now: Timestamp) -> TakeOutcome {
        if !self.is_good(now) {
            return TakeOutcome::No;
        }
        let taken = self
            .loan
            .as_ref()
            .map_or(TakeOutcome::Yes, BudgetLoan::take);
        if taken != TakeOutcome::No {
            self.slide(now);
        }
        taken
    }

    /// Whether it can be used at all.
    pub(crate) fn is_good(&self, now: Timestamp) -> bool {
        now.as_micros() < self.until.load(Ordering::Relaxed) && !self.is_refused()
    }

    pub(crate) fn is_token_of(&self, tokens: &TokenSet) -> bool {
        self.token == tokens.access_token
    }

    pub(crate) fn token(&self) -> &Secret {
        &self.token
    }

    /// When it expires according to the vendor; if each use moves that, until when it
    /// is used.
    pub(crate) fn stated_end(&self) -> Timestamp {
        let moves = self.sliding.is_some();
        self.stated_end
            .filter(|_| !moves)
            .unwrap_or_else(|| self.until())
    }

    pub(crate) fn until(&self) -> Timestamp {
        Timestamp::from_micros(self.until.load(Ordering::Relaxed))
    }

    pub(crate) fn extend(&self, until: Timestamp) {
        self.until.fetch_max(until.as_micros(), Ordering::Relaxed);
    }

    /// The vendor refused it: it is not handed out any more. `false` if that was
    /// known.
    pub(crate) fn refuse(&self) -> bool {
        !self.refused.swap(true, Ordering::Relaxed)
    }

    /// The vendor refused it, but the session machine holds that another token would
    /// be refused too: it is handed out again.
    pub(crate) fn pardon(&self) {
        self.refused.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// When it was last used, if that moves its expiry.
    pub(crate) fn used_at(&self) -> Option<Timestamp> {
        let micros = self.used_at.load(Ordering::Relaxed);
        (micros != i64::MIN).then(|| Timestamp::from_micros(micros))
    }

    /// Whether more of its budget should be borrowed.
    pub(crate) fn is_low(&self) -> bool {
        let left = |loan: &BudgetLoan| loan.left.load(Ordering::Relaxed) <= loan.low;
        self.loan.as_ref().is_some_and(left)
    }

    /// Whether it may be taken once more.
    pub(crate) fn has_left(&self) -> bool {
        let left = |loan: &BudgetLoan| loan.left.load(Ordering::Relaxed) > 0;
        self.loan.as_ref().is_none_or(left)
    }

    /// Adds requests that were set aside.
    pub(crate) fn lend(&self, uses: u32) {
        if let Some(loan) = &self.loan {
            loan.left.fetch_add(uses, Ordering::Relaxed);
        }
    }

    fn slide(&self, now: Timestamp) {
        if let Some(span) = self.sliding {
            self.used_at.fetch_max(now.as_micros(), Ordering::Relaxed);
            self.extend(now + span);
        }
    }
}

impl BudgetLoan {
    fn of_parts(part: u32) -> Self {
        Self {
            left: AtomicU32::new(0),
            low: part / 4,
        }
    }

    fn take(&self) -> TakeOutcome {
        let spend = |left: u32| left.checked_sub(1);
        match self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend)
        {
            Err(_) => TakeOutcome::No,
            Ok(left) if left - 1 == self.low => TakeOutcome::Low,
            Ok(_) => TakeOutcome::Yes,
        }
    }
}

impl fmt::Debug for LiveToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveToken")
            .field("until", &self.until())
            .field("refused", &self.is_refused())
            .finish_non_exhaustive()
    }
}
