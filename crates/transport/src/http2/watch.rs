//! The deadlines of a connection between its requests, and its obedience to the
//! accept loop.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::streams::Streams;
use crate::Limits;
use crate::deadline::Deadline;
use crate::link::{Order, Phase, View};
use crate::watch::{End, LINGER, Steered};

pub(super) struct Watch {
    limits: Arc<Limits>,
    streams: Arc<Streams>,
    seen: View,
    deadline: Deadline,
    /// Set when no more requests are taken: when all must be over.
    finish_by: Option<Instant>,
    written: usize,
}

enum Next {
    /// Say that no more requests are taken, and finish those that run.
    Finish,
    Cut,
}

impl Watch {
    /// The first request must have come by `deadline`.
    pub(super) fn new(deadline: Instant, limits: Arc<Limits>, streams: Arc<Streams>) -> Self {
        Self {
            seen: streams.link().view(),
            deadline: Deadline::at(deadline),
            finish_by: None,
            written: 0,
            limits,
            streams,
        }
    }

    pub(super) fn poll_to_end<C: Steered>(
        &mut self,
        context: &mut Context<'_>,
        mut connection: Pin<&mut C>,
    ) -> Poll<End> {
        self.streams.link().listen(context.waker());
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(context) {
                return Poll::Ready(result.map_or(End::Broken, |()| End::Closed));
            }
            self.streams.settle();
            match ready!(self.poll_next(context)) {
                Next::Finish => {
                    self.finish_by = Some(Instant::now() + self.limits.drain_timeout);
                    connection.as_mut().finish();
                    self.look();
                }
                Next::Cut => return Poll::Ready(End::Cut),
            }
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        if self.streams.forsaken() > self.limits.max_streams as usize {
            tracing::debug!("a peer gives up all that it asks for: cut");
            return Poll::Ready(Next::Cut);
        }
        if let Some(next) = self.obey() {
            return Poll::Ready(next);
        }
        if self.has_moved() {
            self.look();
        }
        ready!(self.deadline.poll(context));
        Poll::Ready(match self.finish_by {
            Some(_) => Next::Cut,
            None => Next::Finish,
        })
    }

    fn has_moved(&self) -> bool {
        let writing = self.finish_by.is_some() && self.written != self.streams.written();
        writing || self.streams.link().view() != self.seen
    }

    fn obey(&mut self) -> Option<Next> {
        let link = self.streams.link();
        match link.order() {
            Order::Cut => Some(Next::Cut),
            Order::Displace if link.half_sent().rate().is_some() => Some(Next::Cut),
            order @ Order::Displace => {
                link.decline(order);
                None
            }
            order @ Order::Shed if !link.sheddable() => {
                link.decline(order);
                None
            }
            Order::None => None,
            Order::Shed | Order::Drain if self.finish_by.is_some() => None,
            Order::Shed | Order::Drain => Some(Next::Finish),
        }
    }

    /// Sets the deadline of what is seen now.
    fn look(&mut self) {
        self.seen = self.streams.link().view();
        self.written = self.streams.written();
        let limit = match self.seen.phase {
            Phase::Waiting if self.seen.blocked => None,
            Phase::Waiting if self.finish_by.is_some() => Some(LINGER),
            Phase::Waiting => Some(self.limits.idle_timeout),
            // Each request has its own.
            _ => None,
        };
        let deadline = limit.map(|limit| Instant::now() + limit);
        let earlier = |deadline| self.finish_by.map_or(deadline, |by| by.min(deadline));
        self.deadline.set(deadline.map(earlier));
    }
}
