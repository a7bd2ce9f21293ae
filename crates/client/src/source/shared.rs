//! What all clones of a source share, and the way of who asks for a token.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use countersign_dialect::{Asking, Dialect, Extra, Understood, Variant};
use countersign_domain::{Operation, Refusal, Timestamp};
use countersign_outbound::ServerUrl;
use http::Response;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::builder::Hook;
use super::flight::Flights;
use super::keeper::Keeper;
use super::parts::ExtraSources;
use super::renewal::Turn;
use crate::token::{Live, Taken};
use crate::verdict::Verdicts;
use crate::{
    AccessToken, Clock, Error, ErrorKind, SecretSource, Standing, Store, StoreError, Terms,
    Transport,
};

/// What a source was built with.
pub(crate) struct Setup {
    pub(super) name: Arc<str>,
    pub(super) dialect: Arc<Dialect>,
    pub(super) variant: Variant,
    /// Where the API is.
    pub(super) url: ServerUrl,
    /// Where the token endpoints are.
    pub(super) auth_url: ServerUrl,
    pub(super) login: String,
    pub(super) secret: Box<dyn SecretSource>,
    pub(super) extra: ExtraSources,
    pub(super) static_key: bool,
    pub(super) store: Box<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) transport: Box<dyn Transport>,
    pub(super) budget: Option<u32>,
    pub(super) terms: Terms,
    pub(super) patience: Duration,
    pub(super) hook: Option<Hook>,
}

/// The source itself.
pub(crate) struct Shared {
    setup: Setup,
    pub(super) verdicts: Verdicts,
    /// What is handed out.
    pub(super) live: ArcSwapOption<Live>,
    /// Why nothing can be handed out at the moment.
    pub(super) blocked: ArcSwapOption<Blocked>,
    /// The further parts of the credential as they were read last.
    pub(super) read_extra: ArcSwapOption<Extra>,
    /// Who changes the session holds it.
    pub(super) turn: Mutex<Turn>,
    pub(super) flights: Flights,
    pub(super) keeper: Keeper,
    /// How often the session was logged out: who waited meanwhile can tell.
    pub(super) logouts: AtomicU64,
    /// How many wait for a token.
    pub(super) waiting: AtomicU32,
}

/// Why nothing can be handed out.
pub(crate) struct Blocked {
    pub(super) error: Error,
    /// From then on the store and the secret are looked at again, since somebody
    /// may have mended it.
    pub(super) look_again_at: Timestamp,
}

impl Deref for Shared {
    type Target = Setup;

    fn deref(&self) -> &Setup {
        &self.setup
    }
}

impl Shared {
    pub(super) fn new(setup: Setup) -> Self {
        Self {
            verdicts: Verdicts::of_dialect(&setup.dialect),
            live: ArcSwapOption::empty(),
            blocked: ArcSwapOption::empty(),
            read_extra: ArcSwapOption::empty(),
            turn: Mutex::new(Turn::new(&setup)),
            flights: Flights::default(),
            keeper: Keeper::default(),
            logouts: AtomicU64::new(0),
            waiting: AtomicU32::new(0),
            setup,
        }
    }

    /// A fresh token, if there is one in memory.
    pub(super) fn at_hand(&self) -> Option<AccessToken> {
        let live = self.live.load();
        let live = live.as_ref()?;
        match live.take(self.clock.now()) {
            Taken::No => return None,
            Taken::Low => self.keeper.wake(),
            Taken::Yes => (),
        }
        Some(AccessToken::from(Arc::clone(live)))
    }

    /// A token, waited for.
    pub(super) async fn obtain(self: &Arc<Self>, patience: Duration) -> Result<AccessToken, Error> {
        let _waiting = Waiting::beside(&self.waiting);
        let waiting = self.wait(Instant::now() + patience);
        let waited = tokio::time::timeout(patience, waiting).await;
        waited.unwrap_or_else(|_| Err(self.too_long(patience)))
    }

    async fn wait(self: &Arc<Self>, deadline: Instant) -> Result<AccessToken, Error> {
        let began = self.logouts.load(Ordering::SeqCst);
        loop {
            if self.logouts.load(Ordering::SeqCst) != began {
                return Err(self.logged_out());
            }
            if let Some(token) = self.at_hand() {
                return Ok(token);
            }
            let outcome = match self.trouble() {
                Some(error) => Err(error),
                None => self.flights.join(self).await,
            };
            match outcome {
                // Before this one began to wait, or that is noticed above.
                Err(error) if error.kind == ErrorKind::LoggedOut => (),
                Err(error) => self.wait_out(error, deadline).await?,
                Ok(()) => (),
            }
        }
    }

    /// Waits for the next try, if there is one in time.
    async fn wait_out(&self, error: Error, deadline: Instant) -> Result<(), Error> {
        let left = deadline.saturating_duration_since(Instant::now());
        let next = error.retry_at.filter(|_| error.is_transient());
        match next.filter(|next| next.since(self.clock.now()) < left) {
            Some(next) => {
                self.clock.until(next).await;
                Ok(())
            }
            None => Err(error),
        }
    }

    /// Why no try is worth its while.
    fn trouble(&self) -> Option<Error> {
        let blocked = self.blocked.load();
        let blocked = blocked.as_ref()?;
        let now = self.clock.now();
        let is_closed = now < blocked.look_again_at && blocked.error.retry_at? > now;
        is_closed.then(|| blocked.error.clone())
    }

    pub(super) fn refused(&self, token: &AccessToken) {
        if token.live().refuse() {
            self.keeper.wake();
        }
    }

    pub(super) async fn standing(&self) -> Result<Standing, Error> {
        let (read, now) = (self.store.read().await, self.clock.now());
        match read {
            Ok(record) => Ok(Standing::of(record.unwrap_or_default(), self.budget, now)),
            Err(damage @ StoreError::Damaged { .. }) => {
                Ok(Standing::damaged(damage.to_string(), self.budget, now))
            }
            Err(error) => Err(self.of_store(&error)),
        }
    }

    pub(super) fn is_expired(&self, answer: &Response<Bytes>) -> bool {
        let (guard, nothing) = (Operation::Guard, Asking::default());
        let now = self.clock.now();
        let understood = self
            .dialect
            .understand(guard, self.variant, &nothing, answer, now);
        matches!(understood, Ok(Understood::Refused(by)) if self.is_cured_by_a_token(by.refusal))
    }

    /// Whether a fresh token may cure a refusal.
    pub(super) fn is_cured_by_a_token(&self, refusal: Refusal) -> bool {
        self.dialect.client_policy().expired.contains(&refusal)
    }
}

/// One who waits, counted as long as it does.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn beside(others: &'a AtomicU32) -> Self {
        others.fetch_add(1, Ordering::Relaxed);
        Self(others)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
