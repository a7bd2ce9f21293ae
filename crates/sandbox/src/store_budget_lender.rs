//! Lends budgets from the store, which makes each part durable before the gateway spends it.
//! The gateway does not know the store.

use countersign_gateway::{BudgetLender, LendOutcome, LenderAnswer, LendingUnavailable, TokenLoan};
use countersign_store::{BudgetLease, Store};

/// Lends from this store.
pub struct StoreBudgetLender(pub Store);

impl BudgetLender for StoreBudgetLender {
    fn lend(&self, loan: TokenLoan, limit: u32) -> LenderAnswer<LendOutcome> {
        let store = self.0.clone();
        Box::pin(async move {
            let leased = store.lease(lease(loan), limit).await;
            let leased = leased.map_err(|_| LendingUnavailable)?;
            Ok(LendOutcome {
                granted: leased.granted,
                in_all: leased.in_all,
            })
        })
    }

    fn take_back(&self, unspent: Vec<TokenLoan>) -> LenderAnswer<()> {
        let store = self.0.clone();
        Box::pin(async move {
            let leases = unspent.into_iter().map(lease).collect();
            store
                .give_back_leases(leases)
                .await
                .map_err(|_| LendingUnavailable)
        })
    }
}

fn lease(loan: TokenLoan) -> BudgetLease {
    BudgetLease {
        session: loan.token.session,
        generation: loan.token.generation,
        until: loan.token.expires_at,
        requests: loan.requests,
    }
}
