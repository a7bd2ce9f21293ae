//! The request body on its way to the upstream, and who is at fault when it stops.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use countersign_outbound::tell_no_content;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;

use crate::idle::IdleTimer;

pub use countersign_outbound::BoxError;

/// A request body. Its trailers are forwarded only if the upstream can receive them, and
/// only in part (RFC 9110 section 6.5.1).
pub struct Upload {
    /// Sent first: the part of the body that was read before.
    ahead: Option<Result<Frame<Bytes>, BoxError>>,
    /// Nothing more follows, whatever the body says.
    ended: bool,
    body: UnsyncBoxBody<Bytes, BoxError>,
    idle: IdleTimer,
    progress: UploadProgress,
    trailers: Option<FilteredTrailers>,
}

/// Which trailers may be forwarded.
pub type FilteredTrailers = Box<dyn Fn(&HeaderMap) -> HeaderMap + Send + Sync>;

/// The progress of an [`Upload`], for whoever waits for the answer to it.
#[derive(Clone)]
pub(crate) struct UploadProgress(Arc<Mutex<UploadPace>>);

struct UploadPace {
    stage: UploadStage,
    since: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum UploadStage {
    /// The upstream's turn: it has to take more, or to answer.
    Upstream,
    /// The client's turn: more was read, and nothing has arrived yet.
    Client,
    /// The client broke off or paused for too long.
    Failed,
}

/// The client paused for too long.
#[derive(Debug, thiserror::Error)]
#[error("the request body paused for too long")]
struct UploadPaused;

impl Upload {
    /// A body as it arrives. If the client pauses for `idle` while the upstream waits for
    /// more, the body ends.
    pub fn streaming<B>(body: B, idle: Duration) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self {
            ahead: None,
            ended: false,
            body: body.map_err(Into::into).boxed_unsync(),
            idle: IdleTimer::new(idle),
            progress: UploadProgress::new(),
            trailers: None,
        }
    }

    /// A body in memory, which never pauses.
    pub fn whole(body: Bytes) -> Self {
        Self::streaming(Full::new(body), Duration::ZERO)
    }

    /// No body.
    pub fn none() -> Self {
        Self::whole(Bytes::new())
    }

    /// This body, preceded by the part of it that was read already.
    #[must_use]
    pub fn after(mut self, read: Bytes) -> Self {
        self.ahead = Some(Ok(Frame::data(read)));
        self
    }

    /// This body with those of its trailers that may be forwarded.
    #[must_use]
    pub fn with_trailers(mut self, clean: FilteredTrailers) -> Self {
        self.trailers = Some(clean);
        self
    }

    /// This body, after looking at what has arrived so far: if it has ended already,
    /// though its head did not say so, it is known to be empty.
    pub async fn looked_at(mut self) -> Self {
        if self.is_end_stream() || self.size_hint().exact().is_some() {
            return self;
        }
        let first = poll_fn(|context| Poll::Ready(Pin::new(&mut self).poll_frame(context))).await;
        match first {
            Poll::Ready(None) => self.ended = true,
            Poll::Ready(Some(first)) => self.ahead = Some(first),
            Poll::Pending => {}
        }
        self
    }

    /// Adds the fields about this body that the HTTP client would not write. `came` are
    /// the fields that arrived with the request.
    ///
    /// A length that arrived with a request without content is forwarded (RFC 9110
    /// section 8.6), and content of unknown length is forwarded with any method, even if
    /// the HTTP client would assume there is none.
    pub fn tell_framing(&self, method: &Method, came: &HeaderMap, fields: &mut HeaderMap) {
        if !self.is_end_stream() {
            if self.size_hint().exact().is_none() && [Method::GET, Method::HEAD].contains(method) {
                fields.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
        } else if came.contains_key(CONTENT_LENGTH) {
            fields.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        } else {
            tell_no_content(method, fields);
        }
    }

    /// The part of the body that is forwarded.
    fn passed_on(&self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        match (frame.trailers_ref(), &self.trailers) {
            (None, _) => Some(frame),
            (Some(_), None) => None,
            (Some(fields), Some(clean)) => {
                let clean = clean(fields);
                (!clean.is_empty()).then(|| Frame::trailers(clean))
            }
        }
    }

    pub(crate) fn progress(&self) -> UploadProgress {
        self.progress.clone()
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(ahead) = self.ahead.take() {
            return Poll::Ready(Some(ahead));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        loop {
            let polled = Pin::new(&mut self.body).poll_frame(context);
            let Poll::Ready(frame) = polled else {
                self.progress.turn_to(UploadStage::Client);
                let paused = self.idle.poll_over(context);
                return paused.map(|()| {
                    self.progress.turn_to(UploadStage::Failed);
                    Some(Err(UploadPaused.into()))
                });
            };
            self.idle.moved();
            let stage = match frame {
                Some(Err(_)) => UploadStage::Failed,
                _ => UploadStage::Upstream,
            };
            self.progress.turn_to(stage);
            let frame = match frame {
                Some(Ok(frame)) => frame,
                ended => return Poll::Ready(ended),
            };
            if let Some(frame) = self.passed_on(frame) {
                return Poll::Ready(Some(Ok(frame)));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_none() && (self.ended || self.body.is_end_stream())
    }

    /// Without a body there is no hint: over HTTP/2 the HTTP client would turn it into a
    /// length for all but a few methods. What has to be stated is in
    /// [`Upload::tell_framing`].
    fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() {
            return SizeHint::new();
        }
        let ahead = match &self.ahead {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        after(ahead as u64, &self.body.size_hint())
    }
}

/// The size of a body with so many bytes in front of it.
pub(crate) fn after(ahead: u64, rest: &SizeHint) -> SizeHint {
    let mut whole = SizeHint::new();
    whole.set_lower(rest.lower() + ahead);
    if let Some(upper) = rest.upper() {
        whole.set_upper(upper + ahead);
    }
    whole
}

impl UploadProgress {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(UploadPace {
            stage: UploadStage::Upstream,
            since: Instant::now(),
        })))
    }

    /// Whether the body stopped for a reason on the client's side.
    pub(crate) fn client_failed(&self) -> bool {
        self.pace().stage == UploadStage::Failed
    }

    /// Waits until it has been the upstream's turn for `limit` without a break.
    pub(crate) async fn upstream_stalls(&self, limit: Duration) {
        loop {
            let deadline = self.upstream_deadline(limit);
            tokio::time::sleep_until(deadline).await;
            if self.upstream_deadline(limit) <= deadline {
                return;
            }
        }
    }

    /// When it will have been the upstream's turn for `limit`, as far as is known now.
    fn upstream_deadline(&self, limit: Duration) -> Instant {
        let pace = self.pace();
        match pace.stage {
            UploadStage::Upstream => pace.since + limit,
            UploadStage::Client | UploadStage::Failed => Instant::now() + limit,
        }
    }

    fn turn_to(&self, stage: UploadStage) {
        let mut pace = self.pace();
        if stage == UploadStage::Upstream || pace.stage != stage {
            *pace = UploadPace {
                stage,
                since: Instant::now(),
            };
        }
    }

    fn pace(&self) -> MutexGuard<'_, UploadPace> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
