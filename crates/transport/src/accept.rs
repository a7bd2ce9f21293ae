//! Where a listener's connections come from.

use std::io;
use std::net::IpAddr;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::Peer;

/// Says of which addresses connections are not counted.
pub type ExemptAddresses = dyn Fn(IpAddr) -> bool + Send + Sync;

/// Where connections come from.
pub(crate) trait AcceptConnections {
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(Self::Io, Peer)>>;
}
