//! Why a server was not reached, in a sentence.

use crate::{HandshakeDistrust, ProxyError};

/// The innermost cause: the outer ones only say that a request failed. A cause that says
/// what to do, or names the proxy, comes first.
pub fn failure_reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        let distrust = cause.downcast_ref::<HandshakeDistrust>();
        if let Some(distrust) = distrust.filter(|it| it.is_explained()) {
            return distrust.to_string();
        }
        if let Some(proxy) = cause.downcast_ref::<ProxyError>() {
            return format!("{proxy}: {}", failure_reason(inner));
        }
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_innermost_cause_is_told_and_what_names_the_cure_before_it() {
        let refused = io::Error::other(io::Error::other("refused"));
        assert_eq!(failure_reason(&refused), "refused");
        let plain = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        let plain = HandshakeDistrust::from_error(io::Error::other(plain));
        let said = plain.to_string();
        assert_eq!(failure_reason(&plain), said);
    }
}
