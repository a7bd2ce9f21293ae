//! The request body: bytes as they arrive, or the reason why they stopped.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::Limits;
use crate::pace::Pace;

/// The body of a request, streaming.
///
/// It enforces [`Limits::body_timeout`] and [`Limits::min_rate`] while it is
/// polled; while nobody polls it the peer is held back and no clock runs.
/// Trailer fields are read and dropped (RFC 9110, section 6.5.1): nobody here
/// needs one, and a forged identity field could hide there.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    pace: Pace,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, limits: &Limits) -> Self {
        Self {
            incoming,
            pace: Pace::new(limits.body_timeout, limits.min_rate),
        }
    }
}

/// Why a request body ended before its end. The connection closes after the
/// answer in every case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The peer paused for too long or was too slow; 408 fits.
    #[error("the request body came too slowly")]
    TimedOut,
    /// The connection ended first; no answer can reach the peer.
    #[error("the request body was cut off")]
    CutOff,
    /// The chunked framing is broken (RFC 9112, section 7.1); 400 fits.
    #[error("the request body is not framed as it should be")]
    Malformed,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            match Pin::new(&mut self.incoming).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        self.pace.moved(data.len());
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    Err(_trailers) => {}
                },
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(cause(&error)))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    return self
                        .pace
                        .poll_too_slow(context)
                        .map(|()| Some(Err(BodyError::TimedOut)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

fn cause(error: &hyper::Error) -> BodyError {
    let kind = error
        .source()
        .and_then(|source| source.downcast_ref())
        .map(io::Error::kind);
    match kind {
        Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => BodyError::Malformed,
        _ => BodyError::CutOff,
    }
}

/// Why [`collect`] has no bytes to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// The body is longer than the limit; 413 fits.
    #[error("the request body is longer than allowed")]
    TooLarge,
    /// The body ended before its end.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// Reads the whole body, which must not exceed `limit` bytes.
///
/// A `Content-Length` above the limit is refused before a byte is read; never
/// more than `limit` bytes and one piece are held.
pub async fn collect(mut body: RequestBody, limit: usize) -> Result<Bytes, CollectError> {
    if body.size_hint().lower() > limit as u64 {
        return Err(CollectError::TooLarge);
    }
    let Some(first) = next(&mut body, limit).await? else {
        return Ok(Bytes::new());
    };
    let Some(second) = next(&mut body, limit - first.len()).await? else {
        return Ok(first);
    };
    let mut whole = BytesMut::with_capacity(first.len() + second.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    while let Some(piece) = next(&mut body, limit - whole.len()).await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// The next piece, if `room` bytes can hold it.
async fn next(body: &mut RequestBody, room: usize) -> Result<Option<Bytes>, CollectError> {
    let Some(frame) = body.frame().await.transpose()? else {
        return Ok(None);
    };
    let piece = frame.into_data().unwrap_or_default();
    if piece.len() > room {
        return Err(CollectError::TooLarge);
    }
    Ok(Some(piece))
}
