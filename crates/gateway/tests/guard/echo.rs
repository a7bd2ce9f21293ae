//! An upstream that tells what it received, and how to ask without a client.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Sends bytes as they are and reads the reply to the end of the connection.
pub async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.unwrap();
    String::from_utf8_lossy(&reply).into_owned()
}

/// The status of a raw reply, and its body.
pub fn status_and_body(reply: &str) -> (u16, &str) {
    let status = reply
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .parse()
        .unwrap_or(0);
    let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body)
}

/// An upstream that answers each request with what it received.
pub struct Echo {
    pub url: String,
    pub accepted: Arc<AtomicUsize>,
    pub answered: Arc<AtomicUsize>,
}

/// How an [`Echo`] speaks.
#[derive(Clone)]
pub enum Speech {
    Http1,
    Http2,
    /// Over TLS, what was agreed on there.
    Tls(TlsAcceptor),
}

impl Echo {
    pub async fn start() -> Self {
        Self::speaking(Speech::Http1).await
    }

    pub async fn speaking(speech: Speech) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let echo = Self {
            url: match speech {
                Speech::Tls(_) => format!("https://localhost:{}", address.port()),
                _ => format!("http://{address}"),
            },
            accepted: Arc::default(),
            answered: Arc::default(),
        };
        let (accepted, answered) = (Arc::clone(&echo.accepted), Arc::clone(&echo.answered));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(speak(stream, speech.clone(), Arc::clone(&answered)));
            }
        });
        echo
    }

    pub fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }
}

async fn speak(stream: TcpStream, speech: Speech, answered: Arc<AtomicUsize>) {
    match speech {
        Speech::Http1 => serve(stream, false, answered).await,
        Speech::Http2 => serve(stream, true, answered).await,
        Speech::Tls(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                serve(stream, h2, answered).await;
            }
        }
    }
}

async fn serve<S>(stream: S, h2: bool, answered: Arc<AtomicUsize>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let answer = service_fn(move |request: Request<Incoming>| {
        answered.fetch_add(1, Ordering::SeqCst);
        echo_of(request)
    });
    let stream = TokioIo::new(stream);
    let _ = if h2 {
        let served = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        served.serve_connection(stream, answer).await
    } else {
        let served = hyper::server::conn::http1::Builder::new();
        served.serve_connection(stream, answer).await
    };
}

async fn echo_of(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap();
    let trailers: Vec<String> = body
        .trailers()
        .into_iter()
        .flat_map(|it| it.keys().map(ToString::to_string))
        .collect();
    let fields: Vec<_> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let said = serde_json::json!({
        "version": format!("{:?}", parts.version),
        "method": parts.method.as_str(),
        "target": parts.uri.to_string(),
        "fields": fields,
        "trailers": trailers,
        "body": String::from_utf8_lossy(&body.to_bytes()),
    });
    Ok(Response::builder()
        .header("content-type", "application/json")
        .header("x-countersign-account", "forged by the upstream")
        .header("x-upstream", "echo")
        .body(Full::new(said.to_string().into()))
        .unwrap())
}

/// What an [`Echo`] received.
pub struct Received(serde_json::Value);

impl Received {
    pub fn from_raw(reply: &str) -> Self {
        let (status, body) = status_and_body(reply);
        assert_eq!(status, 200, "{reply}");
        Self(serde_json::from_str(body).unwrap())
    }

    pub fn of(response: &Response<Bytes>) -> Self {
        assert_eq!(response.status(), 200, "{:?}", response.body());
        Self(serde_json::from_slice(response.body()).unwrap())
    }

    pub fn text(&self, member: &str) -> &str {
        self.0[member].as_str().unwrap()
    }

    /// Every value of a field, in whatever spelling.
    pub fn field(&self, name: &str) -> Vec<&str> {
        let fields = self.0["fields"].as_array().unwrap();
        let named = fields.iter().filter(|field| field[0] == name);
        named.map(|field| field[1].as_str().unwrap()).collect()
    }

    pub fn names(&self) -> Vec<&str> {
        let fields = self.0["fields"].as_array().unwrap();
        fields
            .iter()
            .map(|field| field[0].as_str().unwrap())
            .collect()
    }

    pub fn has_trailers(&self) -> bool {
        !self.0["trailers"].as_array().unwrap().is_empty()
    }
}
