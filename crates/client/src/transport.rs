//! How a request reaches the vendor.

use bytes::Bytes;
use http::{Request, Response};

use crate::BoxFuture;

/// Sends requests to the vendor's token endpoints. Redirects are not followed, and
/// nothing is sent twice.
pub trait Transport: Send + Sync + 'static {
    /// Sends one request, whose URI is absolute, and reads the whole reply.
    ///
    /// # Errors
    ///
    /// There is no complete reply.
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>>;
}

/// There is no complete reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// Whether the vendor may have seen the request.
    pub delivery: RequestDelivery,
    /// What happened, in words that contain no secret.
    pub message: String,
}

/// Whether the vendor may have seen a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestDelivery {
    /// It was not sent: there was no connection.
    NotSent,
    /// The vendor may have acted upon it.
    MaybeSent,
}
