//! What a listener accepts connections from: TCP, or a Unix domain socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::task::{Context, Poll, ready};

use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_util::either::Either;

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
pub(crate) type SocketStream = Either<TcpStream, UnixStream>;

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
                Poll::Ready(Ok((Either::Left(stream), Peer::new(address, local))))
            }
            Self::File(file) => {
                let (stream, _) = ready!(file.listener().poll_accept(context))?;
                Poll::Ready(Ok((Either::Right(stream), Peer::new(HERE, HERE))))
            }
        }
    }
}
