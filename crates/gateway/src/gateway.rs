//! The built-in reverse proxy: authorize, clean, forward, stream the response back.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign_dialect::{PresentedCredential, TokenRefusal};
use countersign_domain::{FORWARDED_METHODS, Reason, Refusal, Timestamp, TokenOperation};
use countersign_relay::{
    AnswerBody, BoxError, PublicOrigin, TunnelSlots, Upload, Upstream, UpstreamExchange,
    UpstreamHost, asked_for_websocket, is_switched, visible,
};
use http::{HeaderValue, Method, Request, Response, Uri, header, request};
use http_body::Body;
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use crate::allowances::RequestAllowances;
use crate::answer::GuardAnswer;
use crate::api::GuardedApi;
use crate::body_key::KeyedBody;
use crate::client::ClientConnection;
use crate::denial::GuardDenial;
use crate::first_use::FirstUses;
use crate::headers::{self, ForwardedHeaders};
use crate::permit::{GuardedRequest, Permit, authorize};
use crate::revocation_view::RevocationView;
use crate::tunnel_review::TunnelReview;

/// Guards apis and forwards to their upstreams.
pub struct Gateway {
    view: Arc<RevocationView>,
    uses: Arc<FirstUses>,
    allowances: Arc<RequestAllowances>,
    tunnels: TunnelSlots,
}

/// How long to wait before the next attempt, if nothing better is known.
const SOON: Duration = Duration::from_secs(1);

impl Gateway {
    /// A gateway that judges by what `view` knows. `uses` is told which generations are
    /// used.
    pub fn new(view: Arc<RevocationView>, uses: Arc<FirstUses>) -> Self {
        let allowances = Arc::new(RequestAllowances::new(Arc::clone(&view)));
        Self {
            view,
            uses,
            allowances,
            tunnels: TunnelSlots::default(),
        }
    }

    /// Shares allowances with other front ends.
    #[must_use]
    pub fn with_allowances(mut self, allowances: Arc<RequestAllowances>) -> Self {
        self.allowances = allowances;
        self
    }

    /// Answers a request whose path belongs to `api`. If the api's dialect merges
    /// repeated slashes, the merged path is judged and forwarded.
    ///
    /// `request_id` is random and unique: the upstream receives it in
    /// `X-Countersign-Request-Id`, and the client of a refused request as the support id
    /// in `X-Countersign-Refusal`.
    pub async fn forward<B>(
        &self,
        api: &GuardedApi,
        mut request: Request<B>,
        client: ClientConnection,
        request_id: &str,
        now: Timestamp,
    ) -> GuardAnswer
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let switch = asked_for_websocket(&mut request);
        let (mut parts, body) = request.into_parts();
        if let Cow::Owned(merged) = api.dialect().read_path(parts.uri.path()) {
            parts.uri = at_path(&parts.uri, &merged);
        }
        let is_head = parts.method == Method::HEAD;
        let inbound = InboundRequest {
            api,
            parts,
            client,
            request_id,
            now,
        };
        match self.pass(inbound, body, switch).await {
            Ok((permit, response)) => {
                api.meter().allowed();
                GuardAnswer {
                    response,
                    outcome: Ok(permit),
                }
            }
            Err(denied) => refused(api, denied, request_id, is_head),
        }
    }

    /// Refuses a request that cannot be judged, because its client's address is unknown.
    pub fn refuse(
        &self,
        api: &GuardedApi,
        method: &Method,
        reason: Reason,
        request_id: &str,
    ) -> GuardAnswer {
        refused(api, reason.into(), request_id, *method == Method::HEAD)
    }

    async fn pass<B>(
        &self,
        mut inbound: InboundRequest<'_>,
        body: B,
        switch: Option<OnUpgrade>,
    ) -> Result<(Permit, Response<AnswerBody>), GuardDenial>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let api = inbound.api;
        // An api without an upstream has nothing here.
        let upstream = api.upstream().ok_or(Reason::PathUnknown)?;
        let body = Upload::streaming(body, upstream.timeouts().body_idle);
        let (permit, body) = self.admit(&mut inbound, body).await?;
        let body = body.looked_at().await;
        self.uses.note_permit(&permit);
        let request = inbound.onward(upstream, &permit, body)?;
        let mut switch = self
            .tunnels
            .take(switch)
            .map_err(|error| GuardDenial::from(error).with_caller(&permit))?;
        let budget = self.allowances.spend(api, &permit, inbound.now).await?;
        let passage = inbound.passage(upstream);
        let again = || inbound.onward(upstream, &permit, Upload::none());
        let sent = passage.send(request, switch.is_some(), again).await;
        let response = sent.map_err(|denied: GuardDenial| denied.with_caller(&permit))?;
        let mut response = match switch.take_if(|_| is_switched(&response)) {
            Some(switch) => {
                let judged = inbound.judged(Arc::clone(&self.view));
                passage.join(switch, response, judged.refused())
            }
            None => passage.stream_back(response),
        };
        if let Some(left) = budget {
            left.write(response.headers_mut());
        }
        Ok((permit, response))
    }

    /// Authorizes the request, and removes static keys from its body.
    ///
    /// No body is read if the request is refused anyway, and if one is read, the decision
    /// is made afterwards.
    async fn admit(
        &self,
        inbound: &mut InboundRequest<'_>,
        body: Upload,
    ) -> Result<(Permit, Upload), GuardDenial> {
        let InboundRequest {
            api, parts, now, ..
        } = inbound;
        let began = Instant::now();
        let mut asked = GuardedRequest {
            method: &parts.method,
            path: parts.uri.path(),
            presented: api.dialect().presented(&parts.headers, parts.uri.query()),
            address: inbound.client.address,
        };
        let decided = authorize(api, &self.view, &asked, *now);
        let Some(keyed) = KeyedBody::new(api, &parts.headers, &body) else {
            return Ok((decided?, body));
        };
        match decided {
            Ok(permit) if permit.caller().is_none() => Ok((permit, keyed.clean(body).await?)),
            Ok(permit) => match keyed.strip(body, &asked.presented).await {
                // The body took its time, in which the caller can have lost
                // what let it pass.
                Ok(stripped) => {
                    *now = *now + began.elapsed();
                    Ok((authorize(api, &self.view, &asked, *now)?, stripped))
                }
                Err(denied) => Err(denied.with_caller(&permit)),
            },
            Err(missing) if missing.reason == Reason::TokenMissing => {
                let (key, body) = keyed.take(body).await?;
                asked.presented = PresentedCredential::StaticKey(key.ok_or(missing)?);
                *now = *now + began.elapsed();
                Ok((authorize(api, &self.view, &asked, *now)?, body))
            }
            Err(denied) => Err(denied),
        }
    }
}

/// A request without its body, and its client.
struct InboundRequest<'a> {
    api: &'a GuardedApi,
    parts: request::Parts,
    client: ClientConnection,
    request_id: &'a str,
    /// When it arrived, or when the part of its body that must be read had arrived.
    now: Timestamp,
}

impl<'a> InboundRequest<'a> {
    /// The request for the upstream. It is framed by the length of the body itself, not
    /// by what the client stated.
    fn onward(
        &self,
        upstream: &Upstream,
        permit: &Permit,
        body: Upload,
    ) -> Result<Request<Upload>, GuardDenial> {
        let (api, parts) = (self.api, &self.parts);
        let onward = ForwardedHeaders {
            api,
            upstream,
            permit,
            request_id: self.request_id,
            client: self.client,
        };
        let query = parts.uri.query().and_then(|query| api.strip_query(query));
        let host = self.told_host(upstream);
        let target = upstream.target_called(host, parts.uri.path(), query.as_deref());
        let body = match upstream.speaks_http2() {
            true => body.with_trailers(headers::clean_trailers(api)),
            false => body,
        };
        let mut request = Request::new(body);
        // A path that was judged fits into a URI, so this cannot happen.
        *request.uri_mut() = target.map_err(|_| Reason::PathAmbiguous)?;
        *request.method_mut() = parts.method.clone();
        *request.headers_mut() = onward.fields(parts, request.body());
        Ok(request)
    }

    /// The client's own `Host`, if it is forwarded to the upstream.
    fn told_host(&self, upstream: &Upstream) -> Option<&HeaderValue> {
        let told = upstream.host_of() == UpstreamHost::Client;
        self.parts.headers.get(header::HOST).filter(|_| told)
    }

    fn passage(&self, upstream: &'a Upstream) -> UpstreamExchange<'a> {
        UpstreamExchange {
            upstream,
            meter: self.api.meter().upstream(),
            request_id: self.request_id,
            is_head: self.parts.method == Method::HEAD,
            keeps: headers::is_the_upstreams,
            asked: PublicOrigin {
                https: self.client.tls,
                host: self.parts.headers.get(header::HOST).cloned(),
                told_host: self.told_host(upstream).cloned(),
                prefix: self.api.site().prefix(),
            },
        }
    }

    fn judged(self, view: Arc<RevocationView>) -> TunnelReview {
        TunnelReview {
            api: self.api.without_upstream(),
            view,
            client: self.client,
            asked: self.parts,
            asked_at: self.now,
        }
    }
}

/// The request target with another path, which consists of parts of its own.
pub fn at_path(uri: &Uri, path: &str) -> Uri {
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = target.try_into().ok();
    // Parts of a target are a target.
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

fn refused(api: &GuardedApi, denied: GuardDenial, request_id: &str, is_head: bool) -> GuardAnswer {
    api.meter().refused(denied.reason);
    let refusal = refuse(api, &denied, request_id);
    GuardAnswer {
        // An answer to HEAD has no body (RFC 9110 section 9.3.2).
        response: refusal.map(|body| AnswerBody::whole(if is_head { Bytes::new() } else { body })),
        outcome: Err(denied),
    }
}

/// The refusal in the dialect's format.
pub(crate) fn refuse(api: &GuardedApi, denied: &GuardDenial, request_id: &str) -> Response<Bytes> {
    let refusal = denied.reason.refusal(TokenOperation::Guard);
    let soon = (refusal == Refusal::Unavailable).then_some(SOON);
    let mut response = api.dialect().write_refusal(&TokenRefusal {
        retry_after: denied.retry_after.or(soon),
        allow: (denied.reason == Reason::MethodUnknown).then_some(FORWARDED_METHODS),
        ..TokenRefusal::new(TokenOperation::Guard, refusal)
    });
    let headers = response.headers_mut();
    headers.insert(headers::REFUSAL, visible(request_id));
    if let Some(left) = &denied.budget {
        left.write(headers);
    }
    response
}
