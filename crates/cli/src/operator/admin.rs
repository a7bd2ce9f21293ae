//! One request to the admin API, and what its answer means for the exit code.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::address::{Address, ServerArgs};
use crate::exit::Failure;
use crate::table::printable;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// The largest answer that is read.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// The admin API of a server.
pub(crate) struct Admin {
    address: Address,
    client: Client<HttpConnector, Full<Bytes>>,
    runtime: Runtime,
}

impl Admin {
    /// The server that the command line, the environment or the data directory
    /// names.
    pub(crate) fn find(server: &ServerArgs) -> Result<Self, Failure> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Self {
            address: server.address()?,
            client: Client::builder(TokioExecutor::new()).build(connector),
            runtime: runtime.map_err(Failure::failed)?,
        })
    }

    /// What is at a path, such as `/accounts`.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask(&Method::GET, path, None)
    }

    /// Creates something under a path.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(&Method::POST, path, Some(body))
    }

    /// Changes what is at a path.
    pub(crate) fn patch(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(&Method::PATCH, path, Some(body))
    }

    /// Deletes or ends what is at a path; null if the answer is empty.
    pub(crate) fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.ask(&Method::DELETE, path, None)
    }

    fn ask(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let request = self.request(method, path, body)?;
        let exchange = async {
            let response = self.client.request(request).await;
            let response = response.map_err(|error| self.unreachable(&reason(&error)))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body.map_err(|error| self.unreachable(&error.to_string()))?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        let response = self
            .runtime
            .block_on(async { tokio::time::timeout(ANSWER, exchange).await });
        let response = response.map_err(|_| self.unreachable("it does not answer in time"))??;
        self.understand(&response)
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let uri = format!("{}/admin/v1{path}", self.address.url);
        let uri: Uri = uri.parse().map_err(Failure::bug)?;
        let bearer = format!("Bearer {}", self.address.key.expose());
        let mut bearer = HeaderValue::from_str(&bearer).map_err(Failure::bug)?;
        bearer.set_sensitive(true);
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(AUTHORIZATION, bearer);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        request
            .body(Full::new(Bytes::from(body)))
            .map_err(Failure::bug)
    }

    fn understand(&self, response: &Response<Bytes>) -> Result<Value, Failure> {
        let status = response.status();
        if status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        let body = serde_json::from_slice::<Value>(response.body());
        match body {
            Ok(body) if status.is_success() => Ok(body),
            Ok(problem) if problem["code"].is_string() => Err(self.told(status, &problem)),
            _ => Err(Failure::failed(format!(
                "{} answered {status}, and not as a Countersign server does: is the URL right? It \
                 comes from {}",
                self.address.url, self.address.source
            ))),
        }
    }

    /// A problem that the server told (RFC 9457).
    fn told(&self, status: StatusCode, problem: &Value) -> Failure {
        let detail = printable(problem["detail"].as_str().unwrap_or_default());
        let failure = match status {
            StatusCode::UNAUTHORIZED => {
                let file = self.address.key_file.display();
                Failure::refused(format!("{detail} (it comes from {file})"))
            }
            StatusCode::FORBIDDEN => Failure::refused(detail),
            StatusCode::SERVICE_UNAVAILABLE => Failure::unavailable(detail),
            _ => Failure::failed(detail),
        };
        failure.with_details(json!({ "problem": problem }))
    }

    fn unreachable(&self, why: &str) -> Failure {
        let Address { url, source, .. } = &self.address;
        Failure::unavailable(format!(
            "the server cannot be reached at {url} ({why}): is it running? The URL comes from \
             {source}"
        ))
    }
}

/// The innermost cause: the outer ones only say that a request failed.
fn reason(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// `text` as a segment of a path or a value in a query (RFC 3986 section 2.1):
/// every byte but the unreserved ones is escaped.
pub(crate) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
