//! Refusals that faults cause, in the dialect's spelling.

use std::time::Duration;

use bytes::Bytes;
use countersign_dialect::{Dialect, TokenRefusal};
use countersign_domain::{Reason, Refusal, TokenOperation};
use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};

/// What is meant by a status first, where a dialect spells several refusals with
/// it; the one that says no to the credential itself goes before these.
const LIKELY: [Refusal; 7] = [
    Refusal::Throttled,
    Refusal::Unavailable,
    Refusal::Internal,
    Refusal::BadGateway,
    Refusal::GatewayTimeout,
    Refusal::Forbidden,
    Refusal::Malformed,
];

/// The refusal that the dialect spells with this status, or the nearest one under
/// it.
pub(super) fn status(
    dialect: &Dialect,
    operation: TokenOperation,
    status: u16,
    retry_after: Option<Duration>,
) -> Response<Bytes> {
    let refuse = |refusal| {
        dialect.write_refusal(&TokenRefusal {
            retry_after,
            ..TokenRefusal::new(operation, refusal)
        })
    };
    let own = Reason::SessionRevoked.refusal(operation);
    let candidates = std::iter::once(own)
        .chain(LIKELY)
        .chain(Refusal::ALL.iter().copied());
    let mut spelled = candidates.map(refuse);
    let spelled = spelled.find(|response| response.status().as_u16() == status);
    let mut response = spelled.unwrap_or_else(|| under(status, refuse));
    if let (Some(wait), false) = (retry_after, response.headers().contains_key(RETRY_AFTER)) {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let value = HeaderValue::from(seconds);
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    response
}

/// The refusal of an address that is not allowed.
pub(super) fn forbidden(dialect: &Dialect, operation: TokenOperation) -> Response<Bytes> {
    dialect.write_refusal(&TokenRefusal::new(operation, Refusal::AddressDenied))
}

fn under(status: u16, refuse: impl Fn(Refusal) -> Response<Bytes>) -> Response<Bytes> {
    let mut known = Refusal::ALL.iter().copied();
    let default = known.find(|refusal| refusal.default_status() == status);
    let nearest = default.unwrap_or(match status {
        400..=499 => Refusal::Malformed,
        _ => Refusal::Internal,
    });
    let mut response = refuse(nearest);
    let status = StatusCode::from_u16(status);
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
