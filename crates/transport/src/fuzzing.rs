//! Entry points for the fuzz targets. Not part of the public interface: it changes
//! without notice.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tokio::io::DuplexStream;
use tokio::sync::oneshot;

use crate::accept::AcceptConnections;
use crate::chunks::{ChunkProgress, ChunkedBody};
use crate::handshake::HandshakePolicy;
use crate::head::{BodyFraming, HeadEnd, judge};
use crate::serve::serve_on;
use crate::{ListenerLimits, Peer, Request, proxy_protocol, refused_page_request};

/// A request as the gate frames it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FramedRequest {
    /// Where its head ends.
    pub head: usize,
    /// Where its body lies, as far as it has come.
    pub body: Range<usize>,
    /// Whether that is in chunks.
    pub chunked: bool,
    /// Whether all of the body has come, and well-formed.
    pub whole: bool,
}

/// The request at the beginning of `bytes`, which come in pieces of `piece` bytes.
/// `None` if its head is refused or not complete.
pub fn frame(bytes: &[u8], piece: usize, limits: &ListenerLimits) -> Option<FramedRequest> {
    // What is refused is looked at too, for the page that sent it.
    let _ = refused_page_request::in_head(bytes);
    let head = head_end(bytes, piece, limits)?;
    let (body, chunked) = match judge(&bytes[..head], limits).ok()?.framing {
        BodyFraming::Length(length) => {
            let rest = bytes.len() - head;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            (Some(length).filter(|length| *length <= rest), false)
        }
        BodyFraming::Chunked => (chunks_end(&bytes[head..], piece, limits), true),
    };
    let end = body.map_or(bytes.len(), |length| head + length);
    Some(FramedRequest {
        head,
        body: head..end,
        chunked,
        whole: body.is_some(),
    })
}

fn head_end(bytes: &[u8], piece: usize, limits: &ListenerLimits) -> Option<usize> {
    let mut head_end = HeadEnd::default();
    let mut come = 0;
    while come < bytes.len() {
        come = bytes.len().min(come + piece);
        match head_end.find(&bytes[..come]).ok()? {
            Some(end) => return Some(end),
            None => head_end.may_grow(come, limits).ok()?,
        }
    }
    None
}

/// Where a body in chunks ends; `None` if it goes on, or is malformed.
fn chunks_end(bytes: &[u8], piece: usize, limits: &ListenerLimits) -> Option<usize> {
    let mut chunks = ChunkedBody::new(limits.max_header_bytes);
    let mut before = 0;
    for piece in bytes.chunks(piece) {
        match chunks.follow(piece).ok()? {
            ChunkProgress::Ended(end) => return Some(before + end),
            ChunkProgress::Open => before += piece.len(),
        }
    }
    None
}

/// What a header of the PROXY protocol at the beginning of `bytes` says, and how
/// much of them follows it. `None` if there is no such header.
pub fn proxy_header(bytes: &[u8]) -> Option<(Option<SocketAddr>, usize)> {
    let mut rest = bytes;
    let read = {
        let reading = pin!(proxy_protocol::read(&mut rest));
        reading.poll(&mut Context::from_waker(Waker::noop()))
    };
    match read {
        Poll::Ready(read) => Some((read.ok()?, rest.len())),
        Poll::Pending => None,
    }
}

/// Serves one connection, HTTP/1.1 or HTTP/2, until `over` says that it has ended.
pub async fn serve_stream<F, Fut>(
    stream: DuplexStream,
    limits: ListenerLimits,
    answer: F,
    over: oneshot::Receiver<()>,
) where
    F: Fn(Request, Peer) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let policy = HandshakePolicy {
        http2: true,
        ..HandshakePolicy::default()
    };
    let over = async {
        let _ = over.await;
    };
    serve_on(
        SingleConnection(Some(stream)),
        policy,
        limits,
        answer,
        None,
        over,
    )
    .await;
}

/// Accepts one connection and no other.
struct SingleConnection(Option<DuplexStream>);

impl AcceptConnections for SingleConnection {
    type Io = DuplexStream;

    fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<(DuplexStream, Peer)>> {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        match self.0.take() {
            Some(stream) => Poll::Ready(Ok((stream, Peer::new(address, address)))),
            None => Poll::Pending,
        }
    }
}
