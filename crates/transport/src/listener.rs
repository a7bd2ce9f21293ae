//! A listening socket, and what it requires of each connection (PROXY protocol, TLS).

use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::net::TcpListener;

use crate::accept::ExemptAddresses;
use crate::handshake::HandshakePolicy;
use crate::socket::ListeningSocket;
use crate::{ListenerTls, SocketFile};

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
