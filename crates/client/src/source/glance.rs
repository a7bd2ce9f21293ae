//! A look at what is kept, without the lock: another process may hold that over a
//! slow renewal, while its token is still good.

use std::sync::Arc;

use countersign_domain::Timestamp;

use super::renewal::{Turn, due};
use super::shared::Shared;
use crate::session::{Next, Session};
use crate::token::Live;

/// What is good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Glance {
    /// A token that is not to be renewed yet.
    Fresh,
    /// Any that may be used.
    Usable,
}

impl Shared {
    /// Puts the token that is kept into memory, if it is good enough and nothing is
    /// to be written about it.
    pub(super) async fn glance(&self, turn: &Turn, enough: Glance) -> Option<Arc<Live>> {
        let sliding = self.dialect.client_policy().sliding;
        let is_refused = self.live.load().as_ref().is_some_and(|it| it.is_refused());
        if self.budget.is_some() || sliding.is_some() || is_refused || turn.unkept.is_some() {
            return None;
        }
        let kept = self.store.read().await.ok()??;
        let session = Session::new(self.terms.clone(), kept);
        let next = session.next(self.clock.now());
        let until = until(&next, enough)?;
        let held = session.record().held.as_ref()?;
        // Why it cannot be presented, the renewal finds out and tells.
        let headers = self.presentation(held).await.ok()?;
        let live = Arc::new(Live::new(headers, held, until, None, None));
        self.publish(&live, false);
        self.keeper.set(due(&next));
        Some(live)
    }
}

fn until(next: &Next, enough: Glance) -> Option<Timestamp> {
    match next {
        Next::Use { until, .. } => Some(*until),
        Next::Ask { meanwhile, .. } | Next::Wait { meanwhile, .. } => {
            meanwhile.filter(|_| enough == Glance::Usable)
        }
        Next::Ended { .. } => None,
    }
}
