//! Listens: the accept loop with its limits and timeouts, and the strict gate for requests.

mod body;
mod limits;
mod pace;
mod serve;

pub use body::{BodyError, CollectError, RequestBody, collect};
pub use limits::Limits;
pub use serve::{Peer, Served, serve};

/// A request that has passed the gate.
pub type Request = http::Request<RequestBody>;
