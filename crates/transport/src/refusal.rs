//! What the transport itself refuses, and how: one table from the reason to a problem
//! document (RFC 9457), or to a connection that is closed without an answer because HTTP
//! has not begun on it.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};

use crate::Peer;
use crate::refused_page_request::RefusedPageRequest;

/// A request that was refused before the service saw it, or a connection on
/// which none could begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedRequest {
    /// Whose it was.
    pub peer: Peer,
    /// The status that it is answered with; none where the connection is
    /// closed without an answer.
    pub status: Option<StatusCode>,
    /// What is wrong with it, in one sentence.
    pub why: &'static str,
}

/// What is done with a refusal: it is told, with what is known of the page that asked,
/// and gives fields for the answer, as [`REFUSAL`].
pub type RefusalHook =
    dyn Fn(&RefusedRequest, Option<&RefusedPageRequest>) -> HeaderMap + Send + Sync;

/// Carries the id under which a refusal can be found.
pub const REFUSAL: HeaderName = HeaderName::from_static("x-countersign-refusal");

/// Why a request is not answered by the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransportRefusal {
    RequestLine,
    Version,
    Target,
    TargetTooLong,
    ServerTarget,
    Tunnel,
    LineEnd,
    Field,
    HeadTooLarge,
    HeadsTooLarge,
    Crowded,
    TooManyFields,
    HostMissing,
    HostRepeated,
    HostInvalid,
    HostDiffers,
    LengthInvalid,
    LengthRepeated,
    CodingUnknown,
    CodingRepeated,
    CodingWithLength,
    CodingInOldVersion,
    Expectation,
    HeadTooSlow,
    Overdue,
    Displaced,
    Broken,
    Handshake,
    ProxyUntrusted,
    ProxyCutOff,
    ProxyVersion,
    ProxyFamily,
    ProxyLength,
}

impl TransportRefusal {
    /// None for what is said before HTTP begins.
    pub(crate) fn status(self) -> Option<StatusCode> {
        Some(match self {
            Self::RequestLine
            | Self::Target
            | Self::LineEnd
            | Self::Field
            | Self::HostMissing
            | Self::HostRepeated
            | Self::HostInvalid
            | Self::HostDiffers
            | Self::LengthInvalid
            | Self::LengthRepeated
            | Self::CodingRepeated
            | Self::CodingWithLength
            | Self::CodingInOldVersion => StatusCode::BAD_REQUEST,
            Self::HeadTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::HeadTooLarge | Self::TooManyFields => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ServerTarget | Self::Tunnel | Self::CodingUnknown => StatusCode::NOT_IMPLEMENTED,
            Self::HeadsTooLarge | Self::Crowded | Self::Overdue | Self::Displaced => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Handshake
            | Self::ProxyUntrusted
            | Self::ProxyCutOff
            | Self::ProxyVersion
            | Self::ProxyFamily
            | Self::ProxyLength => return None,
        })
    }

    /// One sentence for the peer; free of characters that JSON would escape.
    pub(crate) fn detail(self) -> &'static str {
        match self {
            Self::RequestLine => "The request line is malformed.",
            Self::Version => "Only HTTP/1.1 and HTTP/1.0 are spoken here.",
            Self::Target => "The request target is malformed.",
            Self::TargetTooLong => "The request target is too long.",
            Self::ServerTarget => "Requests about the server as a whole are not served.",
            Self::Tunnel => "Tunnels are not served.",
            Self::LineEnd => "A line of the request head does not end in CR LF.",
            Self::Field => "A field line is malformed.",
            Self::HeadTooLarge => "The request head is too large.",
            Self::HeadsTooLarge => "The heads of the requests that run are too large together.",
            Self::Crowded => "More requests run than may.",
            Self::TooManyFields => "The request head has too many fields.",
            Self::HostMissing => "The Host field is missing.",
            Self::HostRepeated => "The Host field is repeated.",
            Self::HostInvalid => "The Host field is invalid.",
            Self::HostDiffers => "The request target names another host than the Host field.",
            Self::LengthInvalid => "The Content-Length field is invalid.",
            Self::LengthRepeated => "The Content-Length field is repeated.",
            Self::CodingUnknown => "The only transfer coding served is chunked.",
            Self::CodingRepeated => "The Transfer-Encoding field is repeated.",
            Self::CodingWithLength => "Transfer-Encoding and Content-Length exclude each other.",
            Self::CodingInOldVersion => "HTTP/1.0 has no transfer codings.",
            Self::Expectation => "The expectation is not known.",
            Self::HeadTooSlow => "The request head did not arrive in time.",
            Self::Overdue => "The request was not answered in time.",
            Self::Displaced => "The request came slowly while others waited for its connection.",
            Self::Broken => "The request could not be answered.",
            Self::Handshake => "The TLS handshake failed.",
            Self::ProxyUntrusted => "The peer is not one of the trusted proxies.",
            Self::ProxyCutOff => "The PROXY header did not arrive whole and in time.",
            Self::ProxyVersion => "The connection does not begin with a PROXY header of version 2.",
            Self::ProxyFamily => "The PROXY header names no TCP connection over IPv4 or IPv6.",
            Self::ProxyLength => "A length in the PROXY header is wrong.",
        }
    }

    /// The answer, after which the connection closes: behind a request that was
    /// not understood nobody knows where the next one begins.
    pub(crate) fn response(self) -> Response<Bytes> {
        let status = self.status().unwrap_or(StatusCode::BAD_REQUEST);
        let title = status.canonical_reason().unwrap_or_default();
        let code = status.as_u16();
        let detail = self.detail();
        let body = format!(r#"{{"title":"{title}","status":{code},"detail":"{detail}"}}"#);
        let mut response = problem_response(status, body);
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A response with this status and a problem document (RFC 9457).
pub fn problem_response(status: StatusCode, document: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(document.into());
    *response.status_mut() = status;
    let media_type = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}
