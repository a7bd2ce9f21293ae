//! What is handed to the service of a listener.

use crate::RequestBody;

/// A request that has passed the gate.
pub type Request = http::Request<RequestBody>;
