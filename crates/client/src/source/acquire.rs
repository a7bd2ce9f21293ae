//! How a token that is not in memory is obtained, from top to bottom: [`wait_for_token`]
//! joins the one renewal that runs for all waiting callers ([`join_renewal`]); the
//! renewal takes its turn ([`renew`]), reads the store without its lock, and if that does
//! not help continues under the lock ([`Renewal::run`]).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::background_refresh::RefreshDue;
use super::peek::WantedToken;
use super::renewal::{Renewal, RenewalPurpose};
use super::state::SourceState;
use crate::{AccessToken, BoxFuture, Error, ErrorKind};

/// How long a process that ends soon waits for another process's renewal while its token
/// may still be used.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Waits for a token, but no longer than `patience`.
pub(super) async fn wait_for_token(
    state: &Arc<SourceState>,
    patience: Duration,
) -> Result<AccessToken, Error> {
    let _waiting = state.count_waiting();
    let attempts = renew_until_there_is_one(state, Instant::now() + patience);
    match timeout(patience, attempts).await {
        Ok(outcome) => outcome,
        Err(_) => Err(state.timed_out(patience)),
    }
}

async fn renew_until_there_is_one(
    state: &Arc<SourceState>,
    deadline: Instant,
) -> Result<AccessToken, Error> {
    let logouts = state.logouts();
    loop {
        if state.logouts() != logouts {
            return Err(state.setup.logged_out());
        }
        if let Some(token) = state.take_fresh() {
            return Ok(token);
        }
        let outcome = match state.current_failure() {
            Some(error) => Err(error),
            None => join_renewal(state, RenewalPurpose::Token).await,
        };
        match outcome {
            // A logout before this caller began to wait, or one that is noticed
            // above.
            Err(error) if error.kind == ErrorKind::LoggedOut => (),
            Err(error) => wait_for_retry(state, error, deadline).await?,
            Ok(()) => (),
        }
    }
}

/// Waits until the next attempt, if it comes in time.
async fn wait_for_retry(state: &SourceState, error: Error, deadline: Instant) -> Result<(), Error> {
    let left = deadline.saturating_duration_since(Instant::now());
    let retry_at = error.retry_at.filter(|_| error.is_transient());
    match retry_at.filter(|retry_at| retry_at.since(state.now()) < left) {
        Some(retry_at) => {
            state.setup.clock.until(retry_at).await;
            Ok(())
        }
        None => Err(error),
    }
}

/// Waits for the renewal that is running, or for a new one.
async fn join_renewal(state: &Arc<SourceState>, purpose: RenewalPurpose) -> Result<(), Error> {
    let begin = || renew(state.clone(), purpose, state.logouts());
    let outcome = state.renewals.join(begin).await;
    outcome.unwrap_or_else(|| Err(state.setup.renewal_cut_off(state.now())))
}

async fn renew(
    state: Arc<SourceState>,
    purpose: RenewalPurpose,
    logouts: u64,
) -> Result<(), Error> {
    let mut turn = state.turn.lock().await;
    if state.logouts() != logouts {
        return Err(state.setup.logged_out());
    }
    if purpose == RenewalPurpose::Token {
        let found = state.peek_store(&turn, WantedToken::Usable).await;
        if found.is_some() {
            keep_refreshing(&state);
            return Ok(());
        }
    }
    let outcome = match Renewal::begin(&state, &mut turn).await {
        Ok(mut renewal) => renewal.run(purpose).await.map(|_| ()),
        Err(error) => Err(error),
    };
    keep_refreshing(&state);
    outcome.map_err(|error| state.remember_failure(error))
}

/// From now on the token is renewed in the background.
pub(super) fn keep_refreshing(state: &Arc<SourceState>) {
    let clock = &state.setup.clock;
    state
        .background
        .keep_running(clock, state, refresh_in_background);
}

fn refresh_in_background(state: Arc<SourceState>, due: RefreshDue) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        state.background.begun(due);
        // How it ends is reported by the renewal itself.
        let _ = join_renewal(&state, RenewalPurpose::Background).await;
    })
}

/// Reserves part of a token's budget, in a turn of its own.
pub(super) async fn reserve(state: &Arc<SourceState>, uses: u32) -> Result<AccessToken, Error> {
    let work = reserve_in_turn(state.clone(), uses);
    state.run_detached(work).await
}

async fn reserve_in_turn(state: Arc<SourceState>, uses: u32) -> Result<AccessToken, Error> {
    let mut turn = state.turn.lock().await;
    if let Some(live) = state.peek_store(&turn, WantedToken::Fresh).await {
        return Ok(AccessToken::from(live));
    }
    let locked = match timeout(LOCK_PATIENCE, state.setup.store.lock()).await {
        Ok(locked) => locked,
        Err(_) => match state.peek_store(&turn, WantedToken::Usable).await {
            Some(live) => return Ok(AccessToken::from(live)),
            None => state.setup.store.lock().await,
        },
    };
    let mut renewal = Renewal::begin_under(locked, &state, &mut turn).await?;
    let live = renewal.run(RenewalPurpose::Reserve(uses)).await;
    live.map(AccessToken::from)
}
