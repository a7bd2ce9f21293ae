//! One HTTP/2 request and its response, in a task of their own, with their deadlines.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};

use super::streams::OpenStreams;
use crate::ListenerLimits;
use crate::buffers::BufferKind;
use crate::connection_state::{ConnectionPhase, ConnectionState};
use crate::pace::TransferPace;
use crate::refusal::TransportRefusal;

/// What a request takes beside the parts of its answer, about: its task, and what a
/// service that asks others has read ahead of them.
const EXCHANGE: usize = 24 * 1024;

/// Runs what hyper makes of each request.
#[derive(Clone)]
pub(super) struct ExchangeExecutor {
    streams: Arc<OpenStreams>,
    limits: Arc<ListenerLimits>,
}

impl ExchangeExecutor {
    pub(super) fn new(streams: Arc<OpenStreams>, limits: Arc<ListenerLimits>) -> Self {
        Self { streams, limits }
    }
}

impl<Fut> Executor<Fut> for ExchangeExecutor
where
    Fut: Future<Output = ()> + Send + 'static,
{
    /// hyper calls the service and hands over the rest of the exchange right
    /// after, so the newest request is the one that this is about.
    fn execute(&self, future: Fut) {
        if let Some((state, head)) = self.streams.take_newest() {
            let course = ExchangeCourse::new(state, head, Arc::clone(&self.streams), &self.limits);
            tokio::spawn(TimedExchange { future, course });
        }
    }
}

pin_project! {
    struct TimedExchange<Fut> {
        #[pin]
        future: Fut,
        course: ExchangeCourse,
    }
}

impl<Fut: Future<Output = ()>> Future for TimedExchange<Fut> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if this.course.poll_begin(context).is_pending() {
            // Overdue, it is begun only to be answered for.
            let late = this.course.poll_late(context);
            if late.is_pending() {
                return Poll::Pending;
            }
        }
        loop {
            let ended = this.future.as_mut().poll(context).is_ready();
            this.course.settle();
            if ended || ready!(this.course.poll_late(context)) {
                // Dropped before its end it resets the stream.
                return Poll::Ready(());
            }
        }
    }
}

/// How far an exchange has come, and how long it may stay there.
struct ExchangeCourse {
    state: Arc<ConnectionState>,
    head: usize,
    streams: Arc<OpenStreams>,
    /// Until the service has answered.
    alarm: Option<Pin<Box<Sleep>>>,
    answer: TransferPace,
    given: usize,
    /// It has not begun, since others of the connection run.
    waits: bool,
    /// What it counts for among what lies here.
    taken: usize,
}

impl ExchangeCourse {
    fn new(
        state: Arc<ConnectionState>,
        head: usize,
        streams: Arc<OpenStreams>,
        limits: &ListenerLimits,
    ) -> Self {
        Self {
            alarm: limits.request_timeout.map(|limit| Box::pin(sleep(limit))),
            answer: TransferPace::new(limits.write_timeout, limits.min_rate),
            given: 0,
            waits: streams.open_requests() > 1,
            taken: 0,
            state,
            head,
            streams,
        }
    }

    /// Ready when the exchange may go on: beside others of its connection it waits
    /// until there is room for what it takes.
    fn poll_begin(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.waits {
            return Poll::Ready(());
        }
        let buffers = self.state.buffers();
        ready!(buffers.poll_room(BufferKind::Running, context));
        buffers.add(BufferKind::Running, EXCHANGE);
        (self.waits, self.taken) = (false, EXCHANGE);
        Poll::Ready(())
    }

    /// Notes what hyper has taken of the answer.
    fn settle(&mut self) {
        let given = self.state.given();
        let more = given - self.given;
        if more > 0 {
            self.given = given;
            self.answer.moved(more);
        }
    }

    /// Ready when something is late: true if the peer is, and the exchange is
    /// over; false if the service is, and will be answered for.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        match self.state.phase() {
            ConnectionPhase::Running => {
                let Some(alarm) = &mut self.alarm else {
                    return Poll::Pending;
                };
                ready!(alarm.as_mut().poll(context));
                self.alarm = None;
                self.state.give_up(TransportRefusal::Overdue);
                Poll::Ready(false)
            }
            ConnectionPhase::Answering if self.state.held_back() => {
                self.answer.poll_too_slow(context).map(|()| true)
            }
            _ => {
                // The service has the word: no time of the peer's.
                self.answer.moved(0);
                Poll::Pending
            }
        }
    }
}

impl Drop for ExchangeCourse {
    fn drop(&mut self) {
        if self.taken > 0 {
            self.state
                .buffers()
                .subtract(BufferKind::Running, self.taken);
        }
        let answered = self.state.phase() != ConnectionPhase::Running;
        self.streams.close(self.head, answered);
    }
}
