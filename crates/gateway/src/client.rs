//! The client of a guarded request.

use std::net::IpAddr;

/// The client of a request, as far as the connection shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientConnection {
    /// Its address: the peer's, or the one that a trusted proxy states.
    pub address: IpAddr,
    /// Whether it uses TLS.
    pub tls: bool,
}
