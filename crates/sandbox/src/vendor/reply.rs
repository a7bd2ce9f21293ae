//! The body of a reply: whole, streamed from the echo, cut, or none at all.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use countersign_relay::{AnswerBody, BoxError};
use http::Response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

/// The body of a reply.
pub(crate) enum VendorBody {
    Whole(Option<Bytes>),
    Streamed(AnswerBody),
    Cut(CutBody),
}

/// A part of a body, after which the connection breaks.
pub(crate) struct CutBody {
    /// What is sent, if anything.
    part: Option<Bytes>,
    /// How long the whole would be.
    whole: u64,
    /// The part was given, and can be on its way.
    given: bool,
}

impl VendorBody {
    pub(crate) fn whole(body: Bytes) -> Self {
        Self::Whole(Some(body).filter(|body| !body.is_empty()))
    }

    /// Nothing: the head waits for the body, and goes with it.
    pub(crate) fn lost() -> Self {
        Self::Cut(CutBody {
            part: None,
            whole: 1,
            given: false,
        })
    }
}

/// The same reply with half of its body.
pub(crate) async fn cut(response: Response<VendorBody>) -> Response<VendorBody> {
    let (parts, body) = response.into_parts();
    let whole = match body.collect().await {
        Ok(whole) => whole.to_bytes(),
        // It broke by itself, so there is nothing to add.
        Err(_) => return Response::from_parts(parts, VendorBody::lost()),
    };
    let part = Some(whole.slice(..whole.len() / 2)).filter(|part| !part.is_empty());
    let cut = CutBody {
        part,
        whole: (whole.len() as u64).max(1),
        given: false,
    };
    Response::from_parts(parts, VendorBody::Cut(cut))
}

impl CutBody {
    fn poll(&mut self, context: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(part) = self.part.take() {
            self.given = true;
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        if std::mem::take(&mut self.given) {
            // The part is written when nothing more is to be had.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err("a fault of the sandbox ends this reply".into())))
    }
}

impl Body for VendorBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Whole(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Self::Streamed(body) => {
                let polled = Pin::new(body).poll_frame(context);
                polled.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
            }
            Self::Cut(cut) => cut.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_none(),
            Self::Streamed(body) => body.is_end_stream(),
            Self::Cut(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, Bytes::len) as u64),
            Self::Streamed(body) => body.size_hint(),
            Self::Cut(cut) => SizeHint::with_exact(cut.whole),
        }
    }
}
