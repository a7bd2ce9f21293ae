//! Budgets: exactly how many guarded requests one access token may make.
//!
//! A [`BudgetLender`] lends a part of the budget, which it makes durable first, and the part
//! is spent from memory here. What is left of it when the process dies is lost, so the parts
//! are small, and smaller near the end of the budget. At a graceful shutdown the rest is given
//! back. If the lender does not answer, requests pass until the current part is spent.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use countersign_domain::{SessionId, Timestamp};
use tokio::sync::Notify;

/// The most requests that are borrowed at once.
const MOST_AT_ONCE: u32 = 1_000;
/// The fraction of what is left that is borrowed at once.
const SHARE: u32 = 16;
/// How long a request waits for its budget, and a shutdown for outstanding answers.
const PATIENCE: Duration = Duration::from_secs(5);

/// The answer of a [`BudgetLender`], as a future.
pub type LenderAnswer<T> = Pin<Box<dyn Future<Output = Result<T, LendingUnavailable>> + Send>>;

/// The lender did not answer, or its answer is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lender of budgets did not answer")]
pub struct LendingUnavailable;

/// Lends parts of budgets. Over all borrowers, it never lends more of a token than the
/// limit.
pub trait BudgetLender: Send + Sync {
    /// Lends up to `loan.requests` of a token that may make `limit` requests,
    /// once that is durable.
    fn lend(&self, loan: TokenLoan, limit: u32) -> LenderAnswer<LendOutcome>;

    /// Takes back what will not be spent.
    fn take_back(&self, unspent: Vec<TokenLoan>) -> LenderAnswer<()>;
}

/// An access token. A generation of a session whose access token is renewed has several,
/// which expire at different times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenId {
    /// The session.
    pub session: SessionId,
    /// The generation of the session.
    pub generation: u32,
    /// When the token expires.
    pub expires_at: Timestamp,
}

/// A part of a token's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLoan {
    /// The token.
    pub token: TokenId,
    /// The number of requests.
    pub requests: u32,
}

/// The part that was lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LendOutcome {
    /// How many requests may be made with it.
    pub granted: u32,
    /// How many requests of the token are lent in all.
    pub in_all: u32,
}

/// Why a request may not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BudgetShortage {
    /// The token has made all of its requests.
    Spent,
    /// The lender does not answer, or there is no room to remember the token.
    Unlent,
}

/// The budgets of the tokens that are in use. Clones share them.
#[derive(Clone)]
pub struct TokenBudgets(Arc<BudgetsInner>);

struct BudgetsInner {
    lender: Box<dyn BudgetLender>,
    purses: papaya::HashMap<TokenId, Arc<TokenPurse>>,
    capacity: usize,
    asking: AtomicUsize,
    quiet: Notify,
}

impl TokenBudgets {
    /// Budgets that borrow from `lender`, of about `capacity` tokens at most.
    pub fn new(capacity: usize, lender: Box<dyn BudgetLender>) -> Self {
        Self(Arc::new(BudgetsInner {
            lender,
            purses: papaya::HashMap::new(),
            capacity,
            asking: AtomicUsize::new(0),
            quiet: Notify::new(),
        }))
    }

    /// Drops tokens that have expired.
    pub fn prune(&self, now: Timestamp) {
        let purses = self.0.purses.pin();
        purses.retain(|token, _| token.expires_at > now);
    }

    /// Gives back everything that is not spent, so that another process can spend it: at
    /// shutdown, when no more requests arrive.
    ///
    /// # Errors
    ///
    /// The lender did not take it back: it stays lent and is lost.
    pub async fn give_back(&self) -> Result<(), LendingUnavailable> {
        self.answers_are_in().await;
        let unspent: Vec<TokenLoan> = {
            let purses = self.0.purses.pin();
            let empty = |(token, purse): (&TokenId, &Arc<TokenPurse>)| {
                let requests = purse.empty();
                let token = *token;
                (requests > 0).then_some(TokenLoan { token, requests })
            };
            purses.iter().filter_map(empty).collect()
        };
        self.0.lender.take_back(unspent).await
    }

    /// Spends one request of a token that may make `limit`, and returns how many are
    /// left.
    pub(crate) async fn spend(&self, token: TokenId, limit: u32) -> Result<u32, BudgetShortage> {
        let purse = self.purse(token).ok_or(BudgetShortage::Unlent)?;
        let spent = match purse.take(limit) {
            Some(left) => Ok(left),
            None => self.wait(token, &purse, limit).await,
        };
        if purse.holding().is_low(limit) {
            self.request_lease(token, &purse, limit);
        }
        spent
    }

    /// How many requests are left of a token that may make `limit`, if it was used since
    /// the start. It spends nothing and borrows nothing.
    pub(crate) fn left(&self, token: TokenId, limit: u32) -> Option<u32> {
        let purses = self.0.purses.pin();
        Some(purses.get(&token)?.holding().left(limit))
    }

    fn purse(&self, token: TokenId) -> Option<Arc<TokenPurse>> {
        let purses = self.0.purses.pin();
        if let Some(purse) = purses.get(&token) {
            return Some(Arc::clone(purse));
        }
        if purses.len() >= self.0.capacity {
            return None;
        }
        let purse = purses.get_or_insert_with(token, Arc::default);
        Some(Arc::clone(purse))
    }

    /// Waits until something was lent, and spends one request of it.
    async fn wait(
        &self,
        token: TokenId,
        purse: &Arc<TokenPurse>,
        limit: u32,
    ) -> Result<u32, BudgetShortage> {
        let _waiting = WaitingRequest::at(purse);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let failures = purse.failures.load(Ordering::SeqCst);
        while tokio::time::Instant::now() < deadline {
            let mut answered = std::pin::pin!(purse.answered.notified());
            // From here on no answer is missed.
            answered.as_mut().enable();
            if let Some(left) = purse.take(limit) {
                return Ok(left);
            }
            if purse.holding().left(limit) == 0 {
                return Err(BudgetShortage::Spent);
            }
            if purse.failures.load(Ordering::SeqCst) != failures {
                return Err(BudgetShortage::Unlent);
            }
            self.request_lease(token, purse, limit);
            // Where time is over, the loop ends.
            let _answered = tokio::time::timeout_at(deadline, answered).await;
        }
        Err(BudgetShortage::Unlent)
    }

    /// Borrows more, unless an answer is outstanding. This happens in a task of its own,
    /// so that nothing is lost when a request is dropped.
    fn request_lease(&self, token: TokenId, purse: &Arc<TokenPurse>, limit: u32) {
        if purse.asking.swap(true, Ordering::SeqCst) {
            return;
        }
        self.0.asking.fetch_add(1, Ordering::SeqCst);
        let (inner, purse) = (Arc::clone(&self.0), Arc::clone(purse));
        let requests = purse.wanted(limit);
        tokio::spawn(async move {
            let lent = inner
                .lender
                .lend(TokenLoan { token, requests }, limit)
                .await;
            purse.hear(lent);
            if inner.asking.fetch_sub(1, Ordering::SeqCst) == 1 {
                inner.quiet.notify_waiters();
            }
        });
    }

    /// What is lent while nobody waits for it would be lost.
    async fn answers_are_in(&self) {
        let all = async {
            loop {
                let mut quiet = std::pin::pin!(self.0.quiet.notified());
                quiet.as_mut().enable();
                if self.0.asking.load(Ordering::SeqCst) == 0 {
                    return;
                }
                quiet.await;
            }
        };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            tracing::warn!("the store did not answer in time: a part of some budgets is lost");
        }
    }
}

/// The budget of one token, as far as this process knows.
#[derive(Default)]
struct TokenPurse {
    /// A packed [`LentRequests`] in one value, so that nobody sees half of an answer.
    holding: AtomicU64,
    waiting: AtomicU32,
    asking: AtomicBool,
    failures: AtomicU64,
    answered: Notify,
}

/// How much is lent of a token. The limit is not part of it, so that an operator's change
/// of the limit holds for the next request.
#[derive(Clone, Copy)]
struct LentRequests {
    in_hand: u32,
    /// To all borrowers, according to the last answer; what this process holds is part of
    /// it.
    lent: u32,
}

impl LentRequests {
    const fn pack(self) -> u64 {
        ((self.in_hand as u64) << 32) + self.lent as u64
    }

    const fn unpack(packed: u64) -> Self {
        Self {
            in_hand: (packed >> 32) as u32,
            lent: packed as u32,
        }
    }

    /// How many requests may still be made. What other processes hold counts as spent.
    fn left(self, limit: u32) -> u32 {
        limit.saturating_sub(self.lent.saturating_sub(self.in_hand))
    }

    fn unlent(self, limit: u32) -> u32 {
        limit.saturating_sub(self.lent)
    }

    /// How many requests to borrow at once.
    fn chunk(self, limit: u32) -> u32 {
        (self.unlent(limit) / SHARE).clamp(1, MOST_AT_ONCE)
    }

    fn is_low(self, limit: u32) -> bool {
        self.unlent(limit) > 0 && self.in_hand <= self.chunk(limit) / 2
    }

    /// The state after one request is spent, if this process holds one.
    fn less_one(self, limit: u32) -> Option<Self> {
        let in_hand = self.in_hand.checked_sub(1)?;
        (self.left(limit) > 0).then_some(Self { in_hand, ..self })
    }
}

impl TokenPurse {
    fn holding(&self) -> LentRequests {
        LentRequests::unpack(self.holding.load(Ordering::SeqCst))
    }

    /// Returns what was held before.
    fn change(
        &self,
        change: impl Fn(LentRequests) -> Option<LentRequests>,
    ) -> Option<LentRequests> {
        let changed = self
            .holding
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |packed| {
                change(LentRequests::unpack(packed)).map(LentRequests::pack)
            });
        changed.ok().map(LentRequests::unpack)
    }

    /// Spends one request that this process holds, and returns how many are left.
    fn take(&self, limit: u32) -> Option<u32> {
        let before = self.change(|it| it.less_one(limit))?;
        Some(before.left(limit) - 1)
    }

    /// Takes everything that this process holds.
    fn empty(&self) -> u32 {
        let before = self.change(|it| {
            Some(LentRequests {
                in_hand: 0,
                lent: it.lent.saturating_sub(it.in_hand),
            })
        });
        before.map_or(0, |it| it.in_hand)
    }

    fn wanted(&self, limit: u32) -> u32 {
        let waiting = self.waiting.load(Ordering::SeqCst);
        self.holding().chunk(limit).max(waiting).min(MOST_AT_ONCE)
    }

    /// Records an answer, and wakes those who wait for it.
    fn hear(&self, answer: Result<LendOutcome, LendingUnavailable>) {
        match answer {
            Ok(lent) => {
                self.change(|it| {
                    Some(LentRequests {
                        in_hand: it.in_hand.saturating_add(lent.granted),
                        lent: lent.in_all,
                    })
                });
            }
            Err(LendingUnavailable) => {
                self.failures.fetch_add(1, Ordering::SeqCst);
            }
        }
        self.asking.store(false, Ordering::SeqCst);
        self.answered.notify_waiters();
    }
}

/// Counts a request while it waits.
struct WaitingRequest<'p>(&'p TokenPurse);

impl<'p> WaitingRequest<'p> {
    fn at(purse: &'p TokenPurse) -> Self {
        purse.waiting.fetch_add(1, Ordering::SeqCst);
        Self(purse)
    }
}

impl Drop for WaitingRequest<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
