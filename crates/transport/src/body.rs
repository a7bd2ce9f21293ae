//! The request body: its bytes as they arrive, or the reason why they stopped.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::ListenerLimits;
use crate::body_pace::AwaitedBody;
use crate::buffers::{BufferKind, ConnectionBuffers};
use crate::connection_state::{ConnectionPhase, ConnectionState};
use crate::pace::TransferPace;

/// The body of a request, streaming.
///
/// It enforces [`ListenerLimits::body_timeout`] and [`ListenerLimits::min_rate`] while it is
/// polled; while nobody polls it the peer is held back and no clock runs. Over
/// HTTP/2 none runs either once the answer has begun: the two may be talking, and
/// the peer has nothing to say for now.
///
/// Trailer fields come as they are. A forged identity field could hide there (RFC
/// 9110, section 6.5.1), so whoever passes them on has to clean them.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    pace: TransferPace,
    /// That of a request which may be answered before its end.
    talk: Option<Arc<ConnectionState>>,
    awaited: AwaitedBody,
    buffers: Arc<ConnectionBuffers>,
}

impl RequestBody {
    pub(crate) fn new(
        incoming: Incoming,
        limits: &ListenerLimits,
        state: Arc<ConnectionState>,
    ) -> Self {
        Self {
            incoming,
            pace: TransferPace::new(limits.body_timeout, limits.min_rate),
            talk: None,
            buffers: Arc::clone(state.buffers()),
            awaited: AwaitedBody::new(state),
        }
    }

    /// One that may go on for as long as its answer does.
    pub(crate) fn talking(
        incoming: Incoming,
        limits: &ListenerLimits,
        state: Arc<ConnectionState>,
    ) -> Self {
        Self {
            talk: Some(Arc::clone(&state)),
            ..Self::new(incoming, limits, state)
        }
    }

    /// Whether the peer may be silent, since it is being answered.
    fn may_pause(&self) -> bool {
        let phase = self.talk.as_ref().map(|state| state.phase());
        phase == Some(ConnectionPhase::Answering)
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
    /// The chunked framing is broken (RFC 9112 section 7.1); 400 fits.
    #[error("the request body is framed wrongly")]
    Malformed,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let buffers = Arc::clone(&self.buffers);
        if buffers
            .poll_room(BufferKind::Uploaded, context)
            .is_pending()
        {
            // It is not the peer that is slow.
            self.pace.moved(0);
            self.awaited.moved(0);
            return Poll::Pending;
        }
        match Pin::new(&mut self.incoming).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let size = frame.data_ref().map_or(0, Bytes::len);
                self.pace.moved(size);
                self.awaited.moved(size);
                buffers.subtract(BufferKind::Unread, size);
                let hold = |data| buffers.hold(BufferKind::Uploaded, data);
                Poll::Ready(Some(Ok(frame.map_data(hold))))
            }
            Poll::Ready(Some(Err(error))) => {
                self.awaited.moved(0);
                Poll::Ready(Some(Err(cause(&error))))
            }
            Poll::Ready(None) => {
                self.awaited.moved(0);
                Poll::Ready(None)
            }
            Poll::Pending if self.may_pause() => Poll::Pending,
            Poll::Pending => {
                self.awaited.wait();
                let late = self.pace.poll_too_slow(context);
                late.map(|()| Some(Err(BodyError::TimedOut)))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Response;
    use http_body_util::Full;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::testing::{Client, House, text};
    use crate::{Peer, Request};

    const FIVE: &str = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n";
    const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";

    /// Says what collecting up to eight bytes came to.
    async fn report(request: Request, _: Peer) -> Response<Full<Bytes>> {
        text(&format!("{:?}", collect(request.into_body(), 8).await))
    }

    fn connect() -> (House, Client) {
        let limits = ListenerLimits {
            body_timeout: Duration::from_secs(20),
            min_rate: 1,
            request_timeout: None,
            ..ListenerLimits::default()
        };
        let house = House::open(limits, report);
        let client = house.connect();
        (house, client)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_collected_from_its_pieces() {
        let (_house, mut client) = connect();
        for request in [FIVE, FIVE] {
            client.send(request).await;
            for piece in ["he", "l", "lo"] {
                client.send(piece).await;
                sleep(Duration::from_secs(5)).await;
            }
            assert_eq!(client.answer().await.body, r#"Ok(b"hello")"#);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_pauses_for_too_long_times_out_and_closes() {
        let (_house, mut client) = connect();
        client.send(FIVE).await;
        client.send("hell").await;
        let answer = client.answer().await;
        assert_eq!(answer.body, "Err(Body(TimedOut))");
        assert!(answer.closes());
        assert_eq!(client.rest().await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_times_out_though_it_never_pauses_for_long() {
        let (_house, mut client) = connect();
        client.send(FIVE).await;
        let began = Instant::now();
        client.send("h").await;
        sleep(Duration::from_secs(15)).await;
        client.send("e").await;
        assert_eq!(client.answer().await.body, "Err(Body(TimedOut))");
        assert_eq!(began.elapsed().as_secs(), 22, "20, and one for each byte");
    }

    #[tokio::test(start_paused = true)]
    async fn a_length_above_the_limit_is_refused_before_a_byte_came() {
        let (_house, mut client) = connect();
        client
            .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n")
            .await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.body.as_str(), answer.closes()),
            ("Err(TooLarge)", true)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_awaited_body_above_the_limit_is_never_asked_for() {
        let (_house, mut client) = connect();
        client
            .send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n")
            .await;
        client.send("Content-Length: 9\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, "Err(TooLarge)")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn chunks_above_the_limit_are_refused_as_they_come() {
        for chunks in [
            "9\r\n123456789\r\n",
            "4\r\n1234\r\n5\r\n12345\r\n",
            "1\r\n1\r\n1\r\n2\r\n7\r\n3456789",
        ] {
            let (_house, mut client) = connect();
            client.send(CHUNKED).await;
            client.send(chunks).await;
            assert_eq!(client.answer().await.body, "Err(TooLarge)", "{chunks:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_of_exactly_the_limit_is_collected() {
        let (_house, mut client) = connect();
        client.send(CHUNKED).await;
        client.send("3\r\n123\r\n5\r\n45678\r\n0\r\n\r\n").await;
        assert_eq!(client.answer().await.body, r#"Ok(b"12345678")"#);
    }

    #[tokio::test(start_paused = true)]
    async fn broken_chunks_are_told_from_a_slow_body() {
        let (_house, mut client) = connect();
        client.send(CHUNKED).await;
        client.send("3\r\n123\n\n").await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.body.as_str(), answer.closes()),
            ("Err(Body(Malformed))", true)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_cut_off_says_so() {
        for request in [FIVE, CHUNKED] {
            let (told, mut outcome) = tokio::sync::mpsc::unbounded_channel();
            let house = House::open(ListenerLimits::default(), move |request: Request, _| {
                let told = told.clone();
                async move {
                    told.send(collect(request.into_body(), 8).await).unwrap();
                    text("")
                }
            });
            let mut client = house.connect();
            client.send(request).await;
            client.send("3\r\n").await;
            drop(client);
            assert_eq!(outcome.recv().await, Some(Err(BodyError::CutOff.into())));
        }
    }
}
