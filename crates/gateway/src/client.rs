//! Who is at the other end of a guarded request.

use std::net::IpAddr;

/// The client of a request, as far as its connection tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientConnection {
    /// Its address: the peer's, or what a trusted proxy says that it is.
    pub address: IpAddr,
    /// Whether it spoke TLS.
    pub tls: bool,
}
