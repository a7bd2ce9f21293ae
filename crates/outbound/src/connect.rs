//! Connections to a server: TCP, a tunnel if there is a proxy on the way, and TLS if the URL
//! says so.
//!
//! Resolving the name, TCP, the tunnel and TLS share one time limit.

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

use crate::{HandshakeDistrust, OutboundProxy, SpeaksTls};

/// Any error, as the HTTP client wants it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// HTTP/2 over TLS, in ALPN (RFC 9113 section 3.2).
pub const H2: &[u8] = b"h2";
/// HTTP/1.1 in ALPN (RFC 7301 section 6).
pub const HTTP_1_1: &[u8] = b"http/1.1";

/// After how long without any data a connection is probed, how often it is probed from
/// then on, and how many probes may remain unanswered.
const PROBED_AFTER: Duration = Duration::from_secs(20);
const PROBED_EVERY: Duration = Duration::from_secs(10);
const PROBES: u32 = 4;

/// Makes connections to one server.
#[derive(Clone)]
pub struct ServerConnector {
    tcp: HttpConnector,
    tls: Option<OutboundTls>,
    proxy: Option<OutboundProxy>,
    limit: Duration,
}

/// The TLS settings, and the name that must be certified.
#[derive(Clone)]
pub struct OutboundTls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// No connection was made within the limit.
#[derive(Debug, thiserror::Error)]
#[error("the connection was not made in time")]
pub struct TooSlow;

impl ServerConnector {
    /// Connects within `limit`, with TLS or without, as the URL requires.
    pub fn new(tls: Option<OutboundTls>, limit: Duration) -> Self {
        Self {
            tcp: tcp_within(limit),
            tls,
            proxy: None,
            limit,
        }
    }

    /// Connects through this proxy, if there is one.
    #[must_use]
    pub fn through(mut self, proxy: Option<OutboundProxy>) -> Self {
        self.proxy = proxy;
        self
    }

    /// Whether an exchange without TLS failed because the server speaks TLS. A server
    /// that closed without an answer is asked once more ([`SpeaksTls::is_why`]).
    pub async fn should_speak_tls(
        &self,
        target: &Uri,
        lost: &(dyn std::error::Error + Send + Sync + 'static),
    ) -> bool {
        self.tls.is_none() && SpeaksTls::is_why(lost, self.opened(target)).await
    }

    /// Whether the server speaks TLS although this connector does not.
    pub async fn finds_tls(&self, target: &Uri) -> bool {
        self.tls.is_none() && SpeaksTls::is_spoken_by(self.opened(target)).await
    }

    /// Why there was no handshake: one that met with silence is asked about in the open
    /// ([`HandshakeDistrust::or_plain`]).
    pub async fn explained(&self, why: HandshakeDistrust, target: &Uri) -> HandshakeDistrust {
        why.or_plain(target, self.opened(target)).await
    }

    /// A connection to the server on which nothing is said yet.
    async fn opened(&self, target: &Uri) -> Result<ServerStream, BoxError> {
        let mut tcp = self.tcp.clone();
        match &self.proxy {
            Some(proxy) => Ok(proxy.tunnel(tcp, target).await?),
            None => Ok(ServerStream::plain(
                tcp.call(target.clone()).await?.into_inner(),
            )),
        }
    }

    async fn connected(&self, target: &Uri) -> Result<ServerStream, BoxError> {
        let wire = self.opened(target).await?;
        match self.tls.clone() {
            Some(tls) => Ok(tls.secured(wire).await?),
            None => Ok(wire),
        }
    }
}

pub(crate) fn tcp_within(limit: Duration) -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(limit));
    // A server that is gone without a word is found out by the system: HTTP/2
    // has pings, but gRPC servers close on clients that send them often.
    tcp.set_keepalive(Some(PROBED_AFTER));
    tcp.set_keepalive_interval(Some(PROBED_EVERY));
    tcp.set_keepalive_retries(Some(PROBES));
    tcp
}

impl OutboundTls {
    /// Speaks TLS with these settings, to the server with this certified name.
    pub fn new(config: Arc<ClientConfig>, name: ServerName<'static>) -> Self {
        Self {
            connector: config.into(),
            name,
        }
    }

    /// TLS over a connection.
    ///
    /// # Errors
    ///
    /// The server is not the right one, or does not speak TLS.
    pub async fn secured(self, wire: ServerStream) -> Result<ServerStream, HandshakeDistrust> {
        let shaken = self
            .connector
            .connect(self.name, wire)
            .into_fallible()
            .await;
        match shaken {
            Ok(stream) => Ok(ServerStream::Tls(Box::new(stream))),
            Err((error, wire)) => Err(match HandshakeDistrust::from_error(error) {
                HandshakeDistrust::Cut(error) if !wire.has_begun() => {
                    HandshakeDistrust::Silent(error)
                }
                distrust => distrust,
            }),
        }
    }
}

impl Service<Uri> for ServerConnector {
    type Response = TokioIo<ServerStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<ServerStream>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let connected = connector.connected(&target);
            let connected = tokio::time::timeout(connector.limit, connected).await;
            match connected.map_err(|_| TooSlow)? {
                Ok(wire) => Ok(TokioIo::new(wire)),
                Err(error) => Err(match error.downcast() {
                    Ok(distrust) => connector.explained(*distrust, &target).await.into(),
                    Err(error) => error,
                }),
            }
        })
    }
}

/// A connection to a server.
pub enum ServerStream {
    /// Without TLS.
    Plain(PlainStream),
    /// Over TLS.
    Tls(Box<TlsStream<ServerStream>>),
}

/// A connection without TLS, which reports if the other end speaks TLS.
pub struct PlainStream {
    stream: TcpStream,
    /// Whether anything was read from it.
    begun: bool,
}

impl Connection for ServerStream {
    fn connected(&self) -> Connected {
        match self {
            Self::Plain(plain) => plain.stream.connected(),
            Self::Tls(stream) => {
                let (under, tls) = stream.get_ref();
                if tls.alpn_protocol() == Some(H2) {
                    under.connected().negotiated_h2()
                } else {
                    under.connected()
                }
            }
        }
    }
}

impl ServerStream {
    /// A connection without TLS.
    pub fn plain(stream: TcpStream) -> Self {
        Self::Plain(PlainStream {
            stream,
            begun: false,
        })
    }

    /// The same connection, as if nothing was read of it yet: what a proxy said on it is not the
    /// server's.
    pub(crate) fn anew(mut self) -> Self {
        if let Self::Plain(plain) = &mut self {
            plain.begun = false;
        }
        self
    }

    /// Whether anything was read, as far as can be told: not of what comes through the TLS of a
    /// proxy.
    fn has_begun(&self) -> bool {
        matches!(self, Self::Plain(plain) if plain.begun)
    }

    /// The protocol that TLS agreed on, if TLS is used.
    pub fn tls(&self) -> Option<&rustls::ClientConnection> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(stream.get_ref().1),
        }
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut dyn StreamIo> {
        let stream: &mut dyn StreamIo = match self.get_mut() {
            Self::Plain(plain) => &mut plain.stream,
            Self::Tls(stream) => stream,
        };
        Pin::new(stream)
    }
}

impl PlainStream {
    /// A peer that received plain text instead of TLS reports that in an alert (RFC 8446
    /// section 6), which cannot be the beginning of an HTTP answer.
    fn is_alert(read: &[u8]) -> bool {
        read.starts_with(&[0x15, 0x03])
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        std::task::ready!(Pin::new(&mut self.stream).poll_read(context, into))?;
        let read = into.filled().get(before..).unwrap_or_default();
        if !self.begun && !read.is_empty() {
            self.begun = true;
            if Self::is_alert(read) {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, SpeaksTls)));
            }
        }
        Poll::Ready(Ok(()))
    }
}

trait StreamIo: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> StreamIo for T {}

impl AsyncRead for ServerStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(plain) => plain.poll_read(context, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for ServerStream {
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
            Self::Plain(plain) => plain.stream.is_write_vectored(),
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
