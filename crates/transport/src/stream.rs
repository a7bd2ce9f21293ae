//! The bytes of a connection, in plain text or under TLS.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

/// What HTTP is read from and written to.
pub(crate) struct HttpStream<Io> {
    /// Bytes that were read to see which HTTP it is.
    begun: BytesMut,
    /// Boxed: the state of a TLS session is larger than all else of a connection.
    wire: Either<Io, Box<TlsStream<Io>>>,
}

impl<Io> HttpStream<Io> {
    /// What was read already comes first.
    pub(crate) fn plain(begun: BytesMut, io: Io) -> Self {
        let wire = Either::Left(io);
        Self { begun, wire }
    }

    pub(crate) fn tls(io: TlsStream<Io>) -> Self {
        let wire = Either::Right(Box::new(io));
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
        Pin::new(&mut stream.wire).poll_read(context, buffer)
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HttpStream<Io> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().wire).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().wire).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_shutdown(context)
    }
}
