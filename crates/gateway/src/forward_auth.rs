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

/// What every path begins with at which proxies ask.
const BASE: &str = "/forward-auth/";

/// Where nginx asks for a refusal in the dialect's spelling, below the api.
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

/// The answer to a proxy.
pub struct ForwardAnswer<'r> {
    /// What the proxy gets.
    pub response: Response<Bytes>,
    /// What the log gets; `None` if a refusal that was logged before is told
    /// again.
    pub outcome: Option<Result<Permit, GuardDenial>>,
    /// The request that was judged, as far as it could be read.
    pub original: Option<OriginalRequest<'r>>,
}

/// The name of the api that a proxy asks about, if `path` is one at which
/// proxies ask.
pub fn asked_api(path: &str) -> Option<&str> {
    let name = path.strip_prefix(BASE)?;
    Some(name.split_once('/').map_or(name, |(name, _)| name))
}

impl ForwardAuth {
    /// Verdicts for these proxies, by what `view` knows; uses are reported
    /// through `uses`.
    pub fn new(view: Arc<RevocationView>, uses: Arc<FirstUses>, trusted: TrustedProxies) -> Self {
        Self {
            allowances: Arc::new(RequestAllowances::new(Arc::clone(&view))),
            view,
            uses,
            trusted,
            kept: Arc::default(),
        }
    }

    /// With allowances that other front ends share.
    #[must_use]
    pub fn with_allowances(mut self, allowances: Arc<RequestAllowances>) -> Self {
        self.allowances = allowances;
        self
    }

    /// The same for other proxies: what it has to tell once more is kept.
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

    /// Answers a proxy that asks about a request to `api`, at a path of which
    /// [`asked_api`] gave the api's name.
    ///
    /// `peer` is the address that connected. `request_id` is random and unique;
    /// the client of a refused request gets it as its support id.
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

    /// The answer as proxies of this family can use it. To nginx any status but
    /// 401 and 403 is a failure of its own, so it gets one of these two and asks
    /// for the rest by the support id.
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

    /// The refusal with the support id that nginx gives back, in the dialect's
    /// spelling. One that is not known any more is unavailable: the partner may
    /// come again.
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

/// What follows the api's name in the path.
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

/// A refusal of which the proxy looks at the status and the support id only.
fn bare(status: StatusCode, request_id: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    let id = visible(request_id);
    response.headers_mut().insert(headers::REFUSAL, id);
    response
}

/// Whoever asks is not a proxy of ours, so no api's spelling is owed to it (RFC
/// 9457).
fn untrusted<'r>(request_id: &str) -> ForwardAnswer<'r> {
    const PROBLEM: &[u8] = br#"{"type":"about:blank","title":"Forbidden","status":403,"detail":"verdicts are for trusted proxies"}"#;
    let mut response = bare(StatusCode::FORBIDDEN, request_id);
    *response.body_mut() = Bytes::from_static(PROBLEM);
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    ForwardAnswer {
        response,
        outcome: Some(Err(Reason::ProxyUntrusted.into())),
        original: None,
    }
}
