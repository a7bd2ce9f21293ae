//! A listening socket and what it asks of a connection.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

use crate::handshake::HandshakePolicy;
use crate::socket::ListeningSocket;
use crate::{ListenerTls, SocketFile};

/// Says of which addresses connections are not counted.
pub type ExemptAddresses = dyn Fn(IpAddr) -> bool + Send + Sync;

/// A listening socket, with what comes on it before HTTP.
pub struct Listener {
    socket: ListeningSocket,
    tls: Option<ListenerTls>,
    proxies: Option<Vec<IpNet>>,
    http2: bool,
    exempt: Option<Arc<ExemptAddresses>>,
}

impl Listener {
    /// One that speaks in the open, HTTP/1.1 and, to who knows it, HTTP/2.
    pub fn new(tcp: TcpListener) -> Self {
        Self::on(ListeningSocket::Tcp(tcp))
    }

    fn on(socket: ListeningSocket) -> Self {
        Self {
            socket,
            tls: None,
            proxies: None,
            http2: true,
            exempt: None,
        }
    }

    /// Speaks TLS, and nothing else; in it HTTP/2 or 1.1, as is agreed upon.
    #[must_use]
    pub fn with_tls(mut self, tls: ListenerTls) -> Self {
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

    /// Does not bound how many connections an address holds of which `exempt` is
    /// true: a proxy, which brings those of many. Where it tells their addresses by
    /// the PROXY protocol, they are counted for these.
    #[must_use]
    pub fn with_exempt(mut self, exempt: Arc<ExemptAddresses>) -> Self {
        self.exempt = Some(exempt);
        self
    }

    /// Speaks HTTP/1.1 alone.
    #[must_use]
    pub fn without_http2(mut self) -> Self {
        self.http2 = false;
        self
    }

    pub(crate) fn parts(self) -> (ListeningSocket, HandshakePolicy) {
        let threshold = HandshakePolicy {
            proxies: self.proxies.map(Arc::from),
            http2: self.http2,
            exempt: match self.socket {
                ListeningSocket::Tcp(_) => self.exempt,
                ListeningSocket::File(_) => Some(Arc::new(|_| true)),
            },
            tls: self.tls.map(|tls| tls.offering(self.http2)),
        };
        (self.socket, threshold)
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

impl From<TcpListener> for Listener {
    fn from(tcp: TcpListener) -> Self {
        Self::new(tcp)
    }
}

impl From<SocketFile> for Listener {
    fn from(file: SocketFile) -> Self {
        Self::on(ListeningSocket::File(file))
    }
}

/// Who is at the other end of a connection. Over a socket file, which has no
/// addresses, both are 127.0.0.1 and port 0.
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
pub(crate) trait AcceptConnections {
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(Self::Io, Peer)>>;
}
