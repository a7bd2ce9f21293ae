//! How much of each resource one peer may use, and for how long.

use std::time::Duration;

/// The bounds of one listener.
///
/// Every default suits an API that faces the open internet; a listener with
/// long-polling requests wants a longer `request_timeout`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerLimits {
    /// From the first byte of a request head to its last, and from the accept
    /// to the end of the first head. Answered with 408 once a byte was seen.
    /// A PROXY header and the handshake of TLS have as long again, each, and end
    /// without an answer.
    pub header_read_timeout: Duration,
    /// How long a kept-alive connection may lie idle between two requests.
    pub idle_timeout: Duration,
    /// The longest pause between two pieces of a request body that somebody is
    /// waiting for.
    pub body_timeout: Duration,
    /// The longest pause in which the peer takes nothing of what is written.
    pub write_timeout: Duration,
    /// The floor under both pauses, in bytes a second: all the waiting for one
    /// body together may not exceed its timeout plus what its bytes take at
    /// this rate. Zero sets no floor.
    pub min_rate: u64,
    /// From the end of the request head to the head of the answer; a request
    /// body that is read before the answer counts. Answered with 503.
    pub request_timeout: Option<Duration>,
    /// The whole request head, request line and final empty line included; over
    /// HTTP/2 the fields with 32 bytes more for each (RFC 9113 section 6.5.2).
    /// Above it: 431. The trailer section of a chunked body has the same bound.
    pub max_header_bytes: usize,
    /// Field lines in a request head. Above it: 431.
    pub max_headers: usize,
    /// The request target as it was sent. Above it: 414.
    pub max_uri_bytes: usize,
    /// Connections at a time. At the bound a new one takes the place of the
    /// one that has been without a request for longest; where every connection
    /// has a request, of the one whose request body comes most slowly, if its
    /// address holds more than the newcomer's; and only then is the new one
    /// turned away with 503.
    pub max_connections: usize,
    /// Of these, how many one IPv4 address or one /64 network of IPv6 may hold:
    /// beyond, a new one takes the place of one of its own that is without a
    /// request, or is turned away with 503. None sets no bound. Socket files have
    /// no addresses.
    pub max_connections_per_address: Option<usize>,
    /// Requests at a time on one connection over HTTP/2. By as many more may its
    /// peer give up than it waits for; beyond, the connection is cut. Their heads
    /// together are bounded too, by eight times `max_header_bytes`, and so are
    /// all requests of the listener beyond the first of each connection, by
    /// `max_connections`, and those of one address by its share of them: 503 above.
    pub max_streams: u32,
    /// What may lie here unsent or unread of all answers and request bodies of the
    /// listener, in bytes, beside one piece of each connection. Beyond, answers are
    /// asked for no more, bodies not read on and sockets not read until something is
    /// taken.
    ///
    /// A request that runs beside another one of its HTTP/2 connection counts for 24
    /// KiB, which half of the bound is for: at 64 MiB about 1,365 such requests run at
    /// a time, and one for each connection in any case. Others wait, within their
    /// `request_timeout`. What a connection takes for itself is not counted; it is
    /// bounded by `max_connections`.
    pub max_buffered_bytes: usize,
    /// How long no byte may flow, either way, on a connection that has switched
    /// to another protocol.
    pub tunnel_idle_timeout: Duration,
    /// How long running requests and tunnels may go on after the shutdown signal.
    pub drain_timeout: Duration,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            header_read_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(20),
            write_timeout: Duration::from_secs(30),
            min_rate: 500,
            request_timeout: Some(Duration::from_secs(300)),
            max_header_bytes: 32 * 1024,
            max_headers: 100,
            max_uri_bytes: 8 * 1024,
            max_connections: 10_000,
            max_connections_per_address: None,
            max_streams: 100,
            max_buffered_bytes: 64 * 1024 * 1024,
            tunnel_idle_timeout: Duration::from_secs(300),
            drain_timeout: Duration::from_secs(30),
        }
    }
}
