//! Text that goes into a URL, or comes out of an error.

use countersign_outbound::{HandshakeDistrust, ProxyError};

/// `text` as a segment of a path or a value in a query (RFC 3986 section 2.1):
/// every byte but the unreserved ones is escaped.
pub(crate) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// The innermost cause: the outer ones only say that a request failed. What names the
/// cure, or the proxy on the way, is told before it.
pub(crate) fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        let distrust = cause.downcast_ref::<HandshakeDistrust>();
        if let Some(distrust) = distrust.filter(|it| it.is_explained()) {
            return distrust.to_string();
        }
        if let Some(proxy) = cause.downcast_ref::<ProxyError>() {
            return format!("{proxy}: {}", reason(inner));
        }
        cause = inner;
    }
    cause.to_string()
}

/// An instant (RFC 3339, UTC) without what is below a second.
pub(crate) fn to_second(instant: &str) -> String {
    let whole = instant.split_once('.').map(|(whole, _)| whole);
    whole.map_or_else(|| instant.to_owned(), |whole| format!("{whole}Z"))
}
