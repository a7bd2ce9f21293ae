//! The deadlines of a connection between its requests. It also ends the connection when
//! the accept loop asks it to.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::streams::OpenStreams;
use crate::ListenerLimits;
use crate::connection_state::{ConnectionOrder, ConnectionPhase, ConnectionView};
use crate::deadline::ConnectionDeadline;
use crate::watch::{ConnectionEnd, LINGER, SteeredConnection};

pub(super) struct Http2Watch {
    limits: Arc<ListenerLimits>,
    streams: Arc<OpenStreams>,
    seen: ConnectionView,
    deadline: ConnectionDeadline,
    /// Set when no more requests are taken: when all must be over.
    finish_by: Option<Instant>,
    written: usize,
}

enum NextDeadline {
    /// Say that no more requests are taken, and finish those that run.
    Finish,
    Cut,
}

impl Http2Watch {
    /// The first request must have come by `deadline`.
    pub(super) fn new(
        deadline: Instant,
        limits: Arc<ListenerLimits>,
        streams: Arc<OpenStreams>,
    ) -> Self {
        Self {
            seen: streams.state().view(),
            deadline: ConnectionDeadline::at(deadline),
            finish_by: None,
            written: 0,
            limits,
            streams,
        }
    }

    pub(super) fn poll_to_end<C: SteeredConnection>(
        &mut self,
        context: &mut Context<'_>,
        mut connection: Pin<&mut C>,
    ) -> Poll<ConnectionEnd> {
        self.streams.state().listen(context.waker());
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(context) {
                return Poll::Ready(
                    result.map_or(ConnectionEnd::Broken, |()| ConnectionEnd::Closed),
                );
            }
            self.streams.settle();
            match ready!(self.poll_next(context)) {
                NextDeadline::Finish => {
                    self.finish_by = Some(Instant::now() + self.limits.drain_timeout);
                    connection.as_mut().finish();
                    self.look();
                }
                NextDeadline::Cut => return Poll::Ready(ConnectionEnd::Cut),
            }
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<NextDeadline> {
        if self.streams.forsaken() > self.limits.max_streams as usize {
            tracing::debug!("a peer cancels all of its requests: connection closed");
            return Poll::Ready(NextDeadline::Cut);
        }
        if let Some(next) = self.obey() {
            return Poll::Ready(next);
        }
        if self.has_moved() {
            self.look();
        }
        ready!(self.deadline.poll(context));
        Poll::Ready(match self.finish_by {
            Some(_) => NextDeadline::Cut,
            None => NextDeadline::Finish,
        })
    }

    fn has_moved(&self) -> bool {
        let writing = self.finish_by.is_some() && self.written != self.streams.written();
        writing || self.streams.state().view() != self.seen
    }

    fn obey(&mut self) -> Option<NextDeadline> {
        let state = self.streams.state();
        match state.order() {
            ConnectionOrder::Cut => Some(NextDeadline::Cut),
            ConnectionOrder::Displace if state.half_sent().rate().is_some() => {
                Some(NextDeadline::Cut)
            }
            order @ ConnectionOrder::Displace => {
                state.decline(order);
                None
            }
            order @ ConnectionOrder::Shed if !state.sheddable() => {
                state.decline(order);
                None
            }
            ConnectionOrder::None => None,
            ConnectionOrder::Shed | ConnectionOrder::Drain if self.finish_by.is_some() => None,
            ConnectionOrder::Shed | ConnectionOrder::Drain => Some(NextDeadline::Finish),
        }
    }

    /// Sets the deadline of what is seen now.
    fn look(&mut self) {
        self.seen = self.streams.state().view();
        self.written = self.streams.written();
        let limit = match self.seen.phase {
            ConnectionPhase::Waiting if self.seen.blocked => None,
            ConnectionPhase::Waiting if self.finish_by.is_some() => Some(LINGER),
            ConnectionPhase::Waiting => Some(self.limits.idle_timeout),
            // Each request has its own.
            _ => None,
        };
        let deadline = limit.map(|limit| Instant::now() + limit);
        let earlier = |deadline| self.finish_by.map_or(deadline, |by| by.min(deadline));
        self.deadline.set(deadline.map(earlier));
    }
}
