//! The bytes of a connection, in plain text or under TLS.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// What HTTP is read from and written to.
pub(crate) struct HttpStream<Io> {
    /// Bytes that were read to see which HTTP it is.
    begun: BytesMut,
    wire: StreamKind<Io>,
}

enum StreamKind<Io> {
    Plain(Io),
    /// Boxed: the state of a session is larger than all else of a connection.
    Tls(Box<TlsStream<Io>>),
}

impl<Io> HttpStream<Io> {
    /// What was read already comes first.
    pub(crate) fn plain(begun: BytesMut, io: Io) -> Self {
        let wire = StreamKind::Plain(io);
        Self { begun, wire }
    }

    pub(crate) fn tls(io: TlsStream<Io>) -> Self {
        let wire = StreamKind::Tls(Box::new(io));
        let begun = BytesMut::new();
        Self { begun, wire }
    }

    fn give_begun(&mut self, buffer: &mut ReadBuf<'_>) {
        let size = self.begun.len().min(buffer.remaining());
        buffer.put_slice(&self.begun[..size]);
        self.begun.advance(size);
        if self.begun.is_empty() {
            self.begun = BytesMut::new();
        }
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncRead for HttpStream<Io> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if !stream.begun.is_empty() {
            stream.give_begun(buffer);
            return Poll::Ready(Ok(()));
        }
        match &mut stream.wire {
            StreamKind::Plain(io) => Pin::new(io).poll_read(context, buffer),
            StreamKind::Tls(io) => Pin::new(io).poll_read(context, buffer),
        }
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HttpStream<Io> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().wire {
            StreamKind::Plain(io) => Pin::new(io).poll_write(context, bytes),
            StreamKind::Tls(io) => Pin::new(io).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().wire {
            StreamKind::Plain(io) => Pin::new(io).poll_write_vectored(context, pieces),
            StreamKind::Tls(io) => Pin::new(io).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.wire {
            StreamKind::Plain(io) => io.is_write_vectored(),
            StreamKind::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().wire {
            StreamKind::Plain(io) => Pin::new(io).poll_flush(context),
            StreamKind::Tls(io) => Pin::new(io).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().wire {
            StreamKind::Plain(io) => Pin::new(io).poll_shutdown(context),
            StreamKind::Tls(io) => Pin::new(io).poll_shutdown(context),
        }
    }
}
