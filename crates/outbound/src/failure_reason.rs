//! Why a server was not reached, in a sentence, and what to do about it.

use crate::wrong_scheme::causes;
use crate::{HandshakeDistrust, ProxyError, TlsOnPlainPort};

/// The innermost cause: the outer ones only say that a request failed. What explains it, or the
/// proxy on the way, is told before it.
pub fn failure_reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        if let Some(distrust) = cause.downcast_ref::<HandshakeDistrust>() {
            return match distrust.is_explained() {
                true => distrust.to_string(),
                false => format!("{distrust}: {}", failure_reason(inner)),
            };
        }
        if let Some(proxy) = cause.downcast_ref::<ProxyError>() {
            return format!("{proxy}: {}", failure_reason(inner));
        }
        cause = inner;
    }
    cause.to_string()
}

/// What to do about an error, if it or one of its causes knows.
pub fn failure_help(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    causes(error).find_map(|cause| {
        let distrust = cause.downcast_ref::<HandshakeDistrust>();
        let proxy = cause.downcast_ref::<ProxyError>();
        let help = distrust.and_then(HandshakeDistrust::help);
        help.or_else(|| proxy?.help())
            .or_else(|| cause.is::<TlsOnPlainPort>().then_some(TlsOnPlainPort::HELP))
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_innermost_cause_is_told_and_the_cure_apart_from_it() {
        let refused = io::Error::other(io::Error::other("refused"));
        assert_eq!(failure_reason(&refused), "refused");
        let plain = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        let plain = HandshakeDistrust::from_error(io::Error::other(plain));
        let said = plain.to_string();
        assert_eq!(failure_reason(&plain), said);
        assert!(failure_help(&plain).unwrap().contains("write http,"));
        let tls = io::Error::other(io::Error::other(TlsOnPlainPort));
        assert!(failure_help(&tls).unwrap().contains("write https"));
        assert_eq!(failure_help(&refused), None);
    }
}
