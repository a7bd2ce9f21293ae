//! Forward-auth: decides for a proxy that forwards the request itself.
//!
//! The proxy asks `/forward-auth/{api}` about each request and describes its client's request
//! in headers. Only the headers of the configured kind of proxy are read, only from trusted
//! proxies, and each must occur exactly once: a proxy passes on other headers as its client
//! sent them, and if one of those were read, the client could choose the path that is judged.
//! The body of the check is never read, so static keys in a body are supported behind the
//! built-in proxy only.
//!
//! A positive answer always carries every identity header, so that a proxy which copies them
//! overwrites whatever the client sent.

mod family;
mod pending_refusals;
mod proxy_family;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use countersign_domain::{Reason, Timestamp};
use countersign_relay::visible;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use crate::allowances::RequestAllowances;
use crate::api::GuardedApi;
use crate::client_address::TrustedProxies;
use crate::denial::GuardDenial;
use crate::first_use::FirstUses;
use crate::gateway::refuse;
use crate::headers;
use crate::permit::{GuardedRequest, Permit, authorize};
use crate::rate_limit::BudgetLeft;
use crate::revocation_view::RevocationView;
use pending_refusals::PendingRefusals;

pub use self::family::OriginalRequest;
pub use self::proxy_family::ProxyFamily;

/// The beginning of every path at which proxies ask for a verdict.
const BASE: &str = "/forward-auth/";

/// The path, below the api's, at which nginx fetches a refusal in the dialect's format.
const REFUSAL_PATH: &str = "/refusal";

/// The original URI without its static key, for proxies that can forward it.
const URI: HeaderName = HeaderName::from_static("x-countersign-uri");

/// Judges requests for proxies.
pub struct ForwardAuth {
    view: Arc<RevocationView>,
    uses: Arc<FirstUses>,
    allowances: Arc<RequestAllowances>,
    trusted: TrustedProxies,
    kept: Arc<PendingRefusals>,
}

/// The answer to a proxy's question.
pub struct ForwardAnswer<'r> {
    /// The response for the proxy.
    pub response: Response<Bytes>,
    /// The outcome for the log; `None` if the refusal was logged before and is only sent
    /// again.
    pub outcome: Option<Result<Permit, GuardDenial>>,
    /// The request that was judged, as far as it could be read.
    pub original: Option<OriginalRequest<'r>>,
}

/// The name of the api in `path`, if proxies ask for verdicts at that path.
pub fn asked_api(path: &str) -> Option<&str> {
    let name = path.strip_prefix(BASE)?;
    Some(name.split_once('/').map_or(name, |(name, _)| name))
}

impl ForwardAuth {
    /// Verdicts for these proxies, based on what `view` knows. `uses` is told which
    /// generations are used.
    pub fn new(view: Arc<RevocationView>, uses: Arc<FirstUses>, trusted: TrustedProxies) -> Self {
        Self {
            allowances: Arc::new(RequestAllowances::new(Arc::clone(&view))),
            view,
            uses,
            trusted,
            kept: Arc::default(),
        }
    }

    /// Shares allowances with other front ends.
    #[must_use]
    pub fn with_allowances(mut self, allowances: Arc<RequestAllowances>) -> Self {
        self.allowances = allowances;
        self
    }

    /// The same for other proxies; refusals that have to be sent once more are kept.
    #[must_use]
    pub fn trusting(&self, trusted: TrustedProxies) -> Self {
        Self {
            view: Arc::clone(&self.view),
            uses: Arc::clone(&self.uses),
            allowances: Arc::clone(&self.allowances),
            kept: Arc::clone(&self.kept),
            trusted,
        }
    }

    /// Answers a proxy that asks about a request to `api`, at a path in which
    /// [`asked_api`] found the api's name.
    ///
    /// `peer` is the address that connected. `request_id` is random and unique; the
    /// client of a refused request receives it as its support id.
    pub async fn answer<'r>(
        &self,
        api: &GuardedApi,
        check: &'r Parts,
        peer: IpAddr,
        request_id: &str,
        now: Timestamp,
    ) -> ForwardAnswer<'r> {
        if !self.trusted.has(peer) {
            return untrusted(request_id);
        }
        let Some(family) = api.forward_auth() else {
            return ForwardAnswer::refused(api, Reason::PathUnknown.into(), request_id);
        };
        let below = below_api(check);
        if family == ProxyFamily::Nginx && below == REFUSAL_PATH {
            return self.tell_again(api, check, request_id, now);
        }
        match family.original_request(check, below, &self.trusted) {
            Ok(original) => {
                self.judge(api, family, check, original, request_id, now)
                    .await
            }
            Err(denied) => {
                api.meter().refused(denied.reason);
                let answer = ForwardAnswer::refused(api, denied, request_id);
                self.fit(family, api, answer, request_id, now)
            }
        }
    }

    async fn judge<'r>(
        &self,
        api: &GuardedApi,
        family: ProxyFamily,
        check: &'r Parts,
        original: OriginalRequest<'r>,
        request_id: &str,
        now: Timestamp,
    ) -> ForwardAnswer<'r> {
        let answer = match self.admit(api, &original, &check.headers, now).await {
            Ok((permit, budget)) => {
                api.meter().allowed();
                let mut response = success(api, &permit, &original, request_id);
                if let Some(left) = budget {
                    left.write(response.headers_mut());
                }
                ForwardAnswer {
                    response,
                    outcome: Some(Ok(permit)),
                    original: Some(original),
                }
            }
            Err(denied) => {
                api.meter().refused(denied.reason);
                let mut answer = ForwardAnswer::refused(api, denied, request_id);
                if original.method == Method::HEAD {
                    // RFC 9110 section 9.3.2.
                    *answer.response.body_mut() = Bytes::new();
                }
                answer.original = Some(original);
                answer
            }
        };
        self.fit(family, api, answer, request_id, now)
    }

    async fn admit(
        &self,
        api: &GuardedApi,
        original: &OriginalRequest<'_>,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<(Permit, Option<BudgetLeft>), GuardDenial> {
        // The proxy forwards the path as it came, so nothing is merged here.
        if original.path().contains("//") {
            return Err(Reason::PathAmbiguous.into());
        }
        let path = api.site().without_prefix(original.path());
        let asked = GuardedRequest {
            method: &original.method,
            path: path.ok_or(Reason::PathUnknown)?,
            presented: api.dialect().presented(headers, original.query()),
            address: original.address,
        };
        let permit = authorize(api, &self.view, &asked, now)?;
        self.uses.note_permit(&permit);
        let budget = self.allowances.spend(api, &permit, now).await?;
        Ok((permit, budget))
    }

    /// The answer in a form that proxies of this family can use. nginx treats any status
    /// but 200, 401 and 403 as a failure, so it receives 401 or 403 and then fetches the
    /// rest by the support id.
    fn fit<'r>(
        &self,
        family: ProxyFamily,
        api: &GuardedApi,
        mut answer: ForwardAnswer<'r>,
        request_id: &str,
        now: Timestamp,
    ) -> ForwardAnswer<'r> {
        if let (ProxyFamily::Nginx, Some(Err(denied))) = (family, &answer.outcome) {
            let status = match answer.response.status() {
                StatusCode::UNAUTHORIZED => StatusCode::UNAUTHORIZED,
                _ => StatusCode::FORBIDDEN,
            };
            self.kept.keep(request_id, api.name(), denied, now);
            answer.response = bare(status, request_id);
        }
        answer
    }

    /// The refusal with the support id that nginx returns, in the dialect's format. If it
    /// is not known any more, the answer is unavailable: the partner may try again.
    fn tell_again<'r>(
        &self,
        api: &GuardedApi,
        asked: &Parts,
        request_id: &str,
        now: Timestamp,
    ) -> ForwardAnswer<'r> {
        let id = headers::only(&asked.headers, &headers::REFUSAL);
        let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
        let Some(denied) = self.kept.take(id, api.name(), now) else {
            tracing::warn!(
                request = request_id,
                api = api.name().as_str(),
                "an unknown refusal was asked for"
            );
            return ForwardAnswer {
                outcome: None,
                ..ForwardAnswer::refused(api, Reason::StoreUnavailable.into(), request_id)
            };
        };
        ForwardAnswer {
            outcome: None,
            ..ForwardAnswer::refused(api, denied, id)
        }
    }
}

impl ForwardAnswer<'_> {
    fn refused(api: &GuardedApi, denied: GuardDenial, request_id: &str) -> Self {
        Self {
            response: refuse(api, &denied, request_id),
            outcome: Some(Err(denied)),
            original: None,
        }
    }
}

/// The part of the path after the api's name.
fn below_api(check: &Parts) -> &str {
    let path = check.uri.path();
    let name = path.strip_prefix(BASE).unwrap_or_default();
    name.find('/').map_or("", |slash| &name[slash..])
}

fn success(
    api: &GuardedApi,
    permit: &Permit,
    original: &OriginalRequest<'_>,
    request_id: &str,
) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.reserve(6);
    headers::identify_fully(headers, api, permit, request_id);
    // What was read from a header or a URI fits into a header.
    let uri = HeaderValue::from_str(&original.without_static_key(api));
    headers.insert(URI, uri.unwrap_or(HeaderValue::from_static("")));
    response
}

/// A refusal of which the proxy uses only the status and the support id.
fn bare(status: StatusCode, request_id: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    let id = visible(request_id);
    response.headers_mut().insert(headers::REFUSAL, id);
    response
}

/// The refusal for someone who is not one of our proxies and therefore does not get it in
/// the api's format (RFC 9457).
pub fn for_trusted_proxies() -> Response<Bytes> {
    const PROBLEM: &[u8] = br#"{"type":"about:blank","title":"Forbidden","status":403,"detail":"verdicts are for trusted proxies"}"#;
    let mut response = Response::new(Bytes::from_static(PROBLEM));
    *response.status_mut() = StatusCode::FORBIDDEN;
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn untrusted<'r>(request_id: &str) -> ForwardAnswer<'r> {
    let mut response = for_trusted_proxies();
    response
        .headers_mut()
        .insert(headers::REFUSAL, visible(request_id));
    ForwardAnswer {
        response,
        outcome: Some(Err(Reason::ProxyUntrusted.into())),
        original: None,
    }
}
