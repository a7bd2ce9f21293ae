//! Drives one connection: hyper between the gate and the service, the clock of
//! each phase, and the orders of the accept loop.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1::{Builder, Connection};
use hyper::service::HttpService;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::answer::Answers;
use crate::gate::Gate;
use crate::link::{Link, Order, Phase, View};
use crate::refusal::Refusal;
use crate::{Limits, Peer, Request};

/// How long a peer may take to close after the last answer, if it was still sending.
const LINGER: Duration = Duration::from_secs(2);

/// hyper's own bound, up to which it needs no memory for the field list.
const HYPER_MAX_HEADERS: usize = 100;

/// Serves one connection to its end.
pub(crate) async fn drive<Io, F, Fut, B>(
    io: Io,
    peer: Peer,
    limits: Arc<Limits>,
    link: Arc<Link>,
    answer: F,
) where
    Io: AsyncRead + AsyncWrite + Unpin,
    F: Fn(Request, Peer) -> Fut,
    Fut: Future<Output = Response<B>> + 'static,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let gate = Gate::new(io, Arc::clone(&limits), Arc::clone(&link));
    let service = Answers {
        answer,
        peer,
        limits: Arc::clone(&limits),
        link: Arc::clone(&link),
    };
    let connection = builder(&limits).serve_connection(TokioIo::new(gate), service);
    let mut connection = pin!(connection);
    let mut watch = Watch::new(limits, link);
    let end = poll_fn(|context| watch.poll_to_end(context, connection.as_mut())).await;
    tracing::trace!(?end, %peer.address, "connection ended");
}

fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    builder.max_header_size(limits.max_header_bytes);
    // A stand-in for a refused head has two fields.
    let max_headers = limits.max_headers.max(2);
    if max_headers != HYPER_MAX_HEADERS {
        builder.max_headers(max_headers);
    }
    builder.max_buf_size(limits.max_header_bytes.saturating_mul(2).max(64 * 1024));
    builder
}

/// How a connection ended.
#[derive(Debug)]
enum End {
    /// As HTTP has it.
    Closed,
    /// The stream failed, or the peer left in the middle.
    Broken,
    /// By order, or because the peer let a deadline pass.
    Cut,
}

/// hyper's connection, as far as it is steered from here.
trait Steered: Future<Output = hyper::Result<()>> {
    fn finish(self: Pin<&mut Self>);
}

impl<Io, S, B> Steered for Connection<Io, S>
where
    Io: Read + Write + Unpin,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Keeps the deadline of the phase that the connection is in.
struct Watch {
    limits: Arc<Limits>,
    link: Arc<Link>,
    seen: View,
    deadline: Option<Instant>,
    /// Left alone when a deadline moves away, which is nearly always: it goes
    /// off early once in a while and is set anew.
    alarm: Pin<Box<Sleep>>,
    finishing: bool,
}

enum Next {
    /// hyper has something new to look at.
    Poll,
    /// Finish the request at hand and close.
    Finish,
    /// Close if nothing is left to write.
    Close,
    Cut,
}

impl Watch {
    fn new(limits: Arc<Limits>, link: Arc<Link>) -> Self {
        let deadline = Instant::now() + limits.header_read_timeout;
        Self {
            seen: link.view(),
            deadline: Some(deadline),
            alarm: Box::pin(sleep_until(deadline)),
            finishing: false,
            limits,
            link,
        }
    }

    fn poll_to_end<C: Steered>(
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
            Order::Shed => {
                self.link.decline_shed();
                None
            }
        }
    }

    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let view = self.link.view();
        if view != self.seen {
            self.seen = view;
            self.deadline = self.limit().map(|limit| Instant::now() + limit);
        }
        let Some(deadline) = self.deadline else {
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

    /// How long what was seen may last.
    fn limit(&self) -> Option<Duration> {
        match self.seen.phase {
            // The rest of an answer: the gate bounds it.
            Phase::Waiting if self.seen.blocked => None,
            Phase::Waiting if self.seen.head_begun => Some(self.limits.header_read_timeout),
            Phase::Waiting => Some(self.limits.idle_timeout),
            Phase::Running => self.limits.request_timeout,
            Phase::Answering => None,
            Phase::Closing => Some(LINGER),
        }
    }

    /// What to do when it has lasted too long.
    fn overdue(&mut self) -> Next {
        self.deadline = None;
        match self.seen.phase {
            Phase::Waiting if self.seen.head_begun => {
                self.link.refuse(Refusal::HeadTooSlow);
                Next::Poll
            }
            Phase::Waiting => Next::Close,
            Phase::Running | Phase::Answering => {
                self.link.set_overdue();
                Next::Poll
            }
            Phase::Closing => Next::Cut,
        }
    }
}
