//! A server that remembers what reached it, over HTTP/1.1, HTTP/2 or TLS.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::listening::listen;
use crate::raw::status_and_body;
use crate::replies::Reply;

/// What a server answers.
type AnswerRequest = dyn Fn(&ReceivedRequest) -> Response<Full<Bytes>> + Send + Sync;

/// How a server speaks.
#[derive(Clone)]
pub enum ServerProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 from the first byte on.
    Http2,
    /// Over TLS, what was agreed on there.
    Tls(TlsAcceptor),
}

/// A server that runs as long as the test.
#[derive(Clone, Debug)]
pub struct RecordingServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// The same as a URL, for `localhost` where it speaks TLS.
    pub url: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<ReceivedRequest>>>,
}

/// A request as the server got it.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// Its method.
    pub method: String,
    /// Its target, whole.
    pub target: String,
    /// Its header.
    pub headers: HeaderMap,
    /// What came after its body.
    pub trailers: HeaderMap,
    /// Its body; empty if it broke off.
    pub body: Bytes,
}

impl RecordingServer {
    /// A server over HTTP/1.1 that answers each request so.
    pub fn start(
        answer: impl Fn(&ReceivedRequest) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        Self::speaking(ServerProtocol::Http1, answer)
    }

    /// As [`RecordingServer::start`], over this protocol.
    pub fn speaking(
        protocol: ServerProtocol,
        answer: impl Fn(&ReceivedRequest) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        let over_tls = matches!(protocol, ServerProtocol::Tls(_));
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (count, seen) = (Arc::clone(&connections), Arc::clone(&requests));
        let answer: Arc<AnswerRequest> = Arc::new(answer);
        let listener = listen(move |stream| {
            count.fetch_add(1, Ordering::SeqCst);
            let service = RecordingService {
                seen: Arc::clone(&seen),
                answer: Arc::clone(&answer),
            };
            service.speak(stream, protocol.clone())
        });
        Self {
            address: listener.address,
            url: match over_tls {
                true => format!("https://localhost:{}", listener.address.port()),
                false => listener.url(),
            },
            connections,
            requests,
        }
    }

    /// How often somebody has connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many requests have come since they were taken last.
    #[must_use]
    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// What has come since this was asked last.
    pub fn take(&self) -> Vec<ReceivedRequest> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

struct RecordingService {
    seen: Arc<Mutex<Vec<ReceivedRequest>>>,
    answer: Arc<AnswerRequest>,
}

impl RecordingService {
    async fn speak(self, stream: TcpStream, protocol: ServerProtocol) {
        match protocol {
            ServerProtocol::Http1 => self.serve(stream, false).await,
            ServerProtocol::Http2 => self.serve(stream, true).await,
            ServerProtocol::Tls(acceptor) => {
                // Who does not shake hands is no concern of the server.
                if let Ok(stream) = acceptor.accept(stream).await {
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    self.serve(stream, http2).await;
                }
            }
        }
    }

    async fn serve<Io>(self, stream: Io, http2: bool)
    where
        Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (stream, service) = (TokioIo::new(stream), Arc::new(self));
        let answer = service_fn(|request| {
            let service = Arc::clone(&service);
            async move { Ok::<_, Infallible>(service.answer(request).await) }
        });
        // A client that goes away is no concern of the server, either.
        let _ = if http2 {
            let served = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            served.serve_connection(stream, answer).await
        } else {
            let served = hyper::server::conn::http1::Builder::new();
            served.serve_connection(stream, answer).await
        };
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let request = ReceivedRequest::read(request).await;
        self.seen.lock().unwrap().push(request.clone());
        (self.answer)(&request)
    }
}

impl ReceivedRequest {
    async fn read(request: Request<Incoming>) -> Self {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap_or_default();
        Self {
            version: format!("{:?}", parts.version),
            method: parts.method.to_string(),
            target: parts.uri.to_string(),
            headers: parts.headers,
            trailers: body.trailers().cloned().unwrap_or_default(),
            body: body.to_bytes(),
        }
    }

    /// An answer that tells the request; [`ReceivedRequest::from_reply`] reads it.
    #[must_use]
    pub fn echo(&self) -> Response<Full<Bytes>> {
        let told = json!({
            "version": self.version,
            "method": self.method,
            "target": self.target,
            "headers": pairs(&self.headers),
            "trailers": pairs(&self.trailers),
            "body": self.text(),
        });
        let answer = Response::builder().header("content-type", "application/json");
        answer.body(Full::new(told.to_string().into())).unwrap()
    }

    /// The request that an echo tells of.
    #[must_use]
    pub fn from_reply(reply: &Reply) -> Self {
        assert_eq!(reply.status, 200, "{}", reply.text());
        Self::told_in(&reply.text())
    }

    /// As [`ReceivedRequest::from_reply`], of an echo as it came.
    #[must_use]
    pub fn of_raw(reply: &str) -> Self {
        let (status, body) = status_and_body(reply);
        assert_eq!(status, 200, "{reply}");
        Self::told_in(body)
    }

    fn told_in(body: &str) -> Self {
        let told: Value = serde_json::from_str(body).unwrap_or_else(|it| panic!("{it}: {body}"));
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        Self {
            version: text("version"),
            method: text("method"),
            target: text("target"),
            headers: header_map(&told["headers"]),
            trailers: header_map(&told["trailers"]),
            body: text("body").into(),
        }
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header; empty if it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.field(name).first().copied().unwrap_or_default()
    }

    /// Every value of a header.
    #[must_use]
    pub fn field(&self, name: &str) -> Vec<&str> {
        let values = self.headers.get_all(name).iter();
        values
            .map(|it| std::str::from_utf8(it.as_bytes()).unwrap())
            .collect()
    }

    /// The name of each line of the header.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| name.as_str()).collect()
    }
}

fn pairs(headers: &HeaderMap) -> Vec<(&str, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), text(value.as_bytes())))
        .collect()
}

fn header_map(pairs: &Value) -> HeaderMap {
    let pairs = pairs.as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    pairs
        .map(|pair| {
            let (name, value) = (text(&pair[0]), text(&pair[1]));
            (
                name.parse::<http::HeaderName>().unwrap(),
                value.parse().unwrap(),
            )
        })
        .collect()
}
