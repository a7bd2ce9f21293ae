//! Carries a request to an upstream and its response back, over pooled connections. It
//! judges nothing: the guard or the sidecar has already done so.

use std::convert::Infallible;
use std::fmt::Display;
use std::future::{Future, pending};
use std::sync::Arc;

use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::answer_body::AnswerBody;
use crate::error::RelayError;
use crate::headers;
use crate::idempotent_methods::is_idempotent;
use crate::public_origin::{self, PublicOrigin};
use crate::tunnel::{self, Tunnel, TunnelSlots, TunnelSwitch};
use crate::upload::{BoxError, Upload};
use crate::upstream::{Upstream, UpstreamFault, UpstreamSettings, UpstreamState};
use crate::upstream_metrics::UpstreamMetrics;

/// One request on its way to an upstream and back.
pub struct UpstreamExchange<'a> {
    /// The upstream.
    pub upstream: &'a Upstream,
    /// The metrics of its requests.
    pub meter: &'a UpstreamMetrics,
    /// The name of the upstream in the log.
    pub request_id: &'a str,
    /// Whether an answer has no body, whatever its head states.
    pub is_head: bool,
    /// Which fields of the answer the client gets, besides those that frame it.
    pub keeps: fn(&str) -> bool,
    /// The address at which the client sent its request.
    pub asked: PublicOrigin<'a>,
}

/// Whether the upstream has agreed to switch protocols.
pub fn is_switched<B>(response: &Response<B>) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS
}

/// The request; it asks for WebSocket if it is to `switch`, and for no other protocol.
fn dressed(mut request: Request<Upload>, switch: bool) -> Request<Upload> {
    let fields = request.headers_mut();
    if switch {
        tunnel::set_upgrade_fields(fields);
    } else if fields.contains_key(header::SEC_WEBSOCKET_KEY) {
        tunnel::forget(fields);
    }
    request
}

impl UpstreamExchange<'_> {
    /// Sends the request, which asks for WebSocket if it is to `switch`, and waits for
    /// the head of the answer.
    ///
    /// If a request without a body is lost with a connection that was reused, and its
    /// method is idempotent (RFC 9110 section 9.2.2), it is sent once more, as `again`
    /// writes it and over a new connection.
    pub async fn send<E: From<RelayError>>(
        &self,
        request: Request<Upload>,
        switch: bool,
        again: impl FnOnce() -> Result<Request<Upload>, E>,
    ) -> Result<Response<Incoming>, E> {
        // RFC 9110 section 9.2.2: "A proxy MUST NOT automatically retry non-idempotent
        // requests."
        let repeatable = is_idempotent(request.method()) && request.body().is_end_stream();
        let began = Instant::now();
        let mut sent = self.upstream.send(dressed(request, switch), switch).await;
        if repeatable && sent.as_ref().is_err_and(|it| it.lost) {
            self.meter.retried();
            let limit = self.upstream.timeouts().response_head;
            let left = limit.saturating_sub(began.elapsed());
            let request = dressed(again()?, switch);
            sent = self.upstream.send_anew(request, switch, left).await;
        }
        self.meter.upstream_took(began.elapsed());
        sent.map_err(|it| it.error.into())
    }

    /// The answer for the client, with its body as the upstream sends it.
    pub fn stream_back(&self, response: Response<Incoming>) -> Response<AnswerBody> {
        let (mut parts, body) = response.into_parts();
        let trailers = (parts.version == Version::HTTP_2).then_some(self.keeps);
        parts.version = Version::HTTP_11;
        let length = if self.is_head || parts.status == StatusCode::NOT_MODIFIED {
            headers::told_length(&parts.headers)
        } else {
            let follows = body.size_hint().exact().filter(|_| !body.is_end_stream());
            follows.map(HeaderValue::from)
        };
        parts.headers = headers::end_to_end(&parts.headers, self.keeps);
        public_origin::make_public(&mut parts.headers, self.upstream.url(), &self.asked);
        if let Some(length) = length {
            parts.headers.insert(header::CONTENT_LENGTH, length);
        }
        let idle = self.upstream.timeouts().body_idle;
        let watch = self.meter.watch(self.request_id);
        let body = AnswerBody::upstream(body, trailers, idle, watch);
        Response::from_parts(parts, body)
    }

    /// Joins the client to an upstream that switched, until `over` at the latest.
    pub fn join(
        &self,
        switch: TunnelSwitch,
        response: Response<Incoming>,
        over: impl Future<Output: Display> + Send + 'static,
    ) -> Response<AnswerBody> {
        let tunnel = Tunnel {
            meter: self.meter.clone(),
            request_id: self.request_id.into(),
            timeouts: *self.upstream.timeouts(),
            fields: headers::end_to_end(response.headers(), self.keeps),
        };
        tunnel.open(switch, response, over)
    }
}

/// An upstream for requests that somebody else has judged and written.
pub struct Relay {
    upstream: Arc<Upstream>,
    meter: UpstreamMetrics,
    tunnels: TunnelSlots,
}

impl Relay {
    /// The relay to an upstream, which is called `name` in logs and metrics. It must be
    /// created within a tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`Upstream::new`].
    pub fn new(name: &str, settings: UpstreamSettings) -> Result<Self, UpstreamFault> {
        Ok(Self {
            upstream: Arc::new(Upstream::new(name, settings)?),
            meter: UpstreamMetrics::new(name),
            tunnels: TunnelSlots::default(),
        })
    }

    /// Whether requests are sent to the upstream at the moment.
    pub fn state(&self) -> UpstreamState {
        self.upstream.state()
    }

    /// The name of the upstream in `Host`.
    pub fn host(&self) -> &HeaderValue {
        self.upstream.host()
    }

    /// The target of a request for `path` and `query`, below the upstream's base.
    ///
    /// # Errors
    ///
    /// They are not allowed in a URI.
    pub fn target(&self, path: &str, query: Option<&str>) -> Result<Uri, http::Error> {
        self.upstream.target(path, query)
    }

    /// Takes the client's side of the tunnel from a request that asks for WebSocket, if
    /// the listener allows it.
    ///
    /// # Errors
    ///
    /// The limit of open tunnels is reached.
    pub fn switch<B: Body>(
        &self,
        request: &mut Request<B>,
    ) -> Result<Option<TunnelSwitch>, RelayError> {
        self.tunnels.take(tunnel::asked_for_websocket(request))
    }

    /// A body as it arrives, with pauses up to a limit.
    pub fn streaming<B>(&self, body: B) -> Upload
    where
        B: Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Upload::streaming(body, self.upstream.timeouts().body_idle)
    }

    /// Sends a request, as `write` makes it around its body, and returns the upstream's
    /// answer without the fields that belong to its connection alone.
    ///
    /// With a `switch`, the request asks for WebSocket; if the upstream agrees, the
    /// switch is taken and the client is joined to it. Where the answer names the
    /// upstream's own origin, for example in a redirect, it is replaced by `asked_host`,
    /// over plain HTTP. If a request without a body is lost with a connection that was
    /// reused, and its method is idempotent, it is written and sent once more.
    ///
    /// # Errors
    ///
    /// There is no answer: the upstream is down, too slow, or does not speak HTTP, or the
    /// client broke off.
    pub async fn send<E: From<RelayError>>(
        &self,
        write: impl Fn(Upload) -> Result<Request<Upload>, E>,
        body: Upload,
        switch: &mut Option<TunnelSwitch>,
        asked_host: Option<&HeaderValue>,
        request_id: &str,
    ) -> Result<Response<AnswerBody>, E> {
        let request = write(body)?;
        let passage = UpstreamExchange {
            upstream: &self.upstream,
            meter: &self.meter,
            request_id,
            is_head: *request.method() == Method::HEAD,
            keeps: |_| true,
            asked: PublicOrigin {
                https: false,
                host: asked_host.cloned(),
                told_host: None,
                prefix: "",
            },
        };
        let again = || write(Upload::none());
        let response = passage.send(request, switch.is_some(), again).await?;
        Ok(match switch.take_if(|_| is_switched(&response)) {
            Some(switch) => passage.join(switch, response, pending::<Infallible>()),
            None => passage.stream_back(response),
        })
    }
}
