//! A listening socket, and what it requires of each connection (PROXY protocol, TLS).

use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::net::TcpListener;

use crate::accept::ExemptAddresses;
use crate::handshake::HandshakePolicy;
use crate::socket::ListeningSocket;
use crate::{ListenerTls, SocketFile};

/// A listening socket, and what precedes HTTP on its connections.
pub struct Listener {
    socket: ListeningSocket,
    tls: Option<ListenerTls>,
    proxies: Option<Vec<IpNet>>,
    http2: bool,
    exempt: Option<Arc<ExemptAddresses>>,
}

impl Listener {
    /// One without TLS, for HTTP/1.1 and, by prior knowledge, HTTP/2.
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

    /// Requires TLS, in which ALPN selects HTTP/2 or 1.1.
    #[must_use]
    pub fn with_tls(mut self, tls: ListenerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Admits only peers in these networks, and only connections that begin with a
    /// header of the PROXY protocol, version 2 (before TLS): the client that it states is
    /// then the peer. All others are closed.
    #[must_use]
    pub fn with_proxy_protocol(mut self, trusted: Vec<IpNet>) -> Self {
        self.proxies = Some(trusted);
        self
    }

    /// Does not limit the connections of an address for which `exempt` is true: a proxy,
    /// which forwards those of many clients. If it states their addresses by the PROXY
    /// protocol, connections are counted for these.
    #[must_use]
    pub fn with_exempt(mut self, exempt: Arc<ExemptAddresses>) -> Self {
        self.exempt = Some(exempt);
        self
    }

    /// Offers HTTP/1.1 only.
    #[must_use]
    pub fn without_http2(mut self) -> Self {
        self.http2 = false;
        self
    }

    pub(crate) fn parts(self) -> (ListeningSocket, HandshakePolicy) {
        let policy = HandshakePolicy {
            proxies: self.proxies.map(Arc::from),
            http2: self.http2,
            exempt: match self.socket {
                ListeningSocket::Tcp(_) => self.exempt,
                ListeningSocket::File(_) => Some(Arc::new(|_| true)),
            },
            tls: self.tls.map(|tls| tls.offering(self.http2)),
        };
        (self.socket, policy)
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
