//! The deadlines of one connection, phase by phase, and its obedience to the
//! accept loop.

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

use crate::Limits;
use crate::deadline::Deadline;
use crate::link::{Link, Order, Phase, View};
use crate::refusal::Refusal;

/// How long a peer may take to close after the last answer, if it was still sending.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// As HTTP has it.
    Closed,
    /// The stream failed, or the peer left in the middle.
    Broken,
    /// By order, or because the peer let a deadline pass.
    Cut,
}

/// hyper's connection, as far as it is steered from here.
pub(crate) trait Steered: Future<Output = hyper::Result<()>> {
    fn finish(self: Pin<&mut Self>);
}

impl<Io, S, B, E> Steered for http2::Connection<Io, S, E>
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
pub(crate) struct Watch {
    limits: Arc<Limits>,
    link: Arc<Link>,
    seen: View,
    deadline: Deadline,
    finishing: bool,
}

enum Next {
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

impl Watch {
    /// The first head must have come by `deadline`.
    pub(crate) fn new(deadline: Instant, limits: Arc<Limits>, link: Arc<Link>) -> Self {
        Self {
            seen: link.view(),
            deadline: Deadline::at(deadline),
            finishing: false,
            limits,
            link,
        }
    }

    /// Polls the connection, and whatever its deadline or its orders ask for.
    pub(crate) fn poll_to_end<C: Steered>(
        &mut self,
        context: &mut Context<'_>,
        mut connection: Pin<&mut C>,
    ) -> Poll<End> {
        self.link.listen(context.waker());
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(context) {
                return Poll::Ready(result.map_or(End::Broken, |()| End::Closed));
            }
            match ready!(self.poll_next(context)) {
                Next::Poll => {}
                Next::Finish => connection.as_mut().finish(),
                Next::Close => {
                    connection.as_mut().finish();
                    let closed = connection.as_mut().poll(context).is_ready();
                    return Poll::Ready(if closed { End::Closed } else { End::Cut });
                }
                Next::Displace => {
                    self.link.give_up(Refusal::Displaced);
                    let _ = connection.as_mut().poll(context);
                    return Poll::Ready(End::Cut);
                }
                Next::Cut => return Poll::Ready(End::Cut),
            }
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        match self.obey() {
            Some(next) => Poll::Ready(next),
            None => {
                ready!(self.poll_deadline(context));
                Poll::Ready(self.overdue())
            }
        }
    }

    fn obey(&mut self) -> Option<Next> {
        match self.link.order() {
            Order::None => None,
            Order::Cut => Some(Next::Cut),
            Order::Drain if self.finishing => None,
            Order::Drain => {
                self.finishing = true;
                Some(Next::Finish)
            }
            Order::Shed if self.link.sheddable() => Some(Next::Close),
            Order::Displace if self.link.half_sent().rate().is_some() => Some(Next::Displace),
            order @ (Order::Shed | Order::Displace) => {
                self.link.decline(order);
                None
            }
        }
    }

    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let view = self.link.view();
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
            Phase::Waiting if self.seen.blocked => None,
            Phase::Waiting if self.seen.head_begun => Some(self.limits.header_read_timeout),
            Phase::Waiting => Some(self.limits.idle_timeout),
            Phase::Running => self.limits.request_timeout,
            Phase::Answering | Phase::Tunnel => None,
            Phase::Closing => Some(LINGER),
        }
    }

    /// What to do when it has lasted too long.
    fn overdue(&mut self) -> Next {
        self.deadline.set(None);
        match self.seen.phase {
            Phase::Waiting if self.seen.head_begun => {
                self.link.refuse(Refusal::HeadTooSlow, None);
                Next::Poll
            }
            Phase::Waiting => Next::Close,
            Phase::Running | Phase::Answering | Phase::Tunnel => {
                self.link.give_up(Refusal::Overdue);
                Next::Poll
            }
            Phase::Closing => Next::Cut,
        }
    }
}
