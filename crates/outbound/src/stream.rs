//! A connection to a server, with TLS or without.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::TlsOnPlainPort;

/// Any error, as the HTTP client wants it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// HTTP/2 over TLS, in ALPN (RFC 9113 section 3.2).
pub const H2: &[u8] = b"h2";
/// HTTP/1.1 in ALPN (RFC 7301 section 6).
pub const HTTP_1_1: &[u8] = b"http/1.1";

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
    /// Whether TLS is spoken over it, which handles its alerts itself.
    is_below_tls: bool,
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
            is_below_tls: false,
        })
    }

    /// The same connection for TLS: an alert does not mean that the scheme is wrong.
    pub(crate) fn below_tls(mut self) -> Self {
        if let Self::Plain(plain) = &mut self {
            plain.is_below_tls = true;
        }
        self
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
    pub(crate) fn has_begun(&self) -> bool {
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
            if !self.is_below_tls && Self::is_alert(read) {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    TlsOnPlainPort,
                )));
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
