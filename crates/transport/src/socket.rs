//! What a listener accepts connections from: TCP, or a Unix domain socket.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::Peer;
use crate::SocketFile;
use crate::accept::AcceptConnections;

/// A listening socket.
#[derive(Debug)]
pub(crate) enum ListeningSocket {
    Tcp(TcpListener),
    File(SocketFile),
}

/// A connection.
pub(crate) enum SocketStream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// What stands for both ends of a connection over a socket file, which has no
/// addresses: whoever opens it is on this machine.
const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl AcceptConnections for ListeningSocket {
    type Io = SocketStream;

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(SocketStream, Peer)>> {
        match self {
            Self::Tcp(tcp) => {
                let (stream, address) = ready!(tcp.poll_accept(context))?;
                // Answers are written whole; waiting to fill a segment only adds delay.
                stream.set_nodelay(true)?;
                let local = stream.local_addr()?;
                Poll::Ready(Ok((SocketStream::Tcp(stream), Peer::new(address, local))))
            }
            Self::File(file) => {
                let (stream, _) = ready!(file.listener().poll_accept(context))?;
                Poll::Ready(Ok((SocketStream::Unix(stream), Peer::new(HERE, HERE))))
            }
        }
    }
}

trait SocketIo: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> SocketIo for T {}

impl SocketStream {
    fn stream(self: Pin<&mut Self>) -> Pin<&mut dyn SocketIo> {
        let stream: &mut dyn SocketIo = match self.get_mut() {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
        };
        Pin::new(stream)
    }
}

impl AsyncRead for SocketStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(context, into)
    }
}

impl AsyncWrite for SocketStream {
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
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(context, pieces)
    }
}
