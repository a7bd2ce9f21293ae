//! A timer that runs only while the reader of a body is waiting for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Measures one pause. While nobody polls, it is the reader who is slow, and the timer
/// does not run.
pub(crate) struct IdleTimer {
    limit: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    pausing: bool,
}

impl IdleTimer {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            sleep: None,
            pausing: false,
        }
    }

    /// Something arrived: the next pause is a new one.
    pub(crate) fn moved(&mut self) {
        self.pausing = false;
    }

    /// Nothing arrived. Ready after this has lasted for the whole limit.
    pub(crate) fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if !self.pausing {
            self.pausing = true;
            sleep.as_mut().reset(Instant::now() + limit);
        }
        sleep.as_mut().poll(context)
    }
}

impl fmt::Debug for IdleTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdleTimer({:?})", self.limit)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn is_over(idle: &mut IdleTimer) -> bool {
        idle.poll_over(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[tokio::test(start_paused = true)]
    async fn each_pause_has_the_whole_limit() {
        let mut idle = IdleTimer::new(Duration::from_secs(10));
        for _ in 0..3 {
            assert!(!is_over(&mut idle));
            tokio::time::advance(Duration::from_secs(9)).await;
            assert!(!is_over(&mut idle));
            idle.moved();
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        assert!(!is_over(&mut idle), "nobody waited for that minute");
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(is_over(&mut idle));
    }
}
