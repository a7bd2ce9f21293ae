//! Reads the store without its lock: another process may hold the lock during a slow
//! renewal, while its token is still valid.

use std::sync::Arc;

use countersign_domain::Timestamp;

use super::background_refresh::RefreshDue;
use super::state::{SessionTurn, SourceState};
use crate::access_token::LiveToken;
use crate::session::{ClientSession, NextStep};

/// Which token is good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WantedToken {
    /// One that is not due for renewal.
    Fresh,
    /// Any token that may be used.
    Usable,
}

impl SourceState {
    /// Puts the token in the store into memory, if it is good enough and nothing about it
    /// has to be written.
    pub(super) async fn peek_store(
        &self,
        turn: &SessionTurn,
        wanted: WantedToken,
    ) -> Option<Arc<LiveToken>> {
        let setup = &self.setup;
        let sliding = setup.dialect.client_policy().sliding;
        let is_refused = self.live.load().as_ref().is_some_and(|it| it.is_refused());
        if setup.budget.is_some() || sliding.is_some() || is_refused || turn.unsaved.is_some() {
            return None;
        }
        let record = setup.store.read().await.ok()??;
        let session = ClientSession::new(setup.terms.clone(), record);
        let next = session.next(self.now());
        let until = usable_until(&next, wanted)?;
        let tokens = session.record().tokens.as_ref()?;
        // If it cannot be presented, the renewal finds out why and reports it.
        let headers = self.token_headers(tokens).await.ok()?;
        let live = Arc::new(LiveToken::new(headers, tokens, until, None, None));
        self.publish(&live, false);
        self.background.schedule(RefreshDue::after(&next));
        Some(live)
    }
}

fn usable_until(next: &NextStep, wanted: WantedToken) -> Option<Timestamp> {
    match next {
        NextStep::Use { until, .. } => Some(*until),
        NextStep::Request { meanwhile, .. } | NextStep::Wait { meanwhile, .. } => {
            meanwhile.filter(|_| wanted == WantedToken::Usable)
        }
        NextStep::Ended { .. } => None,
    }
}
