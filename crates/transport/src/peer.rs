//! Who is at the other end of a connection.

use std::net::SocketAddr;

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
    /// One that connected without TLS, with the addresses that the kernel reports.
    pub fn new(address: SocketAddr, local: SocketAddr) -> Self {
        Self {
            address,
            local,
            via: None,
            tls: false,
        }
    }
}
