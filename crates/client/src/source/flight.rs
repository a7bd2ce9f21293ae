//! One renewal at a time, for all who wait. It runs in a task of its own, so that
//! who stops waiting ends nothing.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::glance::Glance;
use super::logout::LogoutOutcome;
use super::renewal::Renewal;
use super::shared::Shared;
use crate::{AccessToken, Error};

/// The renewal that runs, and how it ended.
#[derive(Default)]
pub(super) struct Flights(Mutex<Option<Running>>);

/// How long another process's renewal is waited for by one that ends soon, while
/// the token at hand may still be used.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

type Running = watch::Receiver<Option<Result<(), Error>>>;

/// For whom a renewal runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Somebody waits for a token: a good one is enough.
    Token,
    /// Nobody does: it is time to renew what is still good.
    Beside,
    /// Somebody wants a token of which so many requests are its own.
    Reserve(u32),
}

impl Flights {
    /// Waits for the renewal that runs, or for one that is begun.
    pub(super) async fn join(&self, shared: &Arc<Shared>) -> Result<(), Error> {
        self.join_for(shared, Purpose::Token).await
    }

    pub(super) async fn join_for(
        &self,
        shared: &Arc<Shared>,
        purpose: Purpose,
    ) -> Result<(), Error> {
        let mut running = self.board(shared, purpose);
        let landed = running.wait_for(Option::is_some).await;
        match landed.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            _ => Err(shared.cut_off()),
        }
    }

    /// Waits until none runs.
    pub(super) async fn settle(&self) {
        let running = self.running();
        if let Some(mut running) = running {
            let _ = running.wait_for(Option::is_some).await;
        }
    }

    fn board(&self, shared: &Arc<Shared>, purpose: Purpose) -> Running {
        let mut slot = self.slot();
        if let Some(running) = slot.as_ref().filter(|it| it.has_changed().is_ok()) {
            return running.clone();
        }
        let (tell, running) = watch::channel(None);
        *slot = Some(running.clone());
        let shared = shared.clone();
        let logouts = shared.logouts.load(Ordering::SeqCst);
        tokio::spawn(async move {
            let outcome = renew(&shared, purpose, logouts).await;
            *shared.flights.slot() = None;
            tell.send_replace(Some(outcome));
        });
        running
    }

    fn running(&self) -> Option<Running> {
        self.slot().clone()
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn renew(shared: &Arc<Shared>, purpose: Purpose, logouts: u64) -> Result<(), Error> {
    let mut turn = shared.turn.lock().await;
    if shared.logouts.load(Ordering::SeqCst) != logouts {
        return Err(shared.logged_out());
    }
    if purpose == Purpose::Token && shared.glance(&turn, Glance::Usable).await.is_some() {
        shared.keeper.keep(shared);
        return Ok(());
    }
    let outcome = match Renewal::begin(shared, &mut turn).await {
        Ok(mut renewal) => renewal.run(purpose).await.map(|_| ()),
        Err(error) => Err(error),
    };
    shared.keeper.keep(shared);
    outcome.map_err(|error| shared.blocked_by(error))
}

/// Sets part of a token's budget aside, in a turn of its own.
pub(super) async fn reserve(shared: &Arc<Shared>, uses: u32) -> Result<AccessToken, Error> {
    let shared = shared.clone();
    alone(&shared.clone(), async move {
        let mut turn = shared.turn.lock().await;
        if let Some(live) = shared.glance(&turn, Glance::Fresh).await {
            return Ok(AccessToken::from(live));
        }
        let locked = match tokio::time::timeout(LOCK_PATIENCE, shared.store.lock()).await {
            Ok(locked) => locked,
            Err(_) => match shared.glance(&turn, Glance::Usable).await {
                Some(live) => return Ok(AccessToken::from(live)),
                None => shared.store.lock().await,
            },
        };
        let mut renewal = Renewal::under(locked, &shared, &mut turn).await?;
        let live = renewal.run(Purpose::Reserve(uses)).await;
        live.map(AccessToken::from)
    })
    .await
}

pub(super) async fn login(shared: &Arc<Shared>) -> Result<AccessToken, Error> {
    let shared = shared.clone();
    alone(&shared.clone(), async move {
        let mut turn = shared.turn.lock().await;
        let mut renewal = Renewal::begin(&shared, &mut turn).await?;
        let live = renewal.login().await;
        shared.keeper.keep(&shared);
        live.map(AccessToken::from)
    })
    .await
}

pub(super) async fn logout(shared: &Arc<Shared>) -> Result<LogoutOutcome, Error> {
    let shared = shared.clone();
    alone(&shared.clone(), async move {
        let mut turn = shared.turn.lock().await;
        Renewal::begin(&shared, &mut turn).await?.logout().await
    })
    .await
}

/// Does it in a task of its own, and waits for it no longer than the source's
/// patience.
async fn alone<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let patience = shared.patience;
    match tokio::time::timeout(patience, tokio::spawn(work)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(shared.cut_off()),
        Err(_) => Err(shared.too_long(patience)),
    }
}
