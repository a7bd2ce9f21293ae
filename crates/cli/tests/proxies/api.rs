//! The guarded API: it remembers what reached it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// A request as the API got it.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

pub(crate) struct RecordingApi {
    pub(crate) address: SocketAddr,
    reached: Arc<Mutex<Vec<Reached>>>,
}

impl RecordingApi {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let reached = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&reached);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let seen = Arc::clone(&seen);
                let answer = service_fn(move |request| record(Arc::clone(&seen), request));
                let served = hyper::server::conn::http1::Builder::new();
                tokio::spawn(served.serve_connection(TokioIo::new(stream), answer));
            }
        });
        Self { address, reached }
    }

    /// What has reached it since this was asked last.
    pub(crate) fn reached(&self) -> Vec<Reached> {
        std::mem::take(&mut self.reached.lock().unwrap())
    }
}

async fn record(
    seen: Arc<Mutex<Vec<Reached>>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes());
    seen.lock().unwrap().push(Reached {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: body.unwrap_or_default(),
    });
    Ok(Response::new(Full::new(Bytes::from_static(b"reached"))))
}

impl Reached {
    /// A header; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The headers that an API could take for one of Countersign's, in any
    /// spelling with hyphens and underscores.
    pub(crate) fn identity(&self) -> Vec<(String, String)> {
        let text = |it: &http::HeaderValue| it.to_str().unwrap().to_owned();
        let all = self.headers.iter();
        let all = all.map(|(name, value)| (name.as_str().replace('_', "-"), text(value)));
        let mut own: Vec<_> = all
            .filter(|(name, value)| name.starts_with("x-countersign") && !value.is_empty())
            .collect();
        own.sort();
        own
    }
}
