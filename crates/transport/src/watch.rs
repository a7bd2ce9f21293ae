//! The deadlines of one connection, phase by phase. It also ends the connection when the
//! accept loop asks it to.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::bounds::Http2ServerConnExec;
use hyper::rt::{Read, Write};
use hyper::server::conn::http2;
use hyper::service::HttpService;
use tokio::time::Instant;

use crate::ListenerLimits;
use crate::connection_state::{ConnectionOrder, ConnectionPhase, ConnectionState, ConnectionView};
use crate::deadline::ConnectionDeadline;
use crate::refusal::TransportRefusal;

/// How long a peer may take to close after the last answer, if it was still sending.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum ConnectionEnd {
    /// As HTTP has it.
    Closed,
    /// The stream failed, or the peer left in the middle.
    Broken,
    /// By order, or because the peer let a deadline pass.
    Cut,
}

/// hyper's connection, as far as it is steered from here.
pub(crate) trait SteeredConnection: Future<Output = hyper::Result<()>> {
    fn finish(self: Pin<&mut Self>);
}

impl<Io, S, B, E> SteeredConnection for http2::Connection<Io, S, E>
where
    Io: Read + Write + Unpin,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    E: Http2ServerConnExec<S::Future, B>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Keeps the deadline of the phase that the connection is in.
pub(crate) struct PhaseWatch {
    limits: Arc<ListenerLimits>,
    state: Arc<ConnectionState>,
    seen: ConnectionView,
    deadline: ConnectionDeadline,
    finishing: bool,
}

enum NextWake {
    /// hyper has something new to look at.
    Poll,
    /// Finish the request at hand and close.
    Finish,
    /// Close if nothing is left to write.
    Close,
    /// Refuse the request at hand, as far as that goes at once.
    Displace,
    Cut,
}

impl PhaseWatch {
    /// The first head must have come by `deadline`.
    pub(crate) fn new(
        deadline: Instant,
        limits: Arc<ListenerLimits>,
        state: Arc<ConnectionState>,
    ) -> Self {
        Self {
            seen: state.view(),
            deadline: ConnectionDeadline::at(deadline),
            finishing: false,
            limits,
            state,
        }
    }

    /// Polls the connection, and whatever its deadline or its orders ask for.
    pub(crate) fn poll_to_end<C: SteeredConnection>(
        &mut self,
        context: &mut Context<'_>,
        mut connection: Pin<&mut C>,
    ) -> Poll<ConnectionEnd> {
        self.state.listen(context.waker());
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(context) {
                return Poll::Ready(
                    result.map_or(ConnectionEnd::Broken, |()| ConnectionEnd::Closed),
                );
            }
            match ready!(self.poll_next(context)) {
                NextWake::Poll => {}
                NextWake::Finish => connection.as_mut().finish(),
                NextWake::Close => {
                    connection.as_mut().finish();
                    let closed = connection.as_mut().poll(context).is_ready();
                    return Poll::Ready(if closed {
                        ConnectionEnd::Closed
                    } else {
                        ConnectionEnd::Cut
                    });
                }
                NextWake::Displace => {
                    self.state.give_up(TransportRefusal::Displaced);
                    let _ = connection.as_mut().poll(context);
                    return Poll::Ready(ConnectionEnd::Cut);
                }
                NextWake::Cut => return Poll::Ready(ConnectionEnd::Cut),
            }
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<NextWake> {
        match self.obey() {
            Some(next) => Poll::Ready(next),
            None => {
                ready!(self.poll_deadline(context));
                Poll::Ready(self.overdue())
            }
        }
    }

    fn obey(&mut self) -> Option<NextWake> {
        match self.state.order() {
            ConnectionOrder::None => None,
            ConnectionOrder::Cut => Some(NextWake::Cut),
            ConnectionOrder::Drain if self.finishing => None,
            ConnectionOrder::Drain => {
                self.finishing = true;
                Some(NextWake::Finish)
            }
            ConnectionOrder::Shed if self.state.sheddable() => Some(NextWake::Close),
            ConnectionOrder::Displace if self.state.half_sent().rate().is_some() => {
                Some(NextWake::Displace)
            }
            order @ (ConnectionOrder::Shed | ConnectionOrder::Displace) => {
                self.state.decline(order);
                None
            }
        }
    }

    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let view = self.state.view();
        if view != self.seen {
            self.seen = view;
            let limit = self.limit();
            self.deadline.set(limit.map(|limit| Instant::now() + limit));
        }
        self.deadline.poll(context)
    }

    /// How long what was seen may last.
    fn limit(&self) -> Option<Duration> {
        match self.seen.phase {
            // The rest of an answer: the gate bounds it.
            ConnectionPhase::Waiting if self.seen.blocked => None,
            ConnectionPhase::Waiting if self.seen.head_begun => {
                Some(self.limits.header_read_timeout)
            }
            ConnectionPhase::Waiting => Some(self.limits.idle_timeout),
            ConnectionPhase::Running => self.limits.request_timeout,
            ConnectionPhase::Answering | ConnectionPhase::Tunnel => None,
            ConnectionPhase::Closing => Some(LINGER),
        }
    }

    /// What to do when it has lasted too long.
    fn overdue(&mut self) -> NextWake {
        self.deadline.set(None);
        match self.seen.phase {
            ConnectionPhase::Waiting if self.seen.head_begun => {
                self.state.refuse(TransportRefusal::HeadTooSlow, None);
                NextWake::Poll
            }
            ConnectionPhase::Waiting => NextWake::Close,
            ConnectionPhase::Running | ConnectionPhase::Answering | ConnectionPhase::Tunnel => {
                self.state.give_up(TransportRefusal::Overdue);
                NextWake::Poll
            }
            ConnectionPhase::Closing => NextWake::Cut,
        }
    }
}
