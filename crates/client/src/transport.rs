//! How a request reaches the vendor.

use bytes::Bytes;
use countersign_dialect::{ClientValues, ExtraParts, Secret};
use countersign_domain::TokenOperation;
use http::{Request, Response};

use crate::BoxFuture;

/// Sends requests to the vendor's token endpoints. Redirects are not followed, and
/// nothing is sent twice.
pub trait Transport: Send + Sync + 'static {
    /// Sends one request, whose URI is absolute, and reads the whole reply. The
    /// extensions of a [`crate::TokenSource`]'s requests hold a [`RequestContext`].
    ///
    /// # Errors
    ///
    /// There is no complete reply.
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>>;
}

/// What a request of a [`crate::TokenSource`] is for, and which secrets it contains, for
/// a transport that shows what it sends.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The operation.
    pub operation: TokenOperation,
    /// The secret of the login, if the request needs it.
    pub secret: Option<Secret>,
    /// The access token that the client has.
    pub access_token: Option<Secret>,
    /// The refresh token that the client has.
    pub refresh_token: Option<Secret>,
    /// The extra parts of the credential, and those that came with the tokens.
    pub extra: ExtraParts,
}

impl RequestContext {
    pub(crate) fn new(operation: TokenOperation, asking: &ClientValues<'_>) -> Self {
        Self {
            operation,
            secret: asking.secret.cloned(),
            access_token: asking.access_token.cloned(),
            refresh_token: asking.refresh_token.cloned(),
            extra: asking.extra.cloned().unwrap_or_default(),
        }
    }

    /// All secrets of the request.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let own = [&self.secret, &self.access_token, &self.refresh_token];
        own.into_iter().flatten().chain(self.extra.values())
    }
}

/// There is no complete reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// Whether the vendor may have seen the request.
    pub delivery: RequestDelivery,
    /// What happened, in words that contain no secret.
    pub message: String,
    /// What to do about it, if there is something to do.
    pub help: Option<String>,
}

/// Whether the vendor may have seen a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestDelivery {
    /// It was not sent: there was no connection.
    NotSent,
    /// The vendor may have acted upon it.
    MaybeSent,
}
