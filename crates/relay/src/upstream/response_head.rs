//! Checks of a response head that the HTTP parser does not make.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::{HeaderMap, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::sync::Notify;

use crate::error::RelayError;
use crate::tunnel;
use crate::upload::Upload;

/// How many interim answers (RFC 9110 section 15.2) are read before the answer. Over
/// HTTP/2 they are dropped as they arrive, until time runs out.
const MOST_INTERIM: u32 = 32;

/// The answer, unless its status is not valid (RFC 9110 section 15), its body has a
/// coding that nobody decodes, or it switches to a protocol that was not requested.
pub(super) fn settle(
    response: Response<Incoming>,
    switch: bool,
) -> Result<Response<Incoming>, RelayError> {
    if response.status().as_u16() > 599 {
        return Err(failed("its status is not a valid HTTP status"));
    }
    if !is_framed_plainly(response.headers()) {
        return Err(failed("its body has other transfer codings than chunked"));
    }
    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    // RFC 9110 section 7.8: "A server MUST NOT switch to a protocol that was not indicated by
    // the client in the corresponding request's Upgrade header field."
    if switches && !switch {
        return Err(failed("it switched protocols without being asked"));
    }
    if switches && !tunnel::is_websocket(response.headers()) {
        return Err(failed(
            "it switched to another protocol than it was asked for",
        ));
    }
    Ok(response)
}

fn failed(detail: &str) -> RelayError {
    RelayError::Failed(detail.to_owned())
}

/// Whether chunked is the only transfer coding, if there is one (RFC 9112 section 6.1).
/// No other was requested.
fn is_framed_plainly(fields: &HeaderMap) -> bool {
    let mut codings = fields.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(only), None) => only.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// Counts interim answers. The returned future ends when there is one too many.
pub(super) fn count_interim(request: &mut Request<Upload>) -> Arc<Notify> {
    let flooded = Arc::new(Notify::new());
    let (tell, count) = (Arc::clone(&flooded), AtomicU32::new(0));
    hyper::ext::on_informational(request, move |_| {
        if count.fetch_add(1, Ordering::Relaxed) >= MOST_INTERIM {
            tell.notify_one();
        }
    });
    flooded
}
