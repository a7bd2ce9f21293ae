//! The built-in reverse proxy: authorize, clean, forward, stream back.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign_dialect::{Presented, Refused};
use countersign_domain::{Operation, Reason, Refusal, Timestamp};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header, request};
use http_body::Body;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::answer::{Answer, AnswerBody};
use crate::api::GuardedApi;
use crate::body::{BoxError, Upload};
use crate::body_key::Keyed;
use crate::fields::{self, Onward};
use crate::permit::{Asked, Denied, Permit, authorize};
use crate::spend::Allowances;
use crate::tunnel::{self, Switch, Tunnel};
use crate::upstream::Upstream;
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
    /// Places for tunnels.
    tunnels: Arc<Semaphore>,
}

/// How many tunnels are open at most.
const MOST_TUNNELS: usize = 10_000;

/// When to come again, where nothing tells better.
const SOON: Duration = Duration::from_secs(1);

impl Gateway {
    /// A gateway that knows what `view` knows, and reports through `uses`.
    pub fn new(view: Arc<View>, uses: Arc<Uses>) -> Self {
        let allowances = Arc::new(Allowances::new(Arc::clone(&view)));
        Self {
            view,
            uses,
            allowances,
            tunnels: Arc::new(Semaphore::new(MOST_TUNNELS)),
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
        mut request: Request<B>,
        client: Client,
        request_id: &str,
        now: Timestamp,
    ) -> Answer
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let switch = tunnel::asked_for(&mut request);
        let (parts, body) = request.into_parts();
        let is_head = parts.method == Method::HEAD;
        let inbound = Inbound {
            api,
            parts,
            client,
            request_id,
            now,
        };
        match self.pass(inbound, body, switch).await {
            Ok((permit, response)) => {
                api.meter().allowed();
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

    async fn pass<B>(
        &self,
        mut inbound: Inbound<'_>,
        body: B,
        switch: Option<OnUpgrade>,
    ) -> Result<(Permit, Response<AnswerBody>), Denied>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let api = inbound.api;
        // An api without an upstream has nothing here.
        let upstream = api.upstream().ok_or(Reason::PathUnknown)?;
        let body = Upload::streaming(body, upstream.timeouts().body_idle);
        let (permit, body) = self.admit(&mut inbound, body).await?;
        self.uses.note_permit(&permit);
        let mut request = inbound.onward(upstream, &permit, body)?;
        let switch = self.switch(switch, &mut request);
        let switch = switch.map_err(|denied| denied.of(&permit))?;
        let budget = self.allowances.spend(api, &permit, inbound.now).await?;
        let began = Instant::now();
        let sent = upstream.send(request, switch.is_some()).await;
        api.meter().upstream_took(began.elapsed());
        let response = sent.map_err(|denied| denied.of(&permit))?;
        let mut response = match switch {
            Some(switch) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                let view = Arc::clone(&self.view);
                inbound.tunnel(upstream, view).open(switch, response)
            }
            _ => inbound.stream_back(upstream, response),
        };
        if let Some(left) = budget {
            left.write(response.headers_mut());
        }
        Ok((permit, response))
    }

    /// Takes a place for the tunnel that is asked for, and asks the upstream.
    fn switch(
        &self,
        asked: Option<OnUpgrade>,
        request: &mut Request<Upload>,
    ) -> Result<Option<Switch>, Denied> {
        let Some(client) = asked else {
            return Ok(None);
        };
        let place = Arc::clone(&self.tunnels).try_acquire_owned();
        let place = place.map_err(|_| Denied {
            detail: Some("all places for tunnels are taken".to_owned()),
            ..Denied::from(Reason::RequestsThrottled).for_now(SOON)
        })?;
        tunnel::ask(request.headers_mut());
        Ok(Some(Switch { client, place }))
    }

    /// Authorizes the request, and takes static keys off its body.
    ///
    /// Nothing of a body is read for a request that is refused anyway, and where
    /// one is read the last word is spoken after it.
    async fn admit(
        &self,
        inbound: &mut Inbound<'_>,
        body: Upload,
    ) -> Result<(Permit, Upload), Denied> {
        let Inbound {
            api, parts, now, ..
        } = inbound;
        let began = Instant::now();
        let mut asked = Asked {
            method: &parts.method,
            path: parts.uri.path(),
            presented: api.dialect().presented(&parts.headers, parts.uri.query()),
            address: inbound.client.address,
        };
        let decided = authorize(api, &self.view, &asked, *now);
        let Some(keyed) = Keyed::new(api, &parts.headers, &body) else {
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
                Err(denied) => Err(denied.of(&permit)),
            },
            Err(missing) if missing.reason == Reason::TokenMissing => {
                let (key, body) = keyed.take(body).await?;
                asked.presented = Presented::StaticKey(key.ok_or(missing)?);
                *now = *now + began.elapsed();
                Ok((authorize(api, &self.view, &asked, *now)?, body))
            }
            Err(denied) => Err(denied),
        }
    }
}

/// A request without its body, and whence it came.
struct Inbound<'a> {
    api: &'a GuardedApi,
    parts: request::Parts,
    client: Client,
    request_id: &'a str,
    /// When it came, or when what had to be read of its body had come.
    now: Timestamp,
}

impl Inbound<'_> {
    /// The request as the upstream gets it. The body's own length frames it;
    /// what the client said of framing is dropped with the other hop-by-hop
    /// fields.
    fn onward(
        &self,
        upstream: &Upstream,
        permit: &Permit,
        body: Upload,
    ) -> Result<Request<Upload>, Denied> {
        let (api, parts) = (self.api, &self.parts);
        let onward = Onward {
            api,
            upstream,
            permit,
            request_id: self.request_id,
            client: self.client,
        };
        let query = parts.uri.query().and_then(|query| api.strip_query(query));
        let target = upstream.target(parts.uri.path(), query.as_deref());
        let mut request = Request::new(body);
        // A path that was judged fits into a URI, so this cannot happen.
        *request.uri_mut() = target.map_err(|_| Reason::PathAmbiguous)?;
        *request.method_mut() = parts.method.clone();
        *request.headers_mut() = onward.fields(parts);
        Ok(request)
    }

    fn stream_back(
        &self,
        upstream: &Upstream,
        response: Response<Incoming>,
    ) -> Response<AnswerBody> {
        let (mut parts, body) = response.into_parts();
        parts.version = Version::HTTP_11;
        let is_head = self.parts.method == Method::HEAD;
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
        let idle = upstream.timeouts().body_idle;
        let watch = self.api.meter().watch(self.request_id);
        Response::from_parts(parts, AnswerBody::upstream(body, idle, watch))
    }

    fn tunnel(self, upstream: &Upstream, view: Arc<View>) -> Tunnel {
        Tunnel {
            api: self.api.without_upstream(),
            view,
            asked: self.parts,
            asked_at: self.now,
            client: self.client,
            request_id: self.request_id.into(),
            timeouts: *upstream.timeouts(),
        }
    }
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
    let soon = (refusal == Refusal::Unavailable).then_some(SOON);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_no_place_for_a_tunnel_is_told_when_to_come_again() {
        let gateway = Gateway {
            tunnels: Arc::new(Semaphore::new(0)),
            ..Gateway::new(Arc::default(), Arc::new(Uses::new(1, |_, _| ())))
        };
        let asked = Some(hyper::upgrade::on(Request::new(())));
        let mut request = Request::new(Upload::whole(Bytes::new()));
        let denied = gateway.switch(asked, &mut request).err().unwrap();
        assert_eq!(denied.reason, Reason::RequestsThrottled);
        assert!(denied.retry_after.is_some());
        assert!(request.headers().is_empty(), "the upstream is not asked");
    }
}
