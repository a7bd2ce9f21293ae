//! A listening socket and what it asks of a connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::Tls;
use crate::threshold::Threshold;

/// A listening socket, with what comes on it before HTTP.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    tls: Option<Tls>,
    proxies: Option<Vec<IpNet>>,
    http2: bool,
}

impl Listener {
    /// One that speaks in the open, HTTP/1.1 and, to who knows it, HTTP/2.
    pub fn new(tcp: TcpListener) -> Self {
        Self {
            tcp,
            tls: None,
            proxies: None,
            http2: true,
        }
    }

    /// Speaks TLS, and nothing else; in it HTTP/2 or 1.1, as is agreed upon.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Admits only peers in these networks, and of them only connections that
    /// begin with a header of the PROXY protocol, version 2 (before TLS): its
    /// client is then the peer. All others are closed.
    #[must_use]
    pub fn with_proxy_protocol(mut self, trusted: Vec<IpNet>) -> Self {
        self.proxies = Some(trusted);
        self
    }

    /// Speaks HTTP/1.1 alone.
    #[must_use]
    pub fn without_http2(mut self) -> Self {
        self.http2 = false;
        self
    }

    pub(crate) fn parts(self) -> (TcpListener, Threshold) {
        let threshold = Threshold {
            proxies: self.proxies.map(Arc::from),
            http2: self.http2,
            tls: self.tls.map(|tls| tls.offering(self.http2)),
        };
        (self.tcp, threshold)
    }
}

impl From<TcpListener> for Listener {
    fn from(tcp: TcpListener) -> Self {
        Self::new(tcp)
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Peer {
    /// The address that connected, or on whose behalf a proxy did that speaks
    /// the PROXY protocol.
    pub address: SocketAddr,
    /// Our own address that it connected to.
    pub local: SocketAddr,
    /// The address of that proxy.
    pub via: Option<SocketAddr>,
    /// Whether it came over TLS.
    pub tls: bool,
}

impl Peer {
    /// One that connected in the open, as the kernel says it.
    pub fn new(address: SocketAddr, local: SocketAddr) -> Self {
        Self {
            address,
            local,
            via: None,
            tls: false,
        }
    }
}

/// Where connections come from.
pub(crate) trait Accept {
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(Self::Io, Peer)>>;
}

impl Accept for TcpListener {
    type Io = TcpStream;

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(TcpStream, Peer)>> {
        let (stream, address) = ready!(TcpListener::poll_accept(self, context))?;
        // Answers are written whole; waiting to fill a segment only adds delay.
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        Poll::Ready(Ok((stream, Peer::new(address, local))))
    }
}
