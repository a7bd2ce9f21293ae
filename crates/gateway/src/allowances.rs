//! What an allowed request uses up: one of its account's requests per second, and one of
//! its token's budget.

use std::sync::Arc;

use countersign_dialect::Variant;
use countersign_domain::{ApiLimits, Reason, Timestamp};

use crate::api::GuardedApi;
use crate::budget::{BudgetShortage, LendingUnavailable, TokenBudgets, TokenId};
use crate::denial::GuardDenial;
use crate::permit::{CallerProof, GuardCaller, Permit};
use crate::rate::AccountRates;
use crate::rate_limit::BudgetLeft;
use crate::revocation_view::RevocationView;

/// What accounts and tokens may still use up. All front ends share it.
pub struct RequestAllowances {
    view: Arc<RevocationView>,
    rates: AccountRates,
    budgets: Option<TokenBudgets>,
}

impl RequestAllowances {
    /// Allowances of the accounts in `view`. Without a lender, every request of a token
    /// with a budget is refused as unavailable.
    pub fn new(view: Arc<RevocationView>) -> Self {
        Self {
            view,
            rates: AccountRates::default(),
            budgets: None,
        }
    }

    /// Allowances with budgets that are lent.
    #[must_use]
    pub fn with_budgets(mut self, budgets: TokenBudgets) -> Self {
        self.budgets = Some(budgets);
        self
    }

    /// Drops counters that count nothing any more.
    pub fn prune(&self, now: Timestamp) {
        self.rates.prune(now);
        if let Some(budgets) = &self.budgets {
            budgets.prune(now);
        }
    }

    /// Gives back what was borrowed and not spent, at shutdown, when no more requests
    /// arrive.
    ///
    /// # Errors
    ///
    /// The lender did not take it back: that part is lost.
    pub async fn give_back(&self) -> Result<(), LendingUnavailable> {
        match &self.budgets {
            Some(budgets) => budgets.give_back().await,
            None => Ok(()),
        }
    }

    /// Counts a request that `permit` allows, just before it passes, and returns what is
    /// left of its token's budget, if it has one. A request on a public route uses up
    /// nothing, and one with a static key no budget. A request whose upstream fails
    /// afterwards is counted all the same.
    ///
    /// # Errors
    ///
    /// The account is too fast, the budget is spent, or the store that lends it does not
    /// answer. In these cases nothing of a budget was used up.
    pub async fn spend(
        &self,
        api: &GuardedApi,
        permit: &Permit,
        now: Timestamp,
    ) -> Result<Option<BudgetLeft>, GuardDenial> {
        let Some(caller) = permit.caller() else {
            return Ok(None);
        };
        let limits = self.limits(api, caller);
        if let Some(most) = limits.requests_per_second {
            let admitted = self.rates.admit(caller.account, most, now);
            admitted.map_err(|wait| caller.denied(Reason::RequestsThrottled).for_now(wait))?;
        }
        let (Some(limit), Some(token)) = (limits.budget, caller.proof.token_id()) else {
            return Ok(None);
        };
        let left = |left| BudgetLeft {
            limit,
            left,
            lifetime: api.access_lifetime(caller.proof.variant()),
            runs_out_in: token.expires_at.since(now),
        };
        match self.borrow_and_spend(token, limit).await {
            Ok(rest) => Ok(Some(left(rest))),
            Err(BudgetShortage::Spent) => {
                Err(caller.denied(Reason::BudgetSpent).with_budget(left(0)))
            }
            Err(BudgetShortage::Unlent) => Err(caller.denied(Reason::StoreUnavailable)),
        }
    }

    /// The budget of the permit's token, if it has one, and how much of it is left, if
    /// the token was used since the start. Nothing is used up.
    pub fn budget_left(&self, api: &GuardedApi, permit: &Permit) -> Option<(u32, Option<u32>)> {
        let caller = permit.caller()?;
        let limit = self.limits(api, caller).budget?;
        let token = caller.proof.token_id()?;
        let left = self.budgets.as_ref().and_then(|it| it.left(token, limit));
        Some((limit, left))
    }

    fn limits(&self, api: &GuardedApi, caller: &GuardCaller) -> ApiLimits {
        let limits = api.limits(caller.proof.variant());
        let known = self.view.account(caller.account);
        known.map_or(limits, |known| limits.for_account(&known.account.limits))
    }

    async fn borrow_and_spend(&self, token: TokenId, limit: u32) -> Result<u32, BudgetShortage> {
        let budgets = self.budgets.as_ref().ok_or(BudgetShortage::Unlent)?;
        budgets.spend(token, limit).await
    }
}

impl CallerProof {
    /// The variant of the token; `None` for a static key.
    fn variant(self) -> Option<Variant> {
        match self {
            Self::Token { variant, .. } => Some(variant),
            Self::StaticKey => None,
        }
    }

    fn token_id(self) -> Option<TokenId> {
        match self {
            Self::Token {
                session,
                generation,
                expires_at,
                ..
            } => Some(TokenId {
                session,
                generation,
                expires_at,
            }),
            Self::StaticKey => None,
        }
    }
}
