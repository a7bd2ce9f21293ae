//! How each kind of proxy describes its client's request.

use std::borrow::Cow;
use std::fmt::Display;
use std::net::IpAddr;

use countersign_domain::Reason;
use countersign_relay::folded;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use crate::api::GuardedApi;
use crate::client_address::{TrustedProxies, X_FORWARDED_FOR, x_forwarded_for};
use crate::denial::GuardDenial;
use crate::headers::only;

use super::proxy_family::ProxyFamily;

const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const X_ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");

/// Every header in which some proxy states a method or path. Those of another family come
/// from a client, so a request with one is refused.
static TELLING: [HeaderName; 7] = [
    X_FORWARDED_METHOD,
    X_FORWARDED_URI,
    X_ORIGINAL_METHOD,
    X_ORIGINAL_URI,
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
    HeaderName::from_static("x-envoy-original-path"),
];

/// The prefix of the headers in which we answer. A proxy that forwards a client's header
/// of that kind to us forwards it to the API, too.
const ANSWERING: &str = "x-countersign";

/// The request that a proxy asks about.
pub struct OriginalRequest<'r> {
    /// The method.
    pub method: Method,
    /// The client's address.
    pub address: IpAddr,
    path: &'r str,
    /// It may contain a static key, so only the dialect sees it.
    query: Option<&'r str>,
}

impl ProxyFamily {
    /// Reads a client's request from the question of a trusted proxy; `below` is what
    /// follows the api's name in the path of the question.
    pub(super) fn original_request<'r>(
        self,
        check: &'r Parts,
        below: &'r str,
        trusted: &TrustedProxies,
    ) -> Result<OriginalRequest<'r>, GuardDenial> {
        let headers = &check.headers;
        let own = self.telling();
        for name in own.iter().flatten().chain([&X_FORWARDED_FOR]) {
            is_told(headers, name)?;
        }
        if own.is_none() && check.version == Version::HTTP_2 {
            // Of a path over HTTP/2 the parser cuts off a `#` and what stands behind it,
            // which the proxy may forward.
            let whole = "the path as the client sent it, which is known over HTTP/1.1 only,";
            return Err(missing(whole));
        }
        if own.is_none() && below.is_empty() {
            return Err(missing("the path of the request, below the api's,"));
        }
        nothing_foreign(headers, own.as_ref())?;
        only_once(headers, &X_FORWARDED_FOR)?;
        let address = x_forwarded_for(headers, trusted)?;
        let (method, path, query) = match own {
            Some([method, uri]) => {
                if !below.is_empty() {
                    return Err(Reason::PathUnknown.into());
                }
                let (path, query) = split(only_once(headers, &uri)?)?;
                (named(only_once(headers, &method)?)?, path, query)
            }
            None => (check.method.clone(), below, check.uri.query()),
        };
        Ok(OriginalRequest {
            method,
            address,
            path,
            query,
        })
    }

    /// The headers with the method and the URI, if they are in headers.
    const fn telling(self) -> Option<[HeaderName; 2]> {
        match self {
            Self::Nginx | Self::Haproxy => Some([X_ORIGINAL_METHOD, X_ORIGINAL_URI]),
            Self::Traefik | Self::Caddy => Some([X_FORWARDED_METHOD, X_FORWARDED_URI]),
            Self::Envoy => None,
        }
    }
}

impl<'r> OriginalRequest<'r> {
    /// The path, as the client sent it.
    pub fn path(&self) -> &'r str {
        self.path
    }

    pub(super) fn query(&self) -> Option<&'r str> {
        self.query
    }

    /// The path and query without static keys.
    pub(super) fn without_static_key(&self, api: &GuardedApi) -> Cow<'r, str> {
        match self.query.and_then(|query| api.strip_query(query)) {
            Some(query) => Cow::Owned(format!("{}?{query}", self.path)),
            None => Cow::Borrowed(self.path),
        }
    }
}

/// Requires the headers that the proxy should send. A client cannot remove them, so the
/// proxy's configuration must be corrected if one is missing.
fn is_told(headers: &HeaderMap, name: &HeaderName) -> Result<(), GuardDenial> {
    let mut told = headers.get_all(name).iter();
    if told.any(|value| !value.as_bytes().trim_ascii().is_empty()) {
        return Ok(());
    }
    Err(missing(name))
}

/// Refuses headers that a correctly configured proxy would have removed: those of another
/// family, our own, and names that servers may read as one of these.
fn nothing_foreign(headers: &HeaderMap, own: Option<&[HeaderName; 2]>) -> Result<(), GuardDenial> {
    let is_own = |name: &HeaderName| own.into_iter().flatten().any(|own| own == name);
    for name in headers.keys().filter(|name| !is_own(name)) {
        let read_as = folded(name);
        if read_as.starts_with(ANSWERING) {
            return Err(odd(format!(
                "{name} came with the check, although only Countersign sets it"
            )));
        }
        if TELLING.iter().any(|telling| *telling == *read_as) {
            return Err(odd(format!("{name} is another proxy's header")));
        }
    }
    Ok(())
}

fn only_once<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<&'h HeaderValue, GuardDenial> {
    only(headers, name).ok_or_else(|| odd(format!("{name} came more than once")))
}

fn named(method: &HeaderValue) -> Result<Method, GuardDenial> {
    let method = Method::from_bytes(method.as_bytes());
    method.map_err(|_| odd("the method is not a valid HTTP method".to_owned()))
}

/// The path and query of a request target in origin form (RFC 9112 section 3.2.1). A
/// fragment is not part of it, and servers disagree about what follows one.
fn split(uri: &HeaderValue) -> Result<(&str, Option<&str>), GuardDenial> {
    let ambiguous = |byte: &u8| !byte.is_ascii_graphic() || *byte == b'#';
    let uri = uri
        .to_str()
        .ok()
        .filter(|uri| !uri.bytes().any(|byte| ambiguous(&byte)))
        .ok_or(Reason::PathAmbiguous)?;
    Ok(match uri.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (uri, None),
    })
}

fn missing(what: impl Display) -> GuardDenial {
    GuardDenial {
        detail: Some(format!("{what} is missing from the proxy's check")),
        ..GuardDenial::from(Reason::ProxyHeaderMissing)
    }
}

fn odd(detail: String) -> GuardDenial {
    GuardDenial {
        detail: Some(detail),
        ..GuardDenial::from(Reason::ProxyHeaders)
    }
}
