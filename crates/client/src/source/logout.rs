//! Logging out, under the same lock as a renewal.

use std::sync::atomic::Ordering;

use countersign_dialect::Understood;
use countersign_domain::{LogoutScope, Operation, Refusal};

use super::ask::Answer;
use super::renewal::Renewal;
use crate::session::Ask;
use crate::token::Live;
use crate::{Error, Record, Trouble};

/// What became of a session that was logged out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutOutcome {
    /// The vendor has ended it.
    Done,
    /// It had ended already: the vendor does not take its tokens.
    Dead,
    /// The vendor cannot be told: the tokens are forgotten here, and live there
    /// until they run out. It knows no logout, or the answer to the last refresh
    /// was lost too long ago to send the refresh token again.
    Forgotten,
    /// There was none.
    NotLoggedIn,
}

/// What the vendor said to one try.
enum Told {
    Ended,
    /// The access token is not good. The session may still be.
    NotTaken,
}

impl Renewal<'_> {
    /// Ends the session. While this runs nobody gets its token.
    pub(super) async fn logout(&mut self) -> Result<LogoutOutcome, Error> {
        let live = self.shared.live.swap(None);
        let outcome = self.end_session().await;
        let outcome = match outcome {
            Ok(outcome) => self.forget().await.map(|()| outcome),
            Err(error) => Err(error),
        };
        match &outcome {
            Ok(_) => self.shared.tell_logged_out(),
            Err(_) => self.shared.live.store(live.filter(|it| self.holds(it))),
        }
        outcome
    }

    /// Whether a token is still the one at hand: to be logged out it may have been
    /// refreshed.
    fn holds(&self, live: &Live) -> bool {
        let held = self.turn.session.record().held.as_ref();
        held.is_some_and(|held| live.is(held))
    }

    /// Nothing here clears what is kept: that comes after the vendor's word.
    async fn end_session(&mut self) -> Result<LogoutOutcome, Error> {
        let shared = self.shared;
        if self.turn.session.record().held.is_none() {
            return Ok(LogoutOutcome::NotLoggedIn);
        }
        if shared
            .dialect
            .asked(Operation::Logout, shared.variant)
            .is_none()
        {
            return Ok(LogoutOutcome::Forgotten);
        }
        if self.is_good() && matches!(self.tell_vendor().await?, Told::Ended) {
            return Ok(LogoutOutcome::Done);
        }
        // A logout is made with an access token: a fresh one, if there can be one.
        if !self.turn.session.can_refresh(self.now()) {
            return Ok(self.unreachable());
        }
        if !self.refreshed().await? {
            return Ok(LogoutOutcome::Dead);
        }
        Ok(match self.tell_vendor().await? {
            Told::Ended => LogoutOutcome::Done,
            Told::NotTaken => LogoutOutcome::Dead,
        })
    }

    fn is_good(&self) -> bool {
        let held = self.turn.session.record().held.as_ref();
        held.is_some_and(|held| self.now() < held.expires_at)
    }

    /// Of a refresh that was not answered nobody knows the tokens.
    fn unreachable(&self) -> LogoutOutcome {
        match self.turn.session.refresh_attempt() {
            Some(_) => LogoutOutcome::Forgotten,
            None => LogoutOutcome::Dead,
        }
    }

    /// `false` if the vendor knows the session no more.
    async fn refreshed(&mut self) -> Result<bool, Error> {
        let shared = self.shared;
        self.ask(Ask::Refresh).await?;
        let record = self.turn.session.record();
        if self.granted {
            return Ok(true);
        }
        // A refused refresh takes the refresh token with it; after anything else
        // the vendor may still know the session.
        let held = record.held.as_ref();
        match &record.trouble {
            Some(trouble) if held.is_some_and(|held| held.refresh_token.is_some()) => {
                Err(shared.of_trouble(trouble))
            }
            _ => Ok(false),
        }
    }

    /// Ends the session that a new login took the place of, where the vendor can
    /// be told so without ending the new one. If that fails it ends by itself.
    pub(super) async fn end_former(&mut self, former: &Record) {
        let of_one = self.shared.dialect.logout_scope() == Some(LogoutScope::Session);
        let held = former.held.as_ref();
        if of_one && held.is_some_and(|held| self.now() < held.expires_at) {
            let told = self.tell_vendor_of(former).await;
            if let Err(error) = told {
                tracing::debug!(profile = &*self.shared.name, %error, "the session before lives on");
            }
        }
    }

    async fn tell_vendor(&mut self) -> Result<Told, Error> {
        let record = self.turn.session.record().clone();
        self.tell_vendor_of(&record).await
    }

    async fn tell_vendor_of(&mut self, record: &Record) -> Result<Told, Error> {
        let shared = self.shared;
        let parts = shared.parts_for(Operation::Logout).await?;
        let parts = parts.beside(record.held.as_ref());
        let request = shared.request(Operation::Logout, record, &parts)?;
        let answer = shared.exchange(Operation::Logout, request, record, &parts);
        match answer.await {
            Answer::Understood(understood) => match *understood {
                Understood::Refused(by) if shared.is_cured_by_a_token(by.refusal) => {
                    Ok(Told::NotTaken)
                }
                Understood::Refused(by) => {
                    let detail = by.refusal.to_string();
                    Err(self.not_ended(Some(by.refusal), Some(by.status), detail))
                }
                _ => Ok(Told::Ended),
            },
            Answer::Lost(_, why) => Err(self.not_ended(None, None, why)),
            Answer::Garbled(status, why) => Err(self.not_ended(None, Some(status), why)),
        }
    }

    fn not_ended(&self, refusal: Option<Refusal>, status: Option<u16>, detail: String) -> Error {
        let now = self.now();
        self.shared.of_trouble(&Trouble {
            operation: Operation::Logout,
            refusal,
            status,
            detail,
            at: now,
            times: 1,
            refused: 0,
            secrets: 0,
            retry_at: now,
            secret: None,
        })
    }

    /// Who waited for a token of the session is told that it is gone.
    async fn forget(&mut self) -> Result<(), Error> {
        let before = self.turn.session.record().clone();
        self.turn.session.forget();
        if self.turn.session.record().trouble.is_some() {
            self.keep(before).await?;
        } else {
            let cleared = self.locked.clear().await;
            let cleared = cleared.map_err(|it| self.shared.of_store(&it));
            let left = cleared.as_ref().map_or(before, |()| Record::default());
            self.turn.session.adopt(left);
            cleared?;
        }
        self.turn.unkept = None;
        self.shared.logouts.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}
