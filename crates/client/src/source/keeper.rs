//! Renews in the background, so that who asks for a token finds a fresh one.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use countersign_domain::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::flight::Purpose;
use super::shared::Shared;
use crate::Clock;

/// The least time between two tries in the background, whatever the clock says.
const PACE: Duration = Duration::from_millis(20);

/// Knows when to renew. Its task ends with the source.
#[derive(Default)]
pub(super) struct Keeper {
    due: watch::Sender<Due>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// When there is something to do, if there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Due {
    /// Only when somebody asks for a token.
    #[default]
    Never,
    /// Then.
    At(Timestamp),
    /// Now.
    Now,
}

impl Keeper {
    /// Says when to renew next.
    pub(super) fn set(&self, due: Due) {
        self.due.send_replace(due);
    }

    /// There is something to do.
    pub(super) fn wake(&self) {
        self.set(Due::Now);
    }

    /// It is being done: it is not due twice.
    fn done(&self, due: Due) {
        self.due.send_if_modified(|now| {
            let is_same = *now == due;
            if is_same {
                *now = Due::Never;
            }
            is_same
        });
    }

    /// Sees to it that somebody keeps watch. Its task may have ended with its
    /// runtime.
    pub(super) fn keep(&self, shared: &Arc<Shared>) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            let due = self.due.subscribe();
            let (clock, shared) = (shared.clock.clone(), Arc::downgrade(shared));
            *task = Some(tokio::spawn(watch(due, clock, shared)));
        }
    }
}

/// Does not hold the source while it waits.
async fn watch(mut due: watch::Receiver<Due>, clock: Arc<dyn Clock>, shared: Weak<Shared>) {
    loop {
        let now = *due.borrow_and_update();
        tokio::select! {
            changed = due.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            () = is_due(now, &*clock) => (),
        }
        let Some(shared) = shared.upgrade() else {
            return;
        };
        shared.keeper.done(now);
        // How it ends is told by the renewal itself.
        let _ = shared.flights.join_for(&shared, Purpose::Beside).await;
        drop(shared);
        tokio::time::sleep(PACE).await;
    }
}

async fn is_due(due: Due, clock: &dyn Clock) {
    match due {
        Due::Never => std::future::pending().await,
        Due::At(instant) => clock.until(instant).await,
        Due::Now => (),
    }
}
