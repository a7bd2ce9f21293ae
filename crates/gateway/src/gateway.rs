//! The built-in reverse proxy: authorize, clean, forward, stream back.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use countersign_dialect::{Presented, Refused};
use countersign_domain::{Operation, Reason, Refusal, Timestamp};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header, request};
use http_body::Body;
use hyper::body::Incoming;

use crate::answer::{Answer, AnswerBody, Watch};
use crate::api::GuardedApi;
use crate::body::{BoxError, Upload};
use crate::body_key::Keyed;
use crate::fields::{self, Onward};
use crate::permit::{Asked, Denied, Permit, authorize};
use crate::rate_limit::BudgetLeft;
use crate::spend::Allowances;
use crate::uses::Uses;
use crate::view::View;

/// The client of a request, as far as its connection tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address: the peer's, or what a trusted proxy says that it is.
    pub address: IpAddr,
    /// Whether it spoke TLS.
    pub tls: bool,
}

/// Guards apis and forwards to their upstreams.
pub struct Gateway {
    view: Arc<View>,
    uses: Arc<Uses>,
    allowances: Arc<Allowances>,
}

impl Gateway {
    /// A gateway that knows what `view` knows, and reports through `uses`.
    pub fn new(view: Arc<View>, uses: Arc<Uses>) -> Self {
        let allowances = Arc::new(Allowances::new(Arc::clone(&view)));
        Self {
            view,
            uses,
            allowances,
        }
    }

    /// With allowances that other front ends share.
    #[must_use]
    pub fn with_allowances(mut self, allowances: Arc<Allowances>) -> Self {
        self.allowances = allowances;
        self
    }

    /// Answers a request whose path `api` claims.
    ///
    /// `request_id` is random and unique: the upstream gets it in
    /// `X-Countersign-Request-Id`, the client of a refused request as the
    /// support id in `X-Countersign-Refusal`.
    pub async fn forward<B>(
        &self,
        api: &GuardedApi,
        request: Request<B>,
        client: Client,
        request_id: &str,
        now: Timestamp,
    ) -> Answer
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let is_head = parts.method == Method::HEAD;
        let idle = api.upstream().map(|it| it.timeouts().body_idle);
        let idle = idle.unwrap_or_default();
        let body = Upload::streaming(body, idle);
        let passed = self.pass(api, parts, body, client, request_id, now).await;
        match passed {
            Ok((permit, budget, response)) => {
                api.meter().allowed();
                let watch = api.meter().watch(request_id);
                let mut response = stream_back(response, idle, watch, is_head);
                if let Some(left) = budget {
                    left.write(response.headers_mut());
                }
                Answer {
                    response,
                    outcome: Ok(permit),
                }
            }
            Err(denied) => refused(api, denied, request_id, is_head),
        }
    }

    /// Refuses a request whose client cannot be told, and so cannot be judged.
    pub fn refuse(
        &self,
        api: &GuardedApi,
        method: &Method,
        reason: Reason,
        request_id: &str,
    ) -> Answer {
        refused(api, reason.into(), request_id, *method == Method::HEAD)
    }

    async fn pass(
        &self,
        api: &GuardedApi,
        parts: request::Parts,
        body: Upload,
        client: Client,
        request_id: &str,
        now: Timestamp,
    ) -> Result<(Permit, Option<BudgetLeft>, Response<Incoming>), Denied> {
        // An api without an upstream has nothing here.
        let upstream = api.upstream().ok_or(Reason::PathUnknown)?;
        let (permit, body) = self.admit(api, &parts, body, client, now).await?;
        self.uses.note_permit(&permit);
        let onward = Onward {
            api,
            upstream,
            permit: &permit,
            request_id,
            client,
        };
        let request = onward_request(&onward, &parts, body)?;
        let budget = self.allowances.spend(api, &permit, now).await?;
        let began = Instant::now();
        let sent = upstream.send(request).await;
        api.meter().upstream_took(began.elapsed());
        match sent {
            Ok(response) => Ok((permit, budget, response)),
            Err(denied) => Err(denied.of(&permit)),
        }
    }

    /// Authorizes the request, and takes static keys off its body.
    ///
    /// Nothing of a body is read for a request that is refused anyway, and where
    /// one is read the last word is spoken after it.
    async fn admit(
        &self,
        api: &GuardedApi,
        parts: &request::Parts,
        body: Upload,
        client: Client,
        now: Timestamp,
    ) -> Result<(Permit, Upload), Denied> {
        let mut asked = Asked {
            method: &parts.method,
            path: parts.uri.path(),
            presented: api.dialect().presented(&parts.headers, parts.uri.query()),
            address: client.address,
        };
        let decided = authorize(api, &self.view, &asked, now);
        let Some(keyed) = Keyed::new(api, &parts.headers, &body) else {
            return Ok((decided?, body));
        };
        match decided {
            Ok(permit) if permit.caller().is_none() => Ok((permit, keyed.clean(body).await?)),
            Ok(permit) => match keyed.strip(body, &asked.presented).await {
                // The body took its time, in which the caller can have lost
                // what let it pass.
                Ok(stripped) => Ok((authorize(api, &self.view, &asked, now)?, stripped)),
                Err(denied) => Err(denied.of(&permit)),
            },
            Err(missing) if missing.reason == Reason::TokenMissing => {
                let (key, body) = keyed.take(body).await?;
                asked.presented = Presented::StaticKey(key.ok_or(missing)?);
                Ok((authorize(api, &self.view, &asked, now)?, body))
            }
            Err(denied) => Err(denied),
        }
    }
}

/// The request as the upstream gets it. The body's own length frames it; what
/// the client said of framing is dropped with the other hop-by-hop fields.
fn onward_request(
    onward: &Onward<'_>,
    parts: &request::Parts,
    body: Upload,
) -> Result<Request<Upload>, Denied> {
    let api = onward.api;
    let query = parts.uri.query().and_then(|query| api.strip_query(query));
    let target = onward.upstream.target(parts.uri.path(), query.as_deref());
    let mut request = Request::new(body);
    // A path that was judged fits into a URI, so this cannot happen.
    *request.uri_mut() = target.map_err(|_| Reason::PathAmbiguous)?;
    *request.method_mut() = parts.method.clone();
    *request.headers_mut() = onward.fields(parts);
    Ok(request)
}

fn stream_back(
    response: Response<Incoming>,
    idle: Duration,
    watch: Watch,
    is_head: bool,
) -> Response<AnswerBody> {
    let (mut parts, body) = response.into_parts();
    parts.version = Version::HTTP_11;
    let length = if is_head || parts.status == StatusCode::NOT_MODIFIED {
        fields::told_length(&parts.headers)
    } else {
        let follows = body.size_hint().exact().filter(|_| !body.is_end_stream());
        follows.map(HeaderValue::from)
    };
    parts.headers = fields::for_client(&parts.headers);
    if let Some(length) = length {
        parts.headers.insert(header::CONTENT_LENGTH, length);
    }
    Response::from_parts(parts, AnswerBody::upstream(body, idle, watch))
}

fn refused(api: &GuardedApi, denied: Denied, request_id: &str, is_head: bool) -> Answer {
    api.meter().refused(denied.reason);
    let refusal = refuse(api, &denied, request_id);
    Answer {
        // An answer to HEAD has no body (RFC 9110 section 9.3.2).
        response: refusal
            .map(|body| AnswerBody::refusal(if is_head { Bytes::new() } else { body })),
        outcome: Err(denied),
    }
}

/// The refusal in the dialect's spelling.
pub(crate) fn refuse(api: &GuardedApi, denied: &Denied, request_id: &str) -> Response<Bytes> {
    let refusal = denied.reason.refusal(Operation::Guard);
    let soon = (refusal == Refusal::Unavailable).then_some(Duration::from_secs(1));
    let mut response = api.dialect().refuse(&Refused {
        retry_after: denied.retry_after.or(soon),
        ..Refused::new(Operation::Guard, refusal)
    });
    let headers = response.headers_mut();
    headers.insert(fields::REFUSAL, fields::visible(request_id));
    if let Some(left) = &denied.budget {
        left.write(headers);
    }
    response
}
