//! Requests that are sent whole, each on a connection of its own, and their replies.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::raw::RawClient;

/// Why there is no reply.
pub type SendError = Box<dyn std::error::Error + Send + Sync>;

/// An answer with its body whole.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its header.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// A request with a body; `headers` are name and value.
#[must_use]
pub fn request(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).unwrap()
}

/// Sends a request from 127.0.0.1.
pub async fn send(to: SocketAddr, request: Request<Full<Bytes>>) -> Reply {
    send_from("127.0.0.1", to, request).await.unwrap()
}

/// Sends a request from an address of the loopback network.
///
/// # Errors
/// If there is no connection, or it breaks.
pub async fn send_from(
    source: &str,
    to: SocketAddr,
    request: Request<Full<Bytes>>,
) -> Result<Reply, SendError> {
    let stream = RawClient::connect_from(source, to).await?.stream;
    send_on(stream, &to.to_string(), request).await
}

/// Sends a request on a connection that is there; `host` is named where the request
/// does not name one.
///
/// # Errors
/// If the connection breaks.
pub async fn send_on<Io, B>(
    stream: Io,
    host: &str,
    mut request: Request<B>,
) -> Result<Reply, SendError>
where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<SendError>,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    if !request.headers().contains_key("host") {
        request.headers_mut().insert("host", host.parse()?);
    }
    let reply = Reply::whole(sender.send_request(request).await?).await;
    connection.abort();
    reply
}

impl Reply {
    /// Reads an answer to its end.
    ///
    /// # Errors
    /// If it breaks off.
    pub async fn whole<B>(response: Response<B>) -> Result<Self, SendError>
    where
        B: Body,
        B::Error: Into<SendError>,
    {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(Into::into)?;
        Ok(Self {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        })
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header; empty if it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// Status and text, for an assertion that shows both.
    #[must_use]
    pub fn outcome(&self) -> (u16, String) {
        (self.status.as_u16(), self.text())
    }
}
