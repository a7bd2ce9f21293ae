//! Listeners: the accept loop with its limits and timeouts, and the strict checks of
//! requests.
//!
//! It knows HTTP/1.1 (RFC 9112) and HTTP/2 (RFC 9113), but nothing about tokens, routes or
//! dialects. A request passes these modules:
//!
//! ```text
//! serve -> connection_limit (a place) -> handshake (PROXY header, TLS, which HTTP)
//!       -> connection, observed by watch (deadlines, orders)
//!            gate (complete, well-formed heads) -> hyper -> answer (the service)
//!            or, over HTTP/2: hyper -> http2::judge -> http2::exchange (a task) -> answer
//! ```

mod accept;
mod answer;
mod body;
mod body_pace;
mod buffers;
mod chunks;
mod connection;
mod connection_limit;
mod connection_state;
mod deadline;
mod file_stamp;
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod handshake;
mod head;
mod http1;
mod http2;
mod limits;
mod listener;
mod loopback;
mod overload;
mod pace;
mod peer;
mod proxy_protocol;
mod refusal;
mod refused_page_request;
mod request;
mod serve;
mod socket;
mod socket_file;
mod stream;
#[cfg(test)]
mod testing;
mod tls;
mod tunnel;
mod watch;

pub use accept::ExemptAddresses;
pub use body::{BodyError, CollectError, RequestBody, collect};
pub use file_stamp::FileStamp;
pub use limits::ListenerLimits;
pub use listener::Listener;
pub use loopback::is_loopback_host;
pub use peer::Peer;
pub use refusal::{REFUSAL, RefusalHook, RefusedRequest, problem_response};
pub use refused_page_request::RefusedPageRequest;
pub use request::Request;
pub use serve::{DrainOutcome, serve, serve_told};
pub use socket_file::{SocketFault, SocketFile};
pub use tls::{ListenerTls, TlsFault, not_after};
