//! Connections to a server: TCP, and TLS over it where its URL says so.
//!
//! Name, TCP and TLS share one time limit.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use crate::Distrust;

/// Any error, as the HTTP client wants it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// HTTP/2 over TLS, in ALPN (RFC 9113 section 3.2).
pub const H2: &[u8] = b"h2";
/// HTTP/1.1 in ALPN (RFC 7301 section 6).
pub const HTTP_1_1: &[u8] = b"http/1.1";

/// How long nothing moves on a connection before the other end is probed, how often it
/// is then, and how many probes it may leave unanswered.
const PROBED_AFTER: Duration = Duration::from_secs(20);
const PROBED_EVERY: Duration = Duration::from_secs(10);
const PROBES: u32 = 4;

/// Makes connections to one server.
#[derive(Clone)]
pub struct Connector {
    tcp: HttpConnector,
    tls: Option<Tls>,
    limit: Duration,
}

/// How to speak TLS, and the name that has to be certified.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// No connection was made within the limit.
#[derive(Debug, thiserror::Error)]
#[error("no connection in time")]
pub struct TooSlow;

impl Connector {
    /// Connects within `limit`, with TLS or in the open.
    pub fn new(tls: Option<Tls>, limit: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(limit));
        // A server that is gone without a word is found out by the system: HTTP/2
        // has pings, but gRPC servers close on clients that send them often.
        tcp.set_keepalive(Some(PROBED_AFTER));
        tcp.set_keepalive_interval(Some(PROBED_EVERY));
        tcp.set_keepalive_retries(Some(PROBES));
        Self { tcp, tls, limit }
    }
}

impl Tls {
    /// Speaks TLS so, to whom this name is certified.
    pub fn new(config: Arc<ClientConfig>, name: ServerName<'static>) -> Self {
        Self {
            connector: config.into(),
            name,
        }
    }

    async fn shake_hands(self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Distrust> {
        let shaken = self.connector.connect(self.name, stream).await;
        shaken.map_err(Distrust::of)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Wire>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let (tcp, tls, limit) = (self.tcp.call(target), self.tls.clone(), self.limit);
        let connected = async move {
            let stream = tcp.await?.into_inner();
            Ok(TokioIo::new(match tls {
                Some(tls) => Wire::Tls(Box::new(tls.shake_hands(stream).await?)),
                None => Wire::Plain(stream),
            }))
        };
        Box::pin(async move {
            let connected = tokio::time::timeout(limit, connected).await;
            connected.map_err(|_| TooSlow)?
        })
    }
}

/// A connection to a server.
pub enum Wire {
    /// In the open.
    Plain(TcpStream),
    /// Over TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        match self {
            Self::Plain(stream) => stream.connected(),
            Self::Tls(stream) => {
                let (tcp, tls) = stream.get_ref();
                if tls.alpn_protocol() == Some(H2) {
                    tcp.connected().negotiated_h2()
                } else {
                    tcp.connected()
                }
            }
        }
    }
}

impl Wire {
    fn stream(self: Pin<&mut Self>) -> Pin<&mut dyn ReadWrite> {
        let stream: &mut dyn ReadWrite = match self.get_mut() {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream,
        };
        Pin::new(stream)
    }
}

trait ReadWrite: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ReadWrite for T {}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(context, into)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(context, slices)
    }
}
