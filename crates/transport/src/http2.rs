//! HTTP/2 (RFC 9113): the same service, limits and refusals as over HTTP/1.1.
//!
//! h2 reads frames and fields, refuses what is malformed there, and bounds
//! resets and CONTINUATION floods. [`judge`] refuses the rest and makes of each
//! request what a service knows from HTTP/1.1. Every request runs in a task of
//! its own with its own deadlines ([`exchange`]); the connection has those that
//! hold between requests ([`watch`]). Neither server push nor CONNECT is offered.

mod exchange;
mod frames;
mod judge;
mod paced_stream;
mod streams;
mod watch;

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use self::exchange::ExchangeExecutor;
pub(crate) use self::frames::PREFACE;
use self::paced_stream::CONNECTION_WINDOW;
use self::paced_stream::PacedStream;
use self::streams::OpenStreams;
use self::watch::Http2Watch;
use crate::answer::{ListenerBody, PendingAnswer};
use crate::connection_state::ConnectionState;
use crate::handshake::HttpConnection;
use crate::refusal::TransportRefusal;
use crate::refused_page_request;
use crate::{ListenerLimits, Peer, Request, RequestBody};

/// How much of one request body, and of all on a connection, may be under way or
/// lie unread here before the peer must wait: enough for 5 MB a second over 100 ms,
/// and a body that is not read leaves half for the others.
const STREAM_WINDOW: u32 = 512 * 1024;

/// How much of one answer h2 takes before the peer has room for it.
const SEND_BUFFER: usize = 16 * 1024;

/// So many heads of the largest size may the requests that run on a connection
/// have together. A few bytes that refer to the dynamic table, sent for each of a
/// hundred streams, would fill the memory otherwise (RFC 7541 section 7.3).
const LARGEST_HEADS: usize = 8;

/// Streams that the peer resets before they were looked at, and that h2 resets
/// because they are malformed: above, the connection ends (CVE-2023-44487,
/// CVE-2025-8671).
const PENDING_RESETS: usize = 20;
const OWN_RESETS: usize = 100;

/// How long a peer may be silent while a request runs, and how long it may take
/// to say that it is still there.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_PATIENCE: Duration = Duration::from_secs(20);

/// Serves one connection to its end.
pub(crate) async fn drive<Io, F, Fut, B>(
    entered: HttpConnection<Io>,
    limits: Arc<ListenerLimits>,
    state: Arc<ConnectionState>,
    answer: F,
) where
    Io: AsyncRead + AsyncWrite + Unpin,
    F: Fn(Request, Peer) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let streams = Arc::new(OpenStreams::new(state));
    let exchanges = ExchangeExecutor::new(Arc::clone(&streams), Arc::clone(&limits));
    let io = PacedStream::new(entered.stream, &limits, Arc::clone(&streams));
    let service = Http2Service {
        answer,
        peer: entered.peer,
        limits: Arc::clone(&limits),
        streams: Arc::clone(&streams),
    };
    let connection = builder(exchanges, &limits).serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    let mut watch = Http2Watch::new(entered.deadline, limits, streams);
    let end = poll_fn(|context| watch.poll_to_end(context, connection.as_mut())).await;
    tracing::trace!(?end, %entered.peer.address, "connection ended");
}

fn builder(exchanges: ExchangeExecutor, limits: &ListenerLimits) -> Builder<ExchangeExecutor> {
    // Above, h2 answers itself, in words that no page can read; below, the judge does.
    let heads = limits.max_header_bytes.saturating_mul(2);
    let mut builder = Builder::new(exchanges);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(u32::try_from(heads).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(OWN_RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_PATIENCE);
    builder
}

/// The answer function, bound to one connection.
struct Http2Service<F> {
    answer: F,
    peer: Peer,
    limits: Arc<ListenerLimits>,
    streams: Arc<OpenStreams>,
}

impl<F, Fut, B> Service<http::Request<Incoming>> for Http2Service<F>
where
    F: Fn(Request, Peer) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Response<B>>,
    B: Body<Data = Bytes>,
{
    type Response = Response<ListenerBody<B>>;
    type Error = Infallible;
    type Future = PendingAnswer<F, Fut, B>;

    fn call(&self, request: http::Request<Incoming>) -> PendingAnswer<F, Fut, B> {
        let state = self.streams.open(self.peer, judge::size(&request));
        let asked = refused_page_request::by(&request);
        let judged = if self.streams.heads() > LARGEST_HEADS * self.limits.max_header_bytes {
            Err(TransportRefusal::HeadsTooLarge)
        } else if self.streams.exceeds_limit(&self.limits) {
            Err(TransportRefusal::Crowded)
        } else {
            judge::judge(request, &self.limits)
        };
        match judged {
            Ok(request) => {
                let talk = Arc::clone(&state);
                let request = request.map(|body| RequestBody::talking(body, &self.limits, talk));
                let answer = self.answer.clone();
                PendingAnswer::call(answer, request, self.peer, state, asked)
            }
            Err(refusal) => PendingAnswer::refuse(refusal, state, asked),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
