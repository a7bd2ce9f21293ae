//! Connections to the upstream, which report what happened to the requests sent on them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use countersign_outbound::{BoxError, ServerConnector, ServerStream};
use http::{Extensions, Uri};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tower_service::Service;

use super::causes;

/// How much may be read ahead over all connections to an upstream. hyper reads one more
/// piece of each answer than it was asked for, however long its client takes nothing.
const READ_AHEAD: usize = 4 * 1024 * 1024;

/// The shortest piece: one byte less than hyper's first buffer, so that it does not
/// allocate more.
const SHORTEST_READ: usize = 8 * 1024 - 1;

/// Connects to this one upstream, whatever the target of a request is.
#[derive(Clone)]
pub(super) struct UpstreamConnector {
    connector: ServerConnector,
    upstream: Uri,
    /// Whether HTTP/2 is used without negotiation.
    http2: bool,
    open: Arc<OpenMark>,
}

/// Each connection holds a clone of this, so that their number is known.
struct OpenMark;

/// A connection to the upstream.
pub(super) struct UpstreamConnection {
    wire: ServerStream,
    told: ConnectionHistory,
    open: Arc<OpenMark>,
}

/// What a connection reports to whoever has a request on it.
#[derive(Clone)]
pub(super) struct ConnectionHistory(Arc<ConnectionSigns>);

struct ConnectionSigns {
    http2: bool,
    made_at: Instant,
    /// A request on it has ended.
    used: AtomicBool,
    /// Something arrived since the last byte was written.
    heard: AtomicBool,
}

impl UpstreamConnector {
    pub(super) fn new(connector: ServerConnector, upstream: Uri, http2: bool) -> Self {
        Self {
            connector,
            upstream,
            http2,
            open: Arc::new(OpenMark),
        }
    }
}

/// How much is read from a connection at a time: the more connections there are, the
/// less.
fn longest_read(connections: usize) -> usize {
    (READ_AHEAD / connections.max(1)).max(SHORTEST_READ)
}

/// Whether a request that began then was sent over a reused connection, and lost with it
/// before any part of an answer arrived. A connection that was opened before the request
/// began counts as reused, too: it was opened for another request, which then found a
/// free one. Over HTTP/2 an upstream says so itself: it goes away, or refuses the stream
/// (RFC 9113 section 8.7).
pub(super) fn is_lost(error: &legacy::Error, began: Instant) -> bool {
    let Some(connected) = error.connect_info() else {
        return false;
    };
    let mut extras = Extensions::new();
    connected.get_extras(&mut extras);
    let Some(told) = extras.get::<ConnectionHistory>() else {
        return false;
    };
    let kept = told.end_request() || told.0.made_at < began;
    let said = causes(error).find_map(|cause| cause.downcast_ref::<h2::Error>());
    kept && match said {
        Some(said) if said.is_reset() => {
            said.is_remote() && said.reason() == Some(h2::Reason::REFUSED_STREAM)
        }
        Some(said) => said.is_io() || said.is_go_away() && said.is_remote(),
        None => told.0.http2 || !told.has_heard(),
    }
}

impl ConnectionHistory {
    /// Records that a request has ended, and returns whether another one had ended
    /// before.
    pub(super) fn end_request(&self) -> bool {
        self.0.used.swap(true, Ordering::Relaxed)
    }

    /// Whether something arrived since the last byte was written: over HTTP/1.1, a part
    /// of the answer to the last request.
    fn has_heard(&self) -> bool {
        self.0.heard.load(Ordering::Relaxed)
    }
}

impl Service<Uri> for UpstreamConnector {
    type Response = TokioIo<UpstreamConnection>;
    type Error = BoxError;
    type Future =
        Pin<Box<dyn Future<Output = Result<TokioIo<UpstreamConnection>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, _target: Uri) -> Self::Future {
        let connecting = self.connector.call(self.upstream.clone());
        let http2 = self.http2;
        let open = Arc::clone(&self.open);
        Box::pin(async move {
            let wire = connecting.await?.into_inner();
            let signs = ConnectionSigns {
                http2: http2 || wire.connected().is_negotiated_h2(),
                made_at: Instant::now(),
                used: AtomicBool::new(false),
                heard: AtomicBool::new(false),
            };
            let told = ConnectionHistory(Arc::new(signs));
            Ok(TokioIo::new(UpstreamConnection { wire, told, open }))
        })
    }
}

impl Connection for UpstreamConnection {
    fn connected(&self) -> Connected {
        self.wire.connected().extra(self.told.clone())
    }
}

impl AsyncRead for UpstreamConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = longest_read(Arc::strong_count(&self.open));
        let most = most.min(into.remaining());
        let mut piece = ReadBuf::new(into.initialize_unfilled_to(most));
        ready!(Pin::new(&mut self.wire).poll_read(context, &mut piece))?;
        let read = piece.filled().len();
        into.advance(read);
        if read > 0 {
            self.told.0.heard.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for UpstreamConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.told.0.heard.store(false, Ordering::Relaxed);
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.told.0.heard.store(false, Ordering::Relaxed);
        Pin::new(&mut self.wire).poll_write_vectored(context, slices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_connections_read_as_much_as_comes_and_many_little() {
        assert!(longest_read(50) >= 64 * 1024);
        for connections in [100, 300, 500] {
            let all = connections * longest_read(connections);
            assert!(all <= READ_AHEAD, "{connections} read {all} ahead");
        }
        assert_eq!(longest_read(1_000_000), SHORTEST_READ);
    }
}
