//! Budgets are lent by the store: it makes each part durable before the gateway,
//! which knows no store, spends it.

use countersign_gateway::{Answered, Lender, Lent, Loan, Unlent};
use countersign_store::{BudgetLease, Store};

/// Lends from this store.
pub struct StoreLends(pub Store);

impl Lender for StoreLends {
    fn lend(&self, loan: Loan, limit: u32) -> Answered<Lent> {
        let store = self.0.clone();
        Box::pin(async move {
            let leased = store.lease(lease(loan), limit).await;
            let leased = leased.map_err(|_| Unlent)?;
            Ok(Lent {
                granted: leased.granted,
                in_all: leased.in_all,
            })
        })
    }

    fn take_back(&self, unspent: Vec<Loan>) -> Answered<()> {
        let store = self.0.clone();
        Box::pin(async move {
            let leases = unspent.into_iter().map(lease).collect();
            store.give_back_leases(leases).await.map_err(|_| Unlent)
        })
    }
}

fn lease(loan: Loan) -> BudgetLease {
    BudgetLease {
        session: loan.token.session,
        generation: loan.token.generation,
        until: loan.token.expires_at,
        requests: loan.requests,
    }
}
