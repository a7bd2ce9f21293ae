//! One renewal: lock, read again, ask if need be, make it durable, hand it out.
//!
//! The record that says what is asked is durable before the request is sent, and
//! new tokens are durable before anybody gets them: whoever comes after a crash
//! knows what the vendor may have done.

use std::sync::Arc;
use std::time::Duration;

use countersign_domain::Timestamp;

use super::flight::Purpose;
use super::keeper::Due;
use super::shared::{Setup, Shared};
use crate::session::{Ask, Next, Session};
use crate::token::Live;
use crate::{Error, Locked, Record, StoreError, Written};

/// The pauses between tries to write what the vendor has given.
const WRITE_AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];

/// Who holds it may change the session.
pub(super) struct Turn {
    pub(super) session: Session,
    /// What is kept, if the session holds something newer that could not be
    /// written.
    pub(super) unkept: Option<Record>,
}

impl Turn {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            session: Session::new(setup.terms.clone(), Record::default()),
            unkept: None,
        }
    }
}

/// A renewal that has the turn in this process, and the store's lock among all.
pub(super) struct Renewal<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) turn: &'a mut Turn,
    pub(super) locked: Box<dyn Locked>,
    /// How many requests were sent.
    pub(super) asked: usize,
    /// Whether one of them brought new tokens.
    pub(super) granted: bool,
}

impl<'a> Renewal<'a> {
    pub(super) async fn begin(shared: &'a Arc<Shared>, turn: &'a mut Turn) -> Result<Self, Error> {
        Self::under(shared.store.lock().await, shared, turn).await
    }

    /// Begins under a lock that was waited for.
    pub(super) async fn under(
        locked: Result<Box<dyn Locked>, StoreError>,
        shared: &'a Arc<Shared>,
        turn: &'a mut Turn,
    ) -> Result<Self, Error> {
        let mut renewal = Self {
            locked: locked.map_err(|it| shared.of_store(&it))?,
            shared,
            turn,
            asked: 0,
            granted: false,
        };
        renewal.read_again().await?;
        renewal.note_use();
        renewal.note_secret().await;
        Ok(renewal)
    }

    /// After a refused login the secret may have been mended. If it cannot be had,
    /// nothing has changed.
    async fn note_secret(&mut self) {
        let trouble = self.turn.session.record().trouble.as_ref();
        if trouble.is_some_and(|it| it.secret.is_some())
            && let Some(print) = self.shared.fingerprint_now().await
        {
            self.turn.session.secret_is(print);
        }
    }

    /// What another process has written wins, but over an outcome that could not
    /// be written yet if nobody wrote since.
    async fn read_again(&mut self) -> Result<(), Error> {
        let kept = self.locked.read().await;
        let kept = kept.map_err(|it| self.shared.of_store(&it))?;
        let kept = kept.unwrap_or_default();
        // Its serial alone does not tell: it begins again with each logout.
        if let Some(before) = self.turn.unkept.take_if(|it| *it == kept) {
            return self.keep_outcome(before).await;
        }
        self.turn.unkept = None;
        self.turn.session.adopt(kept);
        Ok(())
    }

    /// What became of the token in memory since the last time.
    fn note_use(&mut self) {
        let now = self.now();
        let session = &mut self.turn.session;
        let live = self.shared.live.load();
        let Some(live) = live.as_ref() else { return };
        let held = session.record().held.as_ref();
        let is_held = held.is_some_and(|held| live.is(held));
        if let Some(at) = live.used_at().filter(|_| is_held) {
            session.used(at);
        }
        if live.is_refused() && !session.invalidate(live.token(), now) {
            // What was given up before stays so, however long it takes to get
            // another one.
            let held = session.record().held.as_ref();
            let is_kept = held.is_some_and(|it| live.is(it) && !it.is_rejected());
            if is_kept {
                live.pardon();
            }
        }
    }

    /// Goes on until there is a token, or a reason why not.
    pub(super) async fn run(&mut self, purpose: Purpose) -> Result<Arc<Live>, Error> {
        loop {
            let next = self.turn.session.next(self.now());
            let good = match next {
                Next::Use { until, .. } => Some(until),
                // A process that ends soon would not see the end of a renewal
                // beside it.
                Next::Ask { .. } if purpose != Purpose::Token => None,
                Next::Ask { meanwhile, .. } | Next::Wait { meanwhile, .. } => meanwhile,
                Next::Ended { .. } => None,
            };
            let live = match good {
                Some(until) => self.hand_out(purpose, until).await?,
                None => None,
            };
            if let Some(live) = live {
                self.shared.keeper.set(due(&next));
                return Ok(live);
            }
            self.go_on().await?;
        }
    }

    /// Asks for tokens, whatever is at hand.
    pub(super) async fn login(&mut self) -> Result<Arc<Live>, Error> {
        let former = self.turn.session.record().clone();
        self.ask(Ask::Login).await?;
        if self.granted {
            self.end_former(&former).await;
        }
        match &self.turn.session.record().trouble {
            Some(trouble) if !self.granted => Err(self.shared.of_trouble(trouble)),
            _ => self.run(Purpose::Reserve(1)).await,
        }
    }

    /// There is no token that would do: asks for one, if that is allowed.
    async fn go_on(&mut self) -> Result<(), Error> {
        match self.turn.session.next(self.now()) {
            Next::Ask { ask, .. } => self.ask(ask).await,
            Next::Use { .. } => Err(self.shared.unusable()),
            Next::Wait { until, trouble, .. } => Err(self.shared.of_trouble(&trouble).until(until)),
            Next::Ended { trouble, again_at } => {
                Err(self.shared.of_trouble(&trouble).until(again_at))
            }
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Makes a change durable before it is acted upon; if that fails it is taken
    /// back. `false` if another was faster, whose record is adopted.
    pub(super) async fn keep(&mut self, before: Record) -> Result<bool, Error> {
        let written = self.write().await;
        if written.is_err() {
            self.turn.session.adopt(before);
        }
        written.map_err(|it| self.shared.of_store(&it))
    }

    /// Makes the outcome of a request durable. The vendor has acted upon it, so it
    /// is not taken back if it cannot be written: it stays in memory, nobody gets
    /// it, and the next renewal tries again to write it in the place of `before`.
    pub(super) async fn keep_outcome(&mut self, before: Record) -> Result<(), Error> {
        self.turn.unkept = Some(before);
        let mut pauses = WRITE_AGAIN_AFTER.iter();
        while let Err(error) = self.write().await {
            match pauses.next() {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Err(self.shared.of_unkept(&error)),
            }
        }
        self.turn.unkept = None;
        Ok(())
    }

    async fn write(&mut self) -> Result<bool, StoreError> {
        let draft = self.turn.session.draft();
        let written = self.locked.write(&draft).await?;
        let is_done = written == Written::Done;
        self.turn.session.adopt(match written {
            Written::Done => draft,
            Written::Lost(other) => *other,
        });
        Ok(is_done)
    }
}

/// When there is something to do next while a token is used.
pub(super) fn due(next: &Next) -> Due {
    match next {
        Next::Use { renew_at, .. } => Due::At(*renew_at),
        Next::Ask { .. } => Due::Now,
        Next::Wait { until, .. }
        | Next::Ended {
            again_at: until, ..
        } => Due::At(*until),
    }
}
