//! Strict checks of a request head (RFC 9113 section 8.3), and its translation into
//! the form that it would have had over HTTP/1.1.
//!
//! h2 has already checked field names, connection-specific fields, pseudo-header fields,
//! and a `content-length` that does not match the data.

use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderValue};
use http::{Method, Request, Uri};
use hyper::upgrade::OnUpgrade;

use crate::ListenerLimits;
use crate::head::{expectation, is_host, is_path_and_query, parse_length};
use crate::refusal::TransportRefusal;

/// The request with a target in origin form, exactly one `Host`, and at most
/// one `Cookie`.
pub(crate) fn judge<B>(
    mut request: Request<B>,
    limits: &ListenerLimits,
) -> Result<Request<B>, TransportRefusal> {
    if request.method() == Method::CONNECT {
        return Err(TransportRefusal::Tunnel);
    }
    request.extensions_mut().remove::<OnUpgrade>();
    let target = origin_form(&request, limits)?;
    if size(&request) > limits.max_header_bytes {
        return Err(TransportRefusal::HeadTooLarge);
    }
    let host = host(&request)?;
    check_fields(request.headers(), limits)?;
    *request.uri_mut() = target;
    let fields = request.headers_mut();
    fields.insert(HOST, host);
    join_cookies(fields)?;
    Ok(request)
}

/// The size of a head (RFC 9113 section 6.5.2), about.
pub(crate) fn size<B>(request: &Request<B>) -> usize {
    let target = request.uri().path_and_query();
    let target = target.map_or(0, |it| it.as_str().len());
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + 32);
    target + fields.sum::<usize>()
}

fn origin_form<B>(request: &Request<B>, limits: &ListenerLimits) -> Result<Uri, TransportRefusal> {
    let uri = request.uri();
    if uri.scheme_str().is_some_and(|scheme| !is_http(scheme)) {
        return Err(TransportRefusal::Target);
    }
    let target = uri.path_and_query().ok_or(TransportRefusal::Target)?;
    if target.as_str().len() > limits.max_uri_bytes {
        return Err(TransportRefusal::TargetTooLong);
    }
    match target.as_str().as_bytes() {
        b"*" if request.method() == Method::OPTIONS => Err(TransportRefusal::ServerTarget),
        path @ [b'/', ..] if is_path_and_query(path) => {
            // RFC 9113 section 8.3.1: "This pseudo-header field MUST NOT be empty for "http" or
            // "https" URIs". Nothing is left of a path that begins with `#`, and h2 lets a request
            // without `:path` pass that names its host in a field: either shows as `/`
            // in one place and as an empty path in another.
            let target = Uri::from(target.clone());
            let is_path = !target.path().is_empty();
            is_path.then_some(target).ok_or(TransportRefusal::Target)
        }
        _ => Err(TransportRefusal::Target),
    }
}

fn is_http(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

/// `:authority`, or `Host` where there is none; never two that differ.
// RFC 9113 section 8.3.1: "The recipient of an HTTP/2 request MUST NOT use the Host header
// field to determine the target URI if ":authority" is present."
fn host<B>(request: &Request<B>) -> Result<HeaderValue, TransportRefusal> {
    let mut fields = request.headers().get_all(HOST).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(TransportRefusal::HostRepeated);
    }
    let authority = request.uri().authority().map(|it| it.as_str().as_bytes());
    let host = match (authority, field.map(HeaderValue::as_bytes)) {
        (None, None) => return Err(TransportRefusal::HostMissing),
        (Some(one), Some(other)) if !one.eq_ignore_ascii_case(other) => {
            return Err(TransportRefusal::HostDiffers);
        }
        (Some(host), _) | (None, Some(host)) => host,
    };
    if !is_host(host) {
        return Err(TransportRefusal::HostInvalid);
    }
    HeaderValue::from_bytes(host).map_err(|_| TransportRefusal::HostInvalid)
}

fn check_fields(fields: &HeaderMap, limits: &ListenerLimits) -> Result<(), TransportRefusal> {
    // Host counts, whichever way it came.
    let count = fields.len() + usize::from(!fields.contains_key(HOST));
    if count > limits.max_headers {
        return Err(TransportRefusal::TooManyFields);
    }
    // RFC 9113 section 8.2.1: "A field value MUST NOT start or end with an ASCII whitespace
    // character (ASCII SP or HTAB, 0x20 or 0x09)."
    let padded = |value: &HeaderValue| value.as_bytes().trim_ascii() != value.as_bytes();
    if fields.values().any(padded) {
        return Err(TransportRefusal::Field);
    }
    check_length(fields)?;
    fields
        .get_all(EXPECT)
        .iter()
        .try_for_each(|value| expectation(value.as_bytes()))
}

fn check_length(fields: &HeaderMap) -> Result<(), TransportRefusal> {
    let mut lengths = fields.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else {
        return Ok(());
    };
    if lengths.next().is_some() {
        return Err(TransportRefusal::LengthRepeated);
    }
    parse_length(length.as_bytes()).map(drop)
}

/// Crumbs are one field again before anybody else sees them.
// RFC 9113 section 8.2.3: "If there are multiple Cookie header fields after decompression,
// these MUST be concatenated into a single octet string using the two-octet delimiter of
// 0x3b, 0x20 (the ASCII string "; ") before being passed into a non-HTTP/2 context".
fn join_cookies(fields: &mut HeaderMap) -> Result<(), TransportRefusal> {
    let crumbs: Vec<_> = fields.get_all(COOKIE).iter().collect();
    if crumbs.len() < 2 {
        return Ok(());
    }
    let crumbs: Vec<_> = crumbs.iter().map(|crumb| crumb.as_bytes()).collect();
    let whole =
        HeaderValue::from_bytes(&crumbs.join(&b"; "[..])).map_err(|_| TransportRefusal::Field)?;
    fields.insert(COOKIE, whole);
    Ok(())
}
