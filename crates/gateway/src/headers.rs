//! Header fields of a guarded request (RFC 9110 section 7.6).
//!
//! Every field that Countersign itself sets is first removed, in every spelling that an
//! upstream might take for it, and then set. So no client header and no `Connection`
//! option can forge or remove it. No `Via` is added: SECURITY.md says why.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Version, request};

use countersign_relay::{
    FilteredTrailers, Upload, Upstream, UpstreamHost, end_to_end, folded, is_reserved, trailing,
    visible,
};

use crate::api::GuardedApi;
use crate::client::ClientConnection;
use crate::permit::{CallerProof, Permit};

/// The support id of a refused request.
pub(crate) const REFUSAL: HeaderName = HeaderName::from_static("x-countersign-refusal");
const API: HeaderName = HeaderName::from_static("x-countersign-api");
const ACCOUNT: HeaderName = HeaderName::from_static("x-countersign-account");
const LOGIN: HeaderName = HeaderName::from_static("x-countersign-login");
const SESSION: HeaderName = HeaderName::from_static("x-countersign-session");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-countersign-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What is added to a request that is forwarded.
pub(crate) struct ForwardedHeaders<'a> {
    pub(crate) api: &'a GuardedApi,
    pub(crate) upstream: &'a Upstream,
    pub(crate) permit: &'a Permit,
    pub(crate) request_id: &'a str,
    pub(crate) client: ClientConnection,
}

impl ForwardedHeaders<'_> {
    /// The fields that the upstream gets.
    pub(crate) fn fields(&self, inbound: &request::Parts, body: &Upload) -> HeaderMap {
        let secret = self.secret_headers();
        let mut fields = end_to_end(&inbound.headers, |name| {
            name != "host" && !is_reserved(name) && !secret.iter().any(|it| folded(it) == name)
        });
        join_cookies(&mut fields);
        fields.insert(header::HOST, self.host(inbound));
        // RFC 9113 section 8.2.2: "the TE header field, which MAY be present in an HTTP/2
        // request; when it is, it MUST NOT contain any value other than "trailers"."
        if self.upstream.speaks_http2() && wants_trailers(inbound) {
            fields.insert(header::TE, TRAILERS);
        }
        self.say_whence(&mut fields, inbound);
        identify(&mut fields, self.api, self.permit, self.request_id);
        body.tell_framing(&inbound.method, &inbound.headers, &mut fields);
        fields
    }

    /// The `Host` for the upstream: its own name, or the one that the client sent.
    fn host(&self, inbound: &request::Parts) -> HeaderValue {
        let told = match self.upstream.host_of() {
            UpstreamHost::Upstream => None,
            UpstreamHost::Client => asked_host(inbound),
        };
        told.unwrap_or_else(|| self.upstream.host().clone())
    }

    /// The fields that contain a credential and are not forwarded. Only an access token
    /// that was verified may be.
    fn secret_headers(&self) -> &[HeaderName] {
        let proof = self.permit.caller().map(|caller| caller.proof);
        match proof {
            Some(CallerProof::Token { .. }) => self.api.secret_headers(),
            Some(CallerProof::StaticKey) | None => self.api.presentation_headers(),
        }
    }

    fn say_whence(&self, fields: &mut HeaderMap, inbound: &request::Parts) {
        let address = self.client.address.to_canonical().to_string();
        let scheme = if self.client.tls { "https" } else { "http" };
        fields.insert(FORWARDED_FOR, visible(&address));
        fields.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
        if let Some(host) = asked_host(inbound) {
            fields.insert(FORWARDED_HOST, host);
        }
        if let Some(prefix) = self.api.prefix() {
            fields.insert(FORWARDED_PREFIX, prefix.clone());
        }
    }
}

/// States who calls, in every identity field. Fields without a value are empty, so that a
/// proxy which copies them leaves no field of the client's.
pub(crate) fn identify_fully(
    fields: &mut HeaderMap,
    api: &GuardedApi,
    permit: &Permit,
    request_id: &str,
) {
    for name in [ACCOUNT, LOGIN, SESSION] {
        fields.insert(name, HeaderValue::from_static(""));
    }
    identify(fields, api, permit, request_id);
}

/// States who calls, as far as it is known.
fn identify(fields: &mut HeaderMap, api: &GuardedApi, permit: &Permit, request_id: &str) {
    fields.insert(API, visible(api.name().as_str()));
    fields.insert(REQUEST_ID, visible(request_id));
    let Some(caller) = permit.caller() else {
        return;
    };
    fields.insert(ACCOUNT, caller.account.number().into());
    fields.insert(LOGIN, visible(&caller.login));
    if let Some(session) = caller.session() {
        fields.insert(SESSION, visible(&session.to_string()));
    }
}

/// The host of the request; over HTTP/2 it is only in the target (RFC 9113 section
/// 8.3.1).
fn asked_host(inbound: &request::Parts) -> Option<HeaderValue> {
    let authority = || HeaderValue::from_str(inbound.uri.authority()?.as_str()).ok();
    let told = inbound.headers.get(header::HOST).cloned();
    told.or_else(authority)
}

/// Joins several `Cookie` fields, which HTTP/2 allows (RFC 9113 section 8.2.3), into one,
/// as HTTP/1.1 requires.
fn join_cookies(fields: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = fields
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if crumbs.len() > 1
        && let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        fields.insert(header::COOKIE, cookie);
    }
}

/// Cleans the trailers of a request: they may contain no identity, and no credential,
/// since nobody looks for one there.
pub(crate) fn clean_trailers(api: &GuardedApi) -> FilteredTrailers {
    let secret: Vec<String> = api
        .presentation_headers()
        .iter()
        .map(|it| folded(it).into_owned())
        .collect();
    Box::new(move |trailers| {
        trailing(trailers, |name| {
            !is_reserved(name) && !secret.iter().any(|it| it == name)
        })
    })
}

/// Whether the client accepts trailers. A client with HTTP/1.1 says so for its
/// connection, and gets none: they would have to be announced.
fn wants_trailers(inbound: &request::Parts) -> bool {
    let mut told = inbound.headers.get_all(header::TE).iter();
    inbound.version == Version::HTTP_2
        && told.any(|value| value.as_bytes().eq_ignore_ascii_case(b"trailers"))
}

/// Whether the upstream may set a field of an answer, by its [`folded`] name.
pub(crate) fn is_the_upstreams(name: &str) -> bool {
    !name.starts_with("x-countersign")
}

/// The value of a field that occurs exactly once.
pub(crate) fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}
