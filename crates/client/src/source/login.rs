//! Logs in because somebody wants to, even if there are tokens.

use std::sync::Arc;

use super::acquire::keep_refreshing;
use super::renewal::{Renewal, RenewalPurpose};
use super::state::SourceState;
use crate::access_token::LiveToken;
use crate::session::RenewalKind;
use crate::{AccessToken, Error};

pub(super) async fn login(state: &Arc<SourceState>) -> Result<AccessToken, Error> {
    let work = login_in_turn(state.clone());
    state.run_detached(work).await
}

async fn login_in_turn(state: Arc<SourceState>) -> Result<AccessToken, Error> {
    let mut turn = state.turn.lock().await;
    let mut renewal = Renewal::begin(&state, &mut turn).await?;
    let live = renewal.login().await;
    keep_refreshing(&state);
    live.map(AccessToken::from)
}

impl Renewal<'_> {
    async fn login(&mut self) -> Result<Arc<LiveToken>, Error> {
        let former = self.turn.session.record().clone();
        self.request_tokens(RenewalKind::Login).await?;
        if self.granted {
            self.end_former_session(&former).await;
        }
        match &self.turn.session.record().failure {
            Some(failure) if !self.granted => Err(self.state.setup.vendor_failure(failure)),
            _ => self.run(RenewalPurpose::Reserve(1)).await,
        }
    }
}
