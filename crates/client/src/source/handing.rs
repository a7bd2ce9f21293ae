//! Handing out: the token into memory, with a part of its budget.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use countersign_domain::Timestamp;

use super::flight::Purpose;
use super::renewal::Renewal;
use super::shared::Shared;
use crate::Error;
use crate::session::Reserved;
use crate::timing::leeway;
use crate::token::Live;

/// A process borrows this part of a budget at a time: what it has borrowed when
/// it is killed is lost.
const PARTS: u32 = 8;

impl Renewal<'_> {
    /// Puts the token at hand into memory, to be used until then. `None` if too
    /// little of its budget is left.
    pub(super) async fn hand_out(
        &mut self,
        purpose: Purpose,
        until: Timestamp,
    ) -> Result<Option<Arc<Live>>, Error> {
        let Some(live) = self.live(until).await? else {
            return Ok(None);
        };
        let usable = match purpose {
            Purpose::Reserve(uses) => self.set_aside(uses).await?,
            Purpose::Token | Purpose::Beside => self.borrow(&live).await?,
        };
        if !usable || live.is_refused() {
            return Ok(None);
        }
        self.shared.publish(&live, self.granted);
        Ok(Some(live))
    }

    /// The handle of the token at hand: the one that is in memory if it is the
    /// same, since that knows what was used of it.
    async fn live(&mut self, until: Timestamp) -> Result<Option<Arc<Live>>, Error> {
        let shared = self.shared;
        let Some(held) = self.turn.session.record().held.as_ref() else {
            return Ok(None);
        };
        if let Some(live) = shared.live.load_full().filter(|live| live.is(held)) {
            live.extend(until);
            return Ok(Some(live));
        }
        let headers = shared.presentation(held).await?;
        let sliding = shared.dialect.client_policy().sliding;
        let sliding = sliding.map(|span| span - leeway(span));
        let part = shared.budget.map(part_of);
        let live = Live::new(headers, held, until, sliding, part);
        Ok(Some(Arc::new(live)))
    }

    /// Sees to it that this process has something of the budget. More is
    /// borrowed while there is still a little left, so that nobody has to wait.
    async fn borrow(&mut self, live: &Live) -> Result<bool, Error> {
        if live.is_low() {
            let waiting = self.shared.waiting.load(Ordering::Relaxed);
            let wanted = self.shared.budget.map_or(0, part_of).max(waiting);
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
        if self.shared.budget.is_none() {
            return Ok(true);
        }
        let (before, now) = (self.turn.session.record().clone(), self.now());
        match self.turn.session.reserve(uses, now) {
            Reserved::Done => self.keep(before).await,
            Reserved::TooFew => Ok(false),
            Reserved::TooMany => Err(self.shared.too_many(uses)),
        }
    }
}

impl Shared {
    /// Puts a token into memory. One that the vendor granted just now was told of.
    pub(super) fn publish(&self, live: &Arc<Live>, is_granted: bool) {
        self.blocked.store(None);
        let before = self.live.swap(Some(live.clone()));
        let is_new = before.is_none_or(|before| !Arc::ptr_eq(&before, live));
        if is_new && !is_granted {
            self.tell_adopted(live.told(), live.until());
        }
    }
}

fn part_of(budget: u32) -> u32 {
    (budget / PARTS).max(1)
}
