//! Work that runs once at a time, for all callers that wait for it. It runs in a task of
//! its own, so that a caller that stops waiting does not end it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The current run, and how it ended.
pub(super) struct SingleFlight<T>(Arc<Mutex<Option<FlightResult<T>>>>);

type FlightResult<T> = watch::Receiver<Option<T>>;

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    /// Nothing runs yet.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    /// Waits for the current run, or else for one that `begin` starts. `None` if its task
    /// ended with its runtime.
    pub(super) async fn join<F>(&self, begin: impl FnOnce() -> F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut result = self.running_or_begun(begin);
        let landed = result.wait_for(Option::is_some).await;
        landed.ok()?.clone()
    }

    /// Waits until nothing runs.
    pub(super) async fn settle(&self) {
        let running = lock(&self.0).clone();
        if let Some(mut running) = running {
            let _ = running.wait_for(Option::is_some).await;
        }
    }

    fn running_or_begun<F>(&self, begin: impl FnOnce() -> F) -> FlightResult<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut running = lock(&self.0);
        if let Some(result) = running.as_ref().filter(|it| it.has_changed().is_ok()) {
            return result.clone();
        }
        let (sender, result) = watch::channel(None);
        *running = Some(result.clone());
        let (slot, work) = (self.0.clone(), begin());
        tokio::spawn(async move {
            let outcome = work.await;
            *lock(&slot) = None;
            sender.send_replace(Some(outcome));
        });
        result
    }
}

fn lock<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
