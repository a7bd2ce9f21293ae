//! Logging out, under the same lock as a renewal.

use std::sync::Arc;

use countersign_dialect::UnderstoodReply;
use countersign_domain::{LogoutScope, Refusal, TokenOperation};

use super::exchange::{UnusableReply, VendorReply};
use super::renewal::Renewal;
use super::state::SourceState;
use crate::access_token::LiveToken;
use crate::session::RenewalKind;
use crate::{Error, RenewalFailure, SessionRecord};

/// The outcome of a logout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutOutcome {
    /// The vendor ended it.
    Done,
    /// It had ended already: the vendor refuses its tokens.
    Dead,
    /// The vendor cannot end it: the tokens are forgotten here, and stay valid there
    /// until they expire. The vendor has no logout, or the reply to the last refresh
    /// was lost too long ago to send the refresh token again.
    Forgotten,
    /// There was no session.
    NotLoggedIn,
}

/// The vendor's answer to one attempt.
enum LogoutReply {
    Ended,
    /// The access token was refused. The session may still be alive.
    TokenRefused,
}

pub(super) async fn logout(state: &Arc<SourceState>) -> Result<LogoutOutcome, Error> {
    let work = logout_in_turn(state.clone());
    state.run_detached(work).await
}

async fn logout_in_turn(state: Arc<SourceState>) -> Result<LogoutOutcome, Error> {
    let mut turn = state.turn.lock().await;
    Renewal::begin(&state, &mut turn).await?.logout().await
}

impl Renewal<'_> {
    /// Ends the session. In the meantime its token is not handed out.
    async fn logout(&mut self) -> Result<LogoutOutcome, Error> {
        let live = self.state.live.swap(None);
        let outcome = self.end_session().await;
        let outcome = match outcome {
            Ok(outcome) => self.forget().await.map(|()| outcome),
            Err(error) => Err(error),
        };
        match &outcome {
            Ok(_) => self.state.events.logged_out(),
            Err(_) => self.state.live.store(live.filter(|it| self.holds(it))),
        }
        outcome
    }

    /// Whether a token is still the current one: it may have been refreshed in order to
    /// log it out.
    fn holds(&self, live: &LiveToken) -> bool {
        let tokens = self.turn.session.record().tokens.as_ref();
        tokens.is_some_and(|tokens| live.is_token_of(tokens))
    }

    /// Nothing here removes the record: that happens after the vendor's reply.
    async fn end_session(&mut self) -> Result<LogoutOutcome, Error> {
        let setup = &self.state.setup;
        if self.turn.session.record().tokens.is_none() {
            return Ok(LogoutOutcome::NotLoggedIn);
        }
        let has_logout = setup
            .dialect
            .asked_form(TokenOperation::Logout, setup.variant);
        if has_logout.is_none() {
            return Ok(LogoutOutcome::Forgotten);
        }
        if self.is_good() && matches!(self.request_logout().await?, LogoutReply::Ended) {
            return Ok(LogoutOutcome::Done);
        }
        // A logout needs an access token: a fresh one, if it can be obtained.
        if !self.turn.session.can_refresh(self.now()) {
            return Ok(self.unreachable());
        }
        if !self.refreshed().await? {
            return Ok(LogoutOutcome::Dead);
        }
        Ok(match self.request_logout().await? {
            LogoutReply::Ended => LogoutOutcome::Done,
            LogoutReply::TokenRefused => LogoutOutcome::Dead,
        })
    }

    fn is_good(&self) -> bool {
        let tokens = self.turn.session.record().tokens.as_ref();
        tokens.is_some_and(|tokens| self.now() < tokens.expires_at)
    }

    /// If a refresh was not answered, its tokens are unknown.
    fn unreachable(&self) -> LogoutOutcome {
        match self.turn.session.refresh_attempt() {
            Some(_) => LogoutOutcome::Forgotten,
            None => LogoutOutcome::Dead,
        }
    }

    /// `false` if the vendor does not know the session any more.
    async fn refreshed(&mut self) -> Result<bool, Error> {
        let setup = &self.state.setup;
        self.request_tokens(RenewalKind::Refresh).await?;
        let record = self.turn.session.record();
        if self.granted {
            return Ok(true);
        }
        // A refused refresh removes the refresh token; after any other failure the
        // vendor may still know the session.
        let tokens = record.tokens.as_ref();
        match &record.failure {
            Some(failure) if tokens.is_some_and(|tokens| tokens.refresh_token.is_some()) => {
                Err(setup.vendor_failure(failure))
            }
            _ => Ok(false),
        }
    }

    /// Ends the session that a new login replaced, if a logout with the vendor does
    /// not end the new one too. If that fails, it ends by itself.
    pub(super) async fn end_former_session(&mut self, former: &SessionRecord) {
        let scope = self.state.setup.dialect.logout_scope();
        let tokens = former.tokens.as_ref();
        let is_alive = tokens.is_some_and(|tokens| self.now() < tokens.expires_at);
        if scope == Some(LogoutScope::Session)
            && is_alive
            && let Err(error) = self.request_logout_of(former).await
        {
            self.state.events.former_session_not_ended(&error);
        }
    }

    async fn request_logout(&mut self) -> Result<LogoutReply, Error> {
        let record = self.turn.session.record().clone();
        self.request_logout_of(&record).await
    }

    async fn request_logout_of(&mut self, record: &SessionRecord) -> Result<LogoutReply, Error> {
        let (state, setup) = (self.state, &self.state.setup);
        let parts = state.credential_parts(TokenOperation::Logout).await?;
        let parts = parts.with_parts_of(record.tokens.as_ref());
        let request = setup.request(TokenOperation::Logout, record, &parts)?;
        let reply = setup.exchange(TokenOperation::Logout, request, record, &parts);
        match reply.await {
            VendorReply::Understood(understood) => match *understood {
                UnderstoodReply::Refused(by) if state.is_cured_by_token(by.refusal) => {
                    Ok(LogoutReply::TokenRefused)
                }
                UnderstoodReply::Refused(by) => {
                    let why = by.refusal.to_string();
                    let fault = UnusableReply { why, help: None };
                    Err(self.not_ended(Some(by.refusal), Some(by.status), fault))
                }
                _ => Ok(LogoutReply::Ended),
            },
            VendorReply::Lost(_, why) => Err(self.not_ended(None, None, why)),
            VendorReply::Garbled(status, why) => Err(self.not_ended(None, Some(status), why)),
        }
    }

    fn not_ended(
        &self,
        refusal: Option<Refusal>,
        status: Option<u16>,
        fault: UnusableReply,
    ) -> Error {
        let now = self.now();
        self.state.setup.vendor_failure(&RenewalFailure {
            operation: TokenOperation::Logout,
            refusal,
            status,
            detail: fault.why,
            help: fault.help,
            at: now,
            times: 1,
            refused: 0,
            secrets: 0,
            retry_at: now,
            secret: None,
        })
    }

    /// Tells callers that wait for a token of the session that it has ended.
    async fn forget(&mut self) -> Result<(), Error> {
        let before = self.turn.session.record().clone();
        self.turn.session.forget();
        if self.turn.session.record().failure.is_some() {
            self.save_or_undo(before).await?;
        } else {
            let cleared = self.locked.clear().await;
            let cleared = cleared.map_err(|it| self.state.setup.store_error(&it));
            let left = cleared
                .as_ref()
                .map_or(before, |()| SessionRecord::default());
            self.turn.session.adopt(left);
            cleared?;
        }
        self.turn.unsaved = None;
        self.state.count_logout();
        Ok(())
    }
}
