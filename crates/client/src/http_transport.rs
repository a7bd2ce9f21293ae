//! Sends requests to the vendor over HTTP/1.1 (RFC 9112). Tokens are requested
//! rarely, so each request has a connection of its own: none becomes stale, and
//! whether a request was sent is never in doubt.

use std::time::Duration;

use bytes::Bytes;
use countersign_dialect::ReplyHead;
use countersign_outbound::{
    HTTP_1_1, HandshakeDistrust, OutboundTls, ProxyRules, ServerConnector, ServerStream, ServerUrl,
    TlsOnPlainPort, TrustedRoots, client_config, failure_help, tell_no_content,
};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::de::IgnoredAny;
use tokio::task::AbortHandle;
use tower_service::Service;

use crate::{BoxFuture, Error, ErrorKind, RequestDelivery, Transport, TransportError, environment};

/// The time for name resolution, connection and TLS handshake.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// The time from then to the end of the reply.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// The largest reply that is read, in bytes.
const LARGEST_ANSWER: usize = 1 << 20;

/// Speaks HTTP/1.1 to one vendor. Redirects are not followed.
#[derive(Clone)]
pub struct HttpTransport {
    connector: ServerConnector,
    host: HeaderValue,
}

impl HttpTransport {
    /// Reaches the vendor at `url`, through a proxy if the environment names one
    /// ([`ProxyRules::told_by`]). If the URL is https, one of `roots` must have
    /// issued the vendor's certificate.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Setup`]: there are no roots, no certificate can be issued for the
    /// vendor's name, or the proxy cannot be used.
    pub fn new(url: &ServerUrl, roots: &TrustedRoots) -> Result<Self, Error> {
        Self::through(&environment::proxies(), url, roots)
    }

    /// As [`HttpTransport::new`], with these proxies instead of those of the
    /// environment.
    ///
    /// # Errors
    ///
    /// As [`HttpTransport::new`].
    pub fn through(
        proxies: &ProxyRules,
        url: &ServerUrl,
        roots: &TrustedRoots,
    ) -> Result<Self, Error> {
        let proxy = proxies.proxy_for(url);
        let proxy = proxy.map_err(|fault| {
            Error::new(ErrorKind::Setup, fault.to_string()).with_help_of(fault.help())
        })?;
        let tls = match url.is_https() {
            true => Some(tls(url, roots)?),
            false => None,
        };
        Ok(Self {
            connector: ServerConnector::new(tls, CONNECT_LIMIT).through(proxy),
            host: url.host().clone(),
        })
    }
}

fn tls(url: &ServerUrl, roots: &TrustedRoots) -> Result<OutboundTls, Error> {
    let fault = |why: String| Error::new(ErrorKind::Setup, why);
    let config = client_config(roots, &[HTTP_1_1]).map_err(|it| fault(it.to_string()))?;
    let name = ServerName::try_from(url.name().to_owned());
    let name =
        name.map_err(|_| fault(format!("no certificate can be issued for {:?}", url.name())))?;
    Ok(OutboundTls::new(config, name))
}

impl Transport for HttpTransport {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let target = request.uri().clone();
            let mut link = self.connect(target.clone()).await?;
            let request = self.with_wire_headers(request);
            let exchange = async {
                match link.requests.send_request(request).await {
                    Ok(response) => self.judged(target, read_whole_reply(response).await?).await,
                    Err(lost) => Err(self.unanswered(target, &lost).await),
                }
            };
            match tokio::time::timeout(ANSWER_LIMIT, exchange).await {
                Ok(answer) => answer,
                Err(_) => Err(maybe_sent("it took too long", None)),
            }
        })
    }
}

impl HttpTransport {
    /// Adds what every request says of the client, whatever it asks for.
    pub fn add_usual_headers(headers: &mut HeaderMap) {
        let agent = concat!("countersign/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        headers
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static("*/*"));
        // The reply is short: compression would gain nothing.
        headers
            .entry(ACCEPT_ENCODING)
            .or_insert(HeaderValue::from_static("identity"));
    }

    async fn connect(&self, target: Uri) -> Result<VendorConnection, TransportError> {
        let wire = self.connector.clone().call(target).await;
        let wire = wire.map_err(|error| not_sent(&*error))?;
        VendorConnection::over(wire).await
    }

    async fn unanswered(&self, target: Uri, lost: &hyper::Error) -> TransportError {
        match self.connector.should_speak_tls(&target, lost).await {
            true => wrong_scheme(),
            false => maybe_sent(&error_chain(lost), None),
        }
    }

    /// A reply, unless it only says in its own words, or not at all, that the port is for TLS.
    async fn judged(
        &self,
        target: Uri,
        reply: Response<Bytes>,
    ) -> Result<Response<Bytes>, TransportError> {
        // What is JSON is of a vendor: it costs no second connection.
        let is_foreign = reply.status() == StatusCode::BAD_REQUEST
            && serde_json::from_slice::<IgnoredAny>(reply.body()).is_err();
        let is_tls = is_foreign
            && (TlsOnPlainPort::is_told_in(reply.status(), reply.body())
                || self.connector.finds_tls(&target).await);
        match is_tls {
            true => Err(wrong_scheme()),
            false => Ok(reply),
        }
    }

    /// Adds what every request needs.
    fn with_wire_headers(&self, mut request: Request<Bytes>) -> Request<Full<Bytes>> {
        // RFC 9112 section 3.2.1: "When making a request directly to an origin server,
        // [...] a client MUST send only the absolute path and query components of the
        // target URI as the request-target. If the target URI's path component is
        // empty, the client MUST send "/" as the path".
        let target = request.uri().path_and_query().cloned();
        let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from(target);
        let headers = request.headers_mut();
        // RFC 9112 section 3.2: "A client MUST send a Host header field [...] in all
        // HTTP/1.1 request messages."
        headers.insert(HOST, self.host.clone());
        // RFC 9112 section 9.3: "A client that does not support persistent connections
        // MUST send the "close" connection option in every request message."
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        Self::add_usual_headers(headers);
        if request.body().is_empty() {
            let method = request.method().clone();
            tell_no_content(&method, request.headers_mut());
        }
        request.map(Full::new)
    }
}

/// A connection. It is closed when this is dropped.
struct VendorConnection {
    requests: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl VendorConnection {
    async fn over(wire: TokioIo<ServerStream>) -> Result<Self, TransportError> {
        let shaken = handshake(wire).await;
        let (requests, connection) = shaken.map_err(|error| not_sent(&error))?;
        let driver = tokio::spawn(connection).abort_handle();
        Ok(Self { requests, driver })
    }
}

impl Drop for VendorConnection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn read_whole_reply(response: Response<Incoming>) -> Result<Response<Bytes>, TransportError> {
    let shown = ReplyHead::from_response(&response);
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LARGEST_ANSWER).collect().await;
    let body = body.map_err(|error| TransportError {
        delivery: RequestDelivery::MaybeSent,
        message: format!(
            "the answer is incomplete ({shown}): {}",
            error_chain(&*error)
        ),
        help: None,
    })?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

fn not_sent(error: &(dyn std::error::Error + 'static)) -> TransportError {
    TransportError {
        delivery: RequestDelivery::NotSent,
        message: format!("no connection: {}", error_chain(error)),
        help: failure_help(error).map(str::to_owned),
    }
}

fn maybe_sent(why: &str, help: Option<&str>) -> TransportError {
    TransportError {
        delivery: RequestDelivery::MaybeSent,
        message: format!("no answer: {why}"),
        help: help.map(str::to_owned),
    }
}

fn wrong_scheme() -> TransportError {
    maybe_sent(&TlsOnPlainPort.to_string(), Some(TlsOnPlainPort::HELP))
}

/// An error followed by its causes, each said once, up to one that needs no cause.
fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut last = error;
    while let Some(inner) = last.source() {
        let distrust = last.downcast_ref::<HandshakeDistrust>();
        if distrust.is_some_and(HandshakeDistrust::is_explained) {
            break;
        }
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        last = inner;
    }
    text
}
