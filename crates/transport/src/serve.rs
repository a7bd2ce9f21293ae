//! The accept loop.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::{Limits, Request, RequestBody};

/// Who is at the other end of a connection, as the kernel says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer {
    /// The address that connected.
    pub address: SocketAddr,
    /// Our own address that it connected to.
    pub local: SocketAddr,
}

/// What became of the connections when the listener was shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Connections that were still answering when
    /// [`Limits::drain_timeout`] had passed, and were cut.
    pub cut: usize,
}

/// Serves HTTP/1.1 on `listener` with `answer` until `shutdown` is ready, then
/// lets the running requests finish.
pub async fn serve<F, Fut, B>(
    listener: TcpListener,
    limits: Limits,
    answer: F,
    shutdown: impl Future<Output = ()> + Send,
) -> Served
where
    F: Fn(Request, Peer) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = http::Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let limits = Arc::new(limits);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return Served { cut: 0 },
            accepted = listener.accept() => if let Ok((stream, address)) = accepted {
                tokio::spawn(connection(stream, address, Arc::clone(&limits), answer.clone()));
            },
        }
    }
}

async fn connection<F, Fut, B>(
    stream: TcpStream,
    address: SocketAddr,
    limits: Arc<Limits>,
    answer: F,
) where
    F: Fn(Request, Peer) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = http::Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let peer = Peer { address, local };
    let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
        let request = request.map(|body| RequestBody::new(body, &limits));
        let answering = answer(request, peer);
        async { Ok::<_, Infallible>(answering.await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, %address, "connection ended early");
    }
}
