//! The state that all clones of a source share: its settings, the token in memory, and
//! the right to change the session. Nothing here sends requests to the vendor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use countersign_dialect::ExtraParts;
use countersign_domain::{Refusal, Timestamp};
use tokio::sync::Mutex;

use super::background_refresh::{BackgroundRefresh, RefreshDue};
use super::events::{EventHook, SourceEvents};
use super::setup::SourceSetup;
use super::single_flight::SingleFlight;
use crate::access_token::{LiveToken, TakeOutcome};
use crate::session::ClientSession;
use crate::token_verdict::StatusVerdicts;
use crate::{AccessToken, Error, ErrorKind, SessionRecord, SessionStatus, StoreError};

/// If nothing says when to try again, the store and the secret are read again after this
/// time.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// The source itself.
pub(super) struct SourceState {
    pub(super) setup: SourceSetup,
    pub(super) events: SourceEvents,
    pub(super) verdicts: StatusVerdicts,
    /// The token that is handed out.
    pub(super) live: ArcSwapOption<LiveToken>,
    /// Why no token can be handed out at the moment.
    failure: ArcSwapOption<RecentFailure>,
    /// The extra parts of the credential, as they were read last.
    pub(super) last_extra: ArcSwapOption<ExtraParts>,
    /// Whoever holds this may change the session.
    pub(super) turn: Mutex<SessionTurn>,
    /// The renewal that is running, for all callers that wait for a token.
    pub(super) renewals: SingleFlight<Result<(), Error>>,
    pub(super) background: BackgroundRefresh,
    /// How often the session was logged out, so that a caller that waited in the meantime
    /// notices.
    logouts: AtomicU64,
    /// How many callers wait for a token.
    waiting: AtomicU32,
}

/// The session, for whoever may change it.
pub(super) struct SessionTurn {
    pub(super) session: ClientSession,
    /// The record in the store, if the session has something newer that could not be
    /// written.
    pub(super) unsaved: Option<SessionRecord>,
}

/// Why no token can be handed out.
struct RecentFailure {
    error: Error,
    /// When the store and the secret are read again, since somebody may have corrected
    /// them.
    read_again_at: Timestamp,
}

impl SourceState {
    pub(super) fn new(setup: SourceSetup, hook: Option<EventHook>) -> Self {
        let turn = SessionTurn {
            session: ClientSession::new(setup.terms.clone(), SessionRecord::default()),
            unsaved: None,
        };
        Self {
            events: SourceEvents::new(setup.name.clone(), setup.clock.clone(), hook),
            verdicts: StatusVerdicts::for_dialect(&setup.dialect),
            live: ArcSwapOption::empty(),
            failure: ArcSwapOption::empty(),
            last_extra: ArcSwapOption::empty(),
            turn: Mutex::new(turn),
            renewals: SingleFlight::new(),
            background: BackgroundRefresh::default(),
            logouts: AtomicU64::new(0),
            waiting: AtomicU32::new(0),
            setup,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.setup.clock.now()
    }

    /// A fresh token, if there is one in memory.
    pub(super) fn take_fresh(&self) -> Option<AccessToken> {
        let live = self.live.load();
        let live = live.as_ref()?;
        match live.take(self.now()) {
            TakeOutcome::No => return None,
            TakeOutcome::Low => self.background.wake(),
            TakeOutcome::Yes => (),
        }
        Some(AccessToken::from(Arc::clone(live)))
    }

    /// Puts a token into memory. One that the vendor has just granted was reported
    /// already.
    pub(super) fn publish(&self, live: &Arc<LiveToken>, is_granted: bool) {
        self.failure.store(None);
        let before = self.live.swap(Some(live.clone()));
        let is_new = before.is_none_or(|before| !Arc::ptr_eq(&before, live));
        if is_new && !is_granted {
            self.events.adopted(live.stated_end(), live.until());
        }
    }

    /// The vendor refused a token: it is not handed out any more.
    pub(super) fn refuse(&self, token: &AccessToken) {
        if token.live().refuse() {
            self.background.wake();
        }
    }

    /// Why a renewal is not worth trying now, if it is not.
    pub(super) fn current_failure(&self) -> Option<Error> {
        let failure = self.failure.load();
        let failure = failure.as_ref()?;
        let now = self.now();
        let holds = now < failure.read_again_at && failure.error.retry_at? > now;
        holds.then(|| failure.error.clone())
    }

    /// Remembers why there is no token, so that not every caller has to find out again.
    pub(super) fn remember_failure(&self, mut error: Error) -> Error {
        let read_again_at = self.now() + READ_AGAIN_AFTER;
        let retry_at = *error.retry_at.get_or_insert(read_again_at);
        let before = self.failure.swap(Some(Arc::new(RecentFailure {
            error: error.clone(),
            read_again_at,
        })));
        let is_ours = matches!(
            error.kind,
            ErrorKind::Store | ErrorKind::Secret | ErrorKind::Setup
        );
        let is_new = before.is_none_or(|before| before.error.message != error.message);
        // What the vendor said was reported when it said it.
        if is_ours && is_new {
            self.events.failed(&error);
        }
        let is_final = matches!(error.kind, ErrorKind::Refused { .. } | ErrorKind::Setup);
        if !is_final {
            self.background.schedule(RefreshDue::At(retry_at));
        }
        error
    }

    /// How often the session was logged out.
    pub(super) fn logouts(&self) -> u64 {
        self.logouts.load(Ordering::SeqCst)
    }

    /// Tells callers that wait for a token that the session was logged out.
    pub(super) fn count_logout(&self) {
        self.logouts.fetch_add(1, Ordering::SeqCst);
    }

    /// How many callers wait for a token.
    pub(super) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Counts a caller that waits, until the guard is dropped.
    pub(super) fn count_waiting(&self) -> WaitingGuard<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        WaitingGuard(&self.waiting)
    }

    pub(super) async fn status(&self) -> Result<SessionStatus, Error> {
        let (budget, now) = (self.setup.budget, self.now());
        match self.setup.store.read().await {
            Ok(record) => Ok(SessionStatus::from_record(
                record.unwrap_or_default(),
                budget,
                now,
            )),
            Err(damage @ StoreError::Damaged { .. }) => {
                Ok(SessionStatus::damaged(damage.to_string(), budget, now))
            }
            Err(error) => Err(self.setup.store_error(&error)),
        }
    }

    /// Whether a new token may help after a refusal.
    pub(super) fn is_cured_by_token(&self, refusal: Refusal) -> bool {
        self.setup
            .dialect
            .client_policy()
            .expired
            .contains(&refusal)
    }

    /// Does something in a task of its own, so that a caller that stops waiting does not
    /// end it, and waits for it no longer than the source's patience.
    pub(super) async fn run_detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let patience = self.setup.patience;
        match tokio::time::timeout(patience, tokio::spawn(work)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(self.setup.renewal_cut_off(self.now())),
            Err(_) => Err(self.timed_out(patience)),
        }
    }

    /// No token arrived in time.
    pub(super) fn timed_out(&self, patience: Duration) -> Error {
        let failure = self.failure.load();
        let failure = failure.as_ref().map(|failure| &failure.error);
        self.setup.timed_out(patience, failure)
    }
}

/// A caller that waits for a token.
pub(super) struct WaitingGuard<'a>(&'a AtomicU32);

impl Drop for WaitingGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
