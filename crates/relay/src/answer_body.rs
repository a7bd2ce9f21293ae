//! The body of a response: streamed from the upstream as it arrives, or one of our own.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use metrics::Counter;

use crate::headers;
use crate::idle::IdleTimer;
use crate::upload::after;

/// The body of an answer: streamed from the upstream as it arrives, or one of our own.
pub struct AnswerBody(AnswerSource);

enum AnswerSource {
    Whole(Option<Bytes>),
    Upstream(StreamingAnswer),
}

struct StreamingAnswer {
    /// Sent first: the part of the body that was read before.
    ahead: Bytes,
    incoming: Incoming,
    /// Which trailer fields the client gets; none without it.
    trailers: Option<fn(&str) -> bool>,
    idle: IdleTimer,
    watch: AnswerWatch,
}

/// Reports an answer that breaks off after its outcome was reported.
pub(crate) struct AnswerWatch {
    pub(crate) upstream: Arc<str>,
    pub(crate) request_id: Box<str>,
    pub(crate) counter: Counter,
}

/// The upstream broke off in its answer. The client cannot be sent an error any more: its
/// connection has to break, so that it does not take a part for the whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseBodyError {
    /// It sent nothing for too long.
    #[error("the upstream stopped sending in the middle of its answer")]
    Stalled,
    /// The connection ended early, or its framing is broken.
    #[error("the upstream closed the connection in the middle of its answer: {0}")]
    CutOff(String),
}

impl AnswerBody {
    /// A body of our own, which may be empty.
    pub fn whole(body: Bytes) -> Self {
        Self(AnswerSource::Whole(
            Some(body).filter(|body| !body.is_empty()),
        ))
    }

    /// Waits through pauses of up to `idle`, and reports an answer that breaks off to
    /// `watch`. Of the trailers, those that `trailers` keeps are forwarded.
    pub(crate) fn upstream(
        incoming: Incoming,
        trailers: Option<fn(&str) -> bool>,
        idle: Duration,
        watch: AnswerWatch,
    ) -> Self {
        Self(AnswerSource::Upstream(StreamingAnswer {
            ahead: Bytes::new(),
            incoming,
            trailers,
            idle: IdleTimer::new(idle),
            watch,
        }))
    }

    /// Reads the body to inspect it, and leaves it unchanged. `Some` if the whole body
    /// has at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// The upstream breaks off.
    pub async fn peek(&mut self, limit: usize) -> Result<Option<Bytes>, ResponseBodyError> {
        let mut read = BytesMut::new();
        let mut ended = false;
        while read.len() <= limit && !ended {
            match self.frame().await.transpose()? {
                Some(frame) => read.extend_from_slice(&frame.into_data().unwrap_or_default()),
                None => ended = true,
            }
        }
        let read = read.freeze();
        match &mut self.0 {
            AnswerSource::Whole(body) => *body = Some(read.clone()).filter(|it| !it.is_empty()),
            AnswerSource::Upstream(streaming) => streaming.ahead = read.clone(),
        }
        Ok((read.len() <= limit).then_some(read))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = ResponseBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBodyError>>> {
        match &mut self.0 {
            AnswerSource::Whole(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            AnswerSource::Upstream(streaming) => {
                let polled = streaming.poll_frame(context);
                if let Poll::Ready(Some(Err(broken))) = &polled {
                    streaming.watch.saw(broken);
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            AnswerSource::Whole(body) => body.is_none(),
            AnswerSource::Upstream(streaming) => {
                streaming.ahead.is_empty() && streaming.incoming.is_end_stream()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            AnswerSource::Whole(body) => {
                SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64))
            }
            AnswerSource::Upstream(streaming) => streaming.size_hint(),
        }
    }
}

impl AnswerWatch {
    fn saw(&self, broken: &ResponseBodyError) {
        self.counter.increment(1);
        let (api, request_id) = (&*self.upstream, &*self.request_id);
        tracing::warn!(api, request_id, "{broken}");
    }
}

impl StreamingAnswer {
    /// The part of the body that the client gets. An identity field could hide among
    /// trailers (RFC 9110 section 6.5.1).
    fn passed_on(&self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        let Some(fields) = frame.trailers_ref() else {
            return Some(frame);
        };
        let clean = headers::trailing(fields, self.trailers?);
        (!clean.is_empty()).then(|| Frame::trailers(clean))
    }

    fn size_hint(&self) -> SizeHint {
        after(self.ahead.len() as u64, &self.incoming.size_hint())
    }

    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBodyError>>> {
        if !self.ahead.is_empty() {
            let ahead = std::mem::take(&mut self.ahead);
            return Poll::Ready(Some(Ok(Frame::data(ahead))));
        }
        loop {
            match Pin::new(&mut self.incoming).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.idle.moved();
                    if let Some(frame) = self.passed_on(frame) {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(Err(ResponseBodyError::CutOff(error.to_string()))));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    let over = self.idle.poll_over(context);
                    return over.map(|()| Some(Err(ResponseBodyError::Stalled)));
                }
            }
        }
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            AnswerSource::Whole(_) => "AnswerBody::Whole",
            AnswerSource::Upstream(_) => "AnswerBody::Upstream",
        })
    }
}
