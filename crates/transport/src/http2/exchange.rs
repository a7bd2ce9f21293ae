//! One request and its answer, in a task of its own, with their deadlines.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};

use super::streams::Streams;
use crate::Limits;
use crate::buffers::Buffered;
use crate::link::{Link, Phase};
use crate::pace::Pace;
use crate::refusal::Refusal;

/// What a request takes beside the parts of its answer, about: its task, and what a
/// service that asks others has read ahead of them.
const EXCHANGE: usize = 24 * 1024;

/// Runs what hyper makes of each request.
#[derive(Clone)]
pub(super) struct Exchanges {
    streams: Arc<Streams>,
    limits: Arc<Limits>,
}

impl Exchanges {
    pub(super) fn new(streams: Arc<Streams>, limits: Arc<Limits>) -> Self {
        Self { streams, limits }
    }
}

impl<Fut> Executor<Fut> for Exchanges
where
    Fut: Future<Output = ()> + Send + 'static,
{
    /// hyper calls the service and hands over the rest of the exchange right
    /// after, so the newest request is the one that this is about.
    fn execute(&self, future: Fut) {
        if let Some((link, head)) = self.streams.take_newest() {
            let course = Course::new(link, head, Arc::clone(&self.streams), &self.limits);
            tokio::spawn(Exchange { future, course });
        }
    }
}

pin_project! {
    struct Exchange<Fut> {
        #[pin]
        future: Fut,
        course: Course,
    }
}

impl<Fut: Future<Output = ()>> Future for Exchange<Fut> {
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
struct Course {
    link: Arc<Link>,
    head: usize,
    streams: Arc<Streams>,
    /// Until the service has answered.
    alarm: Option<Pin<Box<Sleep>>>,
    answer: Pace,
    given: usize,
    /// It has not begun, since others of the connection run.
    waits: bool,
    /// What it counts for among what lies here.
    taken: usize,
}

impl Course {
    fn new(link: Arc<Link>, head: usize, streams: Arc<Streams>, limits: &Limits) -> Self {
        Self {
            alarm: limits.request_timeout.map(|limit| Box::pin(sleep(limit))),
            answer: Pace::new(limits.write_timeout, limits.min_rate),
            given: 0,
            waits: streams.open_requests() > 1,
            taken: 0,
            link,
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
        let buffers = self.link.buffers();
        ready!(buffers.poll_room(Buffered::Running, context));
        buffers.add(Buffered::Running, EXCHANGE);
        (self.waits, self.taken) = (false, EXCHANGE);
        Poll::Ready(())
    }

    /// Notes what hyper has taken of the answer.
    fn settle(&mut self) {
        let given = self.link.given();
        let more = given - self.given;
        if more > 0 {
            self.given = given;
            self.answer.moved(more);
        }
    }

    /// Ready when something is late: true if the peer is, and the exchange is
    /// over; false if the service is, and will be answered for.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        match self.link.phase() {
            Phase::Running => {
                let Some(alarm) = &mut self.alarm else {
                    return Poll::Pending;
                };
                ready!(alarm.as_mut().poll(context));
                self.alarm = None;
                self.link.give_up(Refusal::Overdue);
                Poll::Ready(false)
            }
            Phase::Answering if self.link.held_back() => {
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

impl Drop for Course {
    fn drop(&mut self) {
        if self.taken > 0 {
            self.link.buffers().subtract(Buffered::Running, self.taken);
        }
        let answered = self.link.phase() != Phase::Running;
        self.streams.close(self.head, answered);
    }
}
