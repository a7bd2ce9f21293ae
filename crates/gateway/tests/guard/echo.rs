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
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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

impl Echo {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let echo = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            accepted: Arc::default(),
            answered: Arc::default(),
        };
        let (accepted, answered) = (Arc::clone(&echo.accepted), Arc::clone(&echo.answered));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                accepted.fetch_add(1, Ordering::SeqCst);
                let answered = Arc::clone(&answered);
                let answer = service_fn(move |request: Request<Incoming>| {
                    answered.fetch_add(1, Ordering::SeqCst);
                    echo_of(request)
                });
                let served = hyper::server::conn::http1::Builder::new();
                tokio::spawn(served.serve_connection(TokioIo::new(stream), answer));
            }
        });
        echo
    }

    pub fn requests(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }
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
