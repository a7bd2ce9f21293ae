//! One renewal, from top to bottom ([`Renewal::run`]): the record is read again under the
//! store's lock, the session says what to do, a request is sent to the vendor if
//! necessary, and the token is handed out.
//!
//! A record of the request is durable before the request is sent, and new tokens are
//! durable before anybody gets them: a process that starts after a crash knows what the
//! vendor may have done.

use std::sync::Arc;
use std::time::Duration;

use countersign_dialect::UnderstoodReply;
use countersign_domain::{Timestamp, TokenOperation};

use super::background_refresh::RefreshDue;
use super::exchange::VendorReply;
use super::state::{SessionTurn, SourceState};
use crate::access_token::LiveToken;
use crate::session::{NextStep, RenewalKind, ReserveOutcome};
use crate::timing::leeway;
use crate::{Error, LockedStore, SessionRecord, StoreError, WriteOutcome};

/// The pauses between attempts to write what the vendor has granted.
const WRITE_AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];

/// The most requests that one renewal sends, whatever the vendor answers.
const MOST_REQUESTS: usize = 4;

/// A process borrows this fraction of a budget at a time: if it is killed, it loses what
/// it has borrowed.
const BUDGET_PARTS: u32 = 8;

/// Why a renewal runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RenewalPurpose {
    /// A caller waits for a token: any token that may be used is good enough.
    Token,
    /// No caller waits: what is due for renewal is renewed while it is still good.
    Background,
    /// A caller wants a token with so many requests reserved for itself.
    Reserve(u32),
}

/// A renewal, which has its turn in this process and holds the store's lock among all
/// processes.
pub(super) struct Renewal<'a> {
    pub(super) state: &'a Arc<SourceState>,
    pub(super) turn: &'a mut SessionTurn,
    pub(super) locked: Box<dyn LockedStore>,
    /// Whether the vendor has granted new tokens.
    pub(super) granted: bool,
    requests_sent: usize,
}

impl<'a> Renewal<'a> {
    /// Waits for the store's lock and reads the record.
    pub(super) async fn begin(
        state: &'a Arc<SourceState>,
        turn: &'a mut SessionTurn,
    ) -> Result<Self, Error> {
        Self::begin_under(state.setup.store.lock().await, state, turn).await
    }

    /// Begins under a lock that is already held.
    pub(super) async fn begin_under(
        locked: Result<Box<dyn LockedStore>, StoreError>,
        state: &'a Arc<SourceState>,
        turn: &'a mut SessionTurn,
    ) -> Result<Self, Error> {
        let mut renewal = Self {
            locked: locked.map_err(|it| state.setup.store_error(&it))?,
            state,
            turn,
            granted: false,
            requests_sent: 0,
        };
        renewal.read_again().await?;
        renewal.note_token_use();
        renewal.note_secret().await;
        Ok(renewal)
    }

    /// A record that another process has written wins. The exception is an outcome that
    /// could not be written yet, if nobody else has written since.
    async fn read_again(&mut self) -> Result<(), Error> {
        let kept = self.locked.read().await;
        let kept = kept.map_err(|it| self.state.setup.store_error(&it))?;
        let kept = kept.unwrap_or_default();
        // The serial alone does not tell: it begins again with each logout.
        if let Some(before) = self.turn.unsaved.take_if(|it| *it == kept) {
            return self.save_outcome(before).await;
        }
        self.turn.unsaved = None;
        self.turn.session.adopt(kept);
        Ok(())
    }

    /// Tells the session what happened to the token in memory since the last time.
    fn note_token_use(&mut self) {
        let now = self.now();
        let session = &mut self.turn.session;
        let live = self.state.live.load();
        let Some(live) = live.as_ref() else { return };
        let tokens = session.record().tokens.as_ref();
        let is_held = tokens.is_some_and(|tokens| live.is_token_of(tokens));
        if let Some(at) = live.used_at().filter(|_| is_held) {
            session.used(at);
        }
        if live.is_refused() && !session.invalidate(live.token(), now) {
            // A token that was given up before stays so, however long it takes to
            // get another one.
            let tokens = session.record().tokens.as_ref();
            let is_kept = tokens.is_some_and(|it| live.is_token_of(it) && !it.is_rejected());
            if is_kept {
                live.pardon();
            }
        }
    }

    /// After a refused login the secret may have been corrected. If it cannot be read,
    /// nothing has changed.
    async fn note_secret(&mut self) {
        let failure = self.turn.session.record().failure.as_ref();
        if failure.is_some_and(|it| it.secret.is_some())
            && let Some(fingerprint) = self.state.current_fingerprint().await
        {
            self.turn.session.set_secret(fingerprint);
        }
    }

    /// Continues until there is a token, or a reason why there is none.
    pub(super) async fn run(&mut self, purpose: RenewalPurpose) -> Result<Arc<LiveToken>, Error> {
        loop {
            let next = self.turn.session.next(self.now());
            let usable_until = match next {
                NextStep::Use { until, .. } => Some(until),
                // A process that ends soon would not see the end of a renewal in
                // the background.
                NextStep::Request { .. } if purpose != RenewalPurpose::Token => None,
                NextStep::Request { meanwhile, .. } | NextStep::Wait { meanwhile, .. } => meanwhile,
                NextStep::Ended { .. } => None,
            };
            let live = match usable_until {
                Some(until) => self.hand_out(purpose, until).await?,
                None => None,
            };
            if let Some(live) = live {
                self.state.background.schedule(RefreshDue::after(&next));
                return Ok(live);
            }
            self.request_if_allowed().await?;
        }
    }

    /// There is no suitable token: requests one, if that is allowed now.
    async fn request_if_allowed(&mut self) -> Result<(), Error> {
        let setup = &self.state.setup;
        match self.turn.session.next(self.now()) {
            NextStep::Request { kind, .. } => self.request_tokens(kind).await,
            NextStep::Use { .. } => Err(setup.unusable_tokens()),
            NextStep::Wait { until, failure, .. } => {
                Err(setup.vendor_failure(&failure).until(until))
            }
            NextStep::Ended { failure, again_at } => {
                Err(setup.vendor_failure(&failure).until(again_at))
            }
        }
    }

    /// Requests tokens from the vendor. The record says how that ended; a failure of
    /// the request is not an error here.
    pub(super) async fn request_tokens(&mut self, kind: RenewalKind) -> Result<(), Error> {
        let (state, setup) = (self.state, &self.state.setup);
        let operation = match kind {
            RenewalKind::Login => TokenOperation::Login,
            RenewalKind::Refresh => TokenOperation::Refresh,
        };
        self.requests_sent += 1;
        if self.requests_sent > MOST_REQUESTS {
            return Err(setup.unusable_tokens());
        }
        let parts = state.credential_parts(operation).await?;
        if let Some(secret) = &parts.secret {
            let fingerprint = setup.fingerprint(secret, &parts.extra);
            self.turn.session.set_secret(fingerprint);
        }
        let before = self.turn.session.record().clone();
        let tokens = before
            .tokens
            .as_ref()
            .filter(|_| kind == RenewalKind::Refresh);
        let parts = parts.with_parts_of(tokens);
        let request = setup.request(operation, &before, &parts)?;
        self.turn.session.begin_request(kind, self.now());
        if !self.save_or_undo(before).await? {
            return Ok(());
        }
        // The secret and the store may have taken their time.
        if self.turn.session.is_too_late(self.now()) {
            return Ok(());
        }
        let record = self.turn.session.record().clone();
        let reply = setup.exchange(operation, request, &record, &parts).await;
        self.receive(reply);
        self.save_outcome(record).await?;
        self.report(operation);
        Ok(())
    }

    /// A refused token that the vendor grants again is used on: another one is not to be had,
    /// and the vendor may refuse single requests only.
    fn pardon_if_granted_again(&self) {
        let live = self.state.live.load();
        let tokens = self.turn.session.record().tokens.as_ref();
        if let (Some(live), Some(tokens)) = (live.as_ref(), tokens)
            && live.is_token_of(tokens)
        {
            live.pardon();
        }
    }

    /// Tells the session the outcome of an exchange.
    fn receive(&mut self, reply: VendorReply) {
        let now = self.now();
        let session = &mut self.turn.session;
        match reply {
            VendorReply::Understood(understood) => match *understood {
                UnderstoodReply::Granted(granted) => {
                    session.received(granted, now);
                    self.granted = true;
                    self.pardon_if_granted_again();
                }
                UnderstoodReply::Refused(by) => session.refused(&by, now),
                UnderstoodReply::Done => session.garbled(200, "it has no tokens", now),
            },
            VendorReply::Lost(sent, fault) => {
                session.lost(sent, &fault.why, now);
                session.advise(fault.help);
            }
            VendorReply::Garbled(status, fault) => {
                session.garbled(status, &fault.why, now);
                session.advise(fault.help);
            }
        }
    }

    /// Reports an outcome once it is durable.
    fn report(&self, operation: TokenOperation) {
        let record = self.turn.session.record();
        let events = &self.state.events;
        match (&record.failure, &record.tokens) {
            (Some(failure), _) => {
                let outcome = failure.refusal.map_or("lost", |_| "refused");
                let error = self.state.setup.vendor_failure(failure);
                events.request_failed(operation, outcome, &error);
            }
            (None, Some(tokens)) => {
                let until = tokens.expires_at;
                let stated_end = tokens.stated_expires_at.unwrap_or(until);
                events.granted(operation, stated_end, until);
            }
            (None, None) => (),
        }
    }

    /// Puts the current token into memory, to be used until `until`. `None` if too little
    /// of its budget is left.
    async fn hand_out(
        &mut self,
        purpose: RenewalPurpose,
        until: Timestamp,
    ) -> Result<Option<Arc<LiveToken>>, Error> {
        let Some(live) = self.live_token(until).await? else {
            return Ok(None);
        };
        let has_budget = match purpose {
            RenewalPurpose::Reserve(uses) => self.set_aside(uses).await?,
            RenewalPurpose::Token | RenewalPurpose::Background => self.borrow(&live).await?,
        };
        if !has_budget || live.is_refused() {
            return Ok(None);
        }
        self.state.publish(&live, self.granted);
        Ok(Some(live))
    }

    /// The handle of the current token: the one in memory if it is the same token, since
    /// it knows how much was used.
    async fn live_token(&mut self, until: Timestamp) -> Result<Option<Arc<LiveToken>>, Error> {
        let (state, setup) = (self.state, &self.state.setup);
        let Some(tokens) = self.turn.session.record().tokens.as_ref() else {
            return Ok(None);
        };
        if let Some(live) = state
            .live
            .load_full()
            .filter(|live| live.is_token_of(tokens))
        {
            live.extend(until);
            return Ok(Some(live));
        }
        let headers = state.token_headers(tokens).await?;
        let sliding = setup.dialect.client_policy().sliding;
        let sliding = sliding.map(|span| span - leeway(span));
        let part = setup.budget.map(part_of_budget);
        let live = LiveToken::new(headers, tokens, until, sliding, part);
        Ok(Some(Arc::new(live)))
    }

    /// Makes sure that this process has a part of the budget. More is borrowed
    /// while there is still a little left, so that no caller has to wait.
    async fn borrow(&mut self, live: &LiveToken) -> Result<bool, Error> {
        if live.is_low() {
            let part = self.state.setup.budget.map_or(0, part_of_budget);
            let wanted = part.max(self.state.waiting());
            let uses = wanted.min(self.turn.session.left().unwrap_or(0));
            if uses > 0 && self.set_aside(uses).await? {
                live.lend(uses);
            }
        }
        Ok(live.has_left())
    }

    /// Sets a part of the budget aside. The record says so before anything of it
    /// is spent.
    async fn set_aside(&mut self, uses: u32) -> Result<bool, Error> {
        if self.state.setup.budget.is_none() {
            return Ok(true);
        }
        let (before, now) = (self.turn.session.record().clone(), self.now());
        match self.turn.session.reserve(uses, now) {
            ReserveOutcome::Done => self.save_or_undo(before).await,
            ReserveOutcome::TooFew => Ok(false),
            ReserveOutcome::TooMany => Err(self.state.setup.reservation_too_large(uses)),
        }
    }

    /// Makes a change durable before it takes effect; if that fails it is undone.
    /// `false` if another process was faster, whose record is adopted.
    pub(super) async fn save_or_undo(&mut self, before: SessionRecord) -> Result<bool, Error> {
        let written = self.write().await;
        if written.is_err() {
            self.turn.session.adopt(before);
        }
        written.map_err(|it| self.state.setup.store_error(&it))
    }

    /// Makes the outcome of a request durable. The vendor has acted upon the request,
    /// so the outcome is not undone if it cannot be written: it stays in memory,
    /// unused, and the next renewal tries again to write it in the place of `before`.
    async fn save_outcome(&mut self, before: SessionRecord) -> Result<(), Error> {
        self.turn.unsaved = Some(before);
        let mut pauses = WRITE_AGAIN_AFTER.iter();
        while let Err(error) = self.write().await {
            match pauses.next() {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Err(self.state.setup.unsaved_outcome(&error)),
            }
        }
        self.turn.unsaved = None;
        Ok(())
    }

    /// `false` if another process was faster, whose record is adopted.
    async fn write(&mut self) -> Result<bool, StoreError> {
        let draft = self.turn.session.draft();
        let written = self.locked.write(&draft).await?;
        let is_done = written == WriteOutcome::Done;
        self.turn.session.adopt(match written {
            WriteOutcome::Done => draft,
            WriteOutcome::Lost(other) => *other,
        });
        Ok(is_done)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.state.now()
    }
}

fn part_of_budget(budget: u32) -> u32 {
    (budget / BUDGET_PARTS).max(1)
}
