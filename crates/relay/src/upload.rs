//! The request body on its way to the upstream, and whose fault it is when it stops.

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

/// A request body. Its trailers go on only where the upstream can be told them, and
/// cleaned (RFC 9110 section 6.5.1).
pub struct Upload {
    /// Goes first: what was read of the body before.
    ahead: Option<Result<Frame<Bytes>, BoxError>>,
    /// There is no more, whatever the body says.
    ended: bool,
    body: UnsyncBoxBody<Bytes, BoxError>,
    idle: IdleTimer,
    progress: UploadProgress,
    trailers: Option<CleanTrailers>,
}

/// What may go on of trailers.
pub type CleanTrailers = Box<dyn Fn(&HeaderMap) -> HeaderMap + Send + Sync>;

/// How an [`Upload`] fares, for whoever waits for the answer to it.
#[derive(Clone)]
pub(crate) struct UploadProgress(Arc<Mutex<UploadPace>>);

struct UploadPace {
    stage: UploadStage,
    since: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum UploadStage {
    /// It is the upstream's turn: to take more, or to answer.
    Upstream,
    /// More was asked of the client and did not come yet.
    Client,
    /// The client broke off or paused for too long.
    Failed,
}

/// The client paused for too long.
#[derive(Debug, thiserror::Error)]
#[error("the request body paused for too long")]
struct UploadPaused;

impl Upload {
    /// A body as it arrives. A pause of `idle` while the upstream waits for
    /// more ends it.
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

    /// A body that is in memory, and so never pauses.
    pub fn whole(body: Bytes) -> Self {
        Self::streaming(Full::new(body), Duration::ZERO)
    }

    /// No body.
    pub fn none() -> Self {
        Self::whole(Bytes::new())
    }

    /// This body behind the part of it that was read already.
    #[must_use]
    pub fn after(mut self, read: Bytes) -> Self {
        self.ahead = Some(Ok(Frame::data(read)));
        self
    }

    /// This body with its trailers, as far as they are clean.
    #[must_use]
    pub fn with_trailers(mut self, clean: CleanTrailers) -> Self {
        self.trailers = Some(clean);
        self
    }

    /// This body, of which so much was looked at as is there: one that has ended
    /// already, though its head did not say so, is known to be empty.
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

    /// Says in the fields of a request what the HTTP client would not say of this
    /// body. `came` are the fields that the request came with.
    ///
    /// A length that came with a request without content goes on (RFC 9110 section
    /// 8.6). And content of unknown length goes on with any method, where the client
    /// would take it for none.
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

    /// What goes on of a part of the body.
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

    /// None is told of a body without content: over HTTP/2 the client would make a
    /// length of it for every method but a few. What is said of it is said in
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

/// The size of what has so many bytes ahead of it.
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

    /// Whether the body stopped for a reason that lies with the client.
    pub(crate) fn client_failed(&self) -> bool {
        self.pace().stage == UploadStage::Failed
    }

    /// Waits until the upstream has had its turn for `limit` at a stretch.
    pub(crate) async fn upstream_stalls(&self, limit: Duration) {
        loop {
            let deadline = self.upstream_deadline(limit);
            tokio::time::sleep_until(deadline).await;
            if self.upstream_deadline(limit) <= deadline {
                return;
            }
        }
    }

    /// When the upstream will have had its turn for `limit`, as far as can be
    /// said now.
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
