//! A deadline that is moved often and seldom expires.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

pub(crate) struct ConnectionDeadline {
    at: Option<Instant>,
    /// Left alone when the deadline moves away, which is nearly always: it goes
    /// off early once in a while and is set anew.
    alarm: Pin<Box<Sleep>>,
}

impl ConnectionDeadline {
    pub(crate) fn at(deadline: Instant) -> Self {
        Self {
            at: Some(deadline),
            alarm: Box::pin(sleep_until(deadline)),
        }
    }

    /// None waits for ever.
    pub(crate) fn set(&mut self, deadline: Option<Instant>) {
        self.at = deadline;
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.at else {
            return Poll::Pending;
        };
        if deadline < self.alarm.deadline() {
            self.alarm.as_mut().reset(deadline);
        }
        ready!(self.alarm.as_mut().poll(context));
        if self.alarm.deadline() < deadline {
            self.alarm.as_mut().reset(deadline);
            ready!(self.alarm.as_mut().poll(context));
        }
        Poll::Ready(())
    }
}
