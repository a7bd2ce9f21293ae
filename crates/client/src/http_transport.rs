//! Sends requests to the vendor over HTTP/1.1 (RFC 9112). Tokens are requested
//! rarely, so each request has a connection of its own: none becomes stale, and
//! whether a request was sent is never in doubt.

use std::time::Duration;

use bytes::Bytes;
use countersign_dialect::ReplyHead;
use countersign_outbound::{
    HTTP_1_1, HandshakeDistrust, OutboundTls, ProxyRules, ServerConnector, ServerStream, ServerUrl,
    SpeaksTls, TrustedRoots, client_config, tell_no_content,
};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
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
        let proxy = proxy.map_err(|it| Error::new(ErrorKind::Setup, it.to_string()))?;
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
                    Ok(response) => read_whole_reply(response).await,
                    Err(lost) => Err(self.unanswered(target, &lost).await),
                }
            };
            match tokio::time::timeout(ANSWER_LIMIT, exchange).await {
                Ok(answer) => answer,
                Err(_) => Err(maybe_sent("it took too long")),
            }
        })
    }
}

impl HttpTransport {
    async fn connect(&self, target: Uri) -> Result<VendorConnection, TransportError> {
        let wire = self.connector.clone().call(target).await;
        let wire = wire.map_err(|error| not_sent(&error_chain(&*error)))?;
        VendorConnection::over(wire).await
    }

    async fn unanswered(&self, target: Uri, lost: &hyper::Error) -> TransportError {
        match self.connector.should_speak_tls(target, lost).await {
            true => maybe_sent(&SpeaksTls.to_string()),
            false => maybe_sent(&error_chain(lost)),
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
        let agent = concat!("countersign/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        headers
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static("*/*"));
        // The reply is short: compression would gain nothing.
        headers
            .entry(ACCEPT_ENCODING)
            .or_insert(HeaderValue::from_static("identity"));
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
        let (requests, connection) = shaken.map_err(|error| not_sent(&error_chain(&error)))?;
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
    })?;
    let response = Response::from_parts(head, body.to_bytes());
    match SpeaksTls::is_told_in(response.status(), response.body()) {
        true => Err(maybe_sent(&SpeaksTls.to_string())),
        false => Ok(response),
    }
}

fn not_sent(why: &str) -> TransportError {
    TransportError {
        delivery: RequestDelivery::NotSent,
        message: format!("no connection: {why}"),
    }
}

fn maybe_sent(why: &str) -> TransportError {
    TransportError {
        delivery: RequestDelivery::MaybeSent,
        message: format!("no answer: {why}"),
    }
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
