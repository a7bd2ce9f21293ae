//! How slow a peer may be: the longest pause, and the lowest rate.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Watches one direction of one message. Only the time in which we wait for
/// the peer counts, so a slow reader on our side blames nobody.
#[derive(Debug)]
pub(crate) struct TransferPace {
    pause: Duration,
    min_rate: u64,
    moved: u64,
    waited: Duration,
    waiting_since: Option<Instant>,
    // Made at the first pause: most messages never see one.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl TransferPace {
    pub(crate) fn new(pause: Duration, min_rate: u64) -> Self {
        Self {
            pause,
            min_rate,
            moved: 0,
            waited: Duration::ZERO,
            waiting_since: None,
            alarm: None,
        }
    }

    /// Forgets the credit of the message before.
    pub(crate) fn restart(&mut self) {
        self.moved = 0;
        self.waited = Duration::ZERO;
        self.waiting_since = None;
    }

    /// The peer gave or took `bytes`.
    pub(crate) fn moved(&mut self, bytes: usize) {
        self.moved = self.moved.saturating_add(bytes as u64);
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
    }

    /// To be polled while the peer neither gives nor takes; ready once it has
    /// been too slow.
    pub(crate) fn poll_too_slow(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.waiting_since.is_none() {
            self.begin_wait();
        }
        match &mut self.alarm {
            Some(alarm) => alarm.as_mut().poll(context),
            None => Poll::Pending,
        }
    }

    fn begin_wait(&mut self) {
        let now = Instant::now();
        self.waiting_since = Some(now);
        let deadline = now + self.pause.min(self.credit());
        match &mut self.alarm {
            Some(alarm) => alarm.as_mut().reset(deadline),
            None => self.alarm = Some(Box::pin(tokio::time::sleep_until(deadline))),
        }
    }

    /// What is left of the time that the bytes so far may have taken.
    fn credit(&self) -> Duration {
        match self.moved.checked_div(self.min_rate) {
            None => Duration::MAX,
            Some(seconds) => (self.pause.saturating_add(Duration::from_secs(seconds)))
                .saturating_sub(self.waited),
        }
    }
}
