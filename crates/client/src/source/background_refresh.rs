//! Refreshes in the background, so that a caller finds a fresh token in memory.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use countersign_domain::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::session::NextStep;
use crate::{BoxFuture, Clock};

/// The shortest time between two background attempts, whatever the clock shows.
const PACE: Duration = Duration::from_millis(20);

/// Knows when the next refresh is due. Its task ends with the source.
#[derive(Default)]
pub(super) struct BackgroundRefresh {
    due: watch::Sender<RefreshDue>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// When the next refresh is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum RefreshDue {
    /// Only when a caller asks for a token.
    #[default]
    Never,
    /// At this instant.
    At(Timestamp),
    /// Now.
    Now,
}

impl RefreshDue {
    /// When to refresh, after the session has said what to do next.
    pub(super) fn after(next: &NextStep) -> Self {
        match next {
            NextStep::Use { renew_at, .. } => Self::At(*renew_at),
            NextStep::Request { .. } => Self::Now,
            NextStep::Wait { until, .. } => Self::At(*until),
            NextStep::Ended { again_at, .. } => Self::At(*again_at),
        }
    }

    async fn wait(self, clock: &dyn Clock) {
        match self {
            Self::Never => std::future::pending().await,
            Self::At(instant) => clock.until(instant).await,
            Self::Now => (),
        }
    }
}

/// Refreshes once, for the background task.
pub(super) type RefreshFunction<S> = fn(Arc<S>, RefreshDue) -> BoxFuture<'static, ()>;

impl BackgroundRefresh {
    /// Sets when the next refresh is due.
    pub(super) fn schedule(&self, due: RefreshDue) {
        self.due.send_replace(due);
    }

    /// A refresh is due now.
    pub(super) fn wake(&self) {
        self.schedule(RefreshDue::Now);
    }

    /// The refresh that was due has begun: it is not due twice.
    pub(super) fn begun(&self, due: RefreshDue) {
        self.due.send_if_modified(|current| {
            let is_same = *current == due;
            if is_same {
                *current = RefreshDue::Never;
            }
            is_same
        });
    }

    /// Starts the background task unless it runs: it may have ended with its
    /// runtime. It does not keep `source` alive while it waits.
    pub(super) fn keep_running<S: Send + Sync + 'static>(
        &self,
        clock: &Arc<dyn Clock>,
        source: &Arc<S>,
        refresh: RefreshFunction<S>,
    ) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            let due = self.due.subscribe();
            let work = refresh_when_due(due, clock.clone(), Arc::downgrade(source), refresh);
            *task = Some(tokio::spawn(work));
        }
    }
}

async fn refresh_when_due<S>(
    mut due: watch::Receiver<RefreshDue>,
    clock: Arc<dyn Clock>,
    source: Weak<S>,
    refresh: RefreshFunction<S>,
) {
    loop {
        let current = *due.borrow_and_update();
        tokio::select! {
            changed = due.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            () = current.wait(&*clock) => (),
        }
        let Some(source) = source.upgrade() else {
            return;
        };
        refresh(source, current).await;
        tokio::time::sleep(PACE).await;
    }
}
