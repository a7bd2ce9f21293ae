//! Listens: the accept loop with its limits and timeouts, and the strict gate
//! for requests.
//!
//! It knows HTTP/1.1 (RFC 9112) and nothing of tokens, routes or dialects. The
//! way of a request:
//!
//! ```text
//! serve -> crowd (a place) -> connection, under its watch (deadlines, orders)
//!                               gate (whole, well-formed heads) -> hyper -> answer (the service)
//! ```

mod answer;
mod body;
mod chunks;
mod connection;
mod crowd;
mod gate;
mod head;
mod limits;
mod link;
mod pace;
mod refusal;
mod serve;
#[cfg(test)]
mod testing;
mod turned_away;
mod watch;

pub use body::{BodyError, CollectError, RequestBody, collect};
pub use limits::Limits;
pub use refusal::{OnRefusal, REFUSAL, Refused};
pub use serve::{Peer, Served, serve, serve_told};

/// A request that has passed the gate.
pub type Request = http::Request<RequestBody>;
