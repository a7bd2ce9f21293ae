//! One request to the admin API, and what its answer means for the exit code.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use countersign_check::printable;
use countersign_dialect::redirect_target;
use countersign_outbound::{HandshakeDistrust, TlsOnPlainPort, failure_reason};
use countersign_store::random::random;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::address::{Address, ServerArgs};
use super::connection::{connect, is_https, open};
use crate::exit::Failure;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// The largest answer that is read.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// The admin API of a server.
pub(crate) struct Admin {
    address: Address,
    runtime: Runtime,
}

/// A request, as often as it has to be sent.
struct AdminCall<'a> {
    method: Method,
    path: &'a str,
    body: Option<&'a Value>,
    /// With which it happens once, however often it is sent.
    once: Option<String>,
}

impl Admin {
    /// The server that the command line, the environment or the data directory
    /// names.
    pub(crate) fn find(server: &ServerArgs) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Self {
            address: server.address()?,
            runtime: runtime.map_err(Failure::failed)?,
        })
    }

    /// What is at a path, such as `/accounts`.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send_plain(Method::GET, path, None)
    }

    /// Creates something under a path, once: if the connection is lost before
    /// the answer is there, the request is sent again.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let once = random::<16>().map_err(Failure::failed)?;
        self.send(&AdminCall {
            method: Method::POST,
            path,
            body: Some(body),
            once: Some(hex::encode(once)),
        })
    }

    /// Changes what is at a path.
    pub(crate) fn patch(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send_plain(Method::PATCH, path, Some(body))
    }

    /// Deletes or ends what is at a path; null if the answer is empty.
    pub(crate) fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.send_plain(Method::DELETE, path, None)
    }

    fn send_plain(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        self.send(&AdminCall {
            method,
            path,
            body,
            once: None,
        })
    }

    fn send(&self, call: &AdminCall<'_>) -> Result<Value, Failure> {
        let exchange = async {
            let sent = match self.exchange(call).await {
                Err(NoAnswer::Broken(_)) if call.once.is_some() => self.exchange(call).await,
                other => other,
            };
            match sent {
                Err(NoAnswer::Broken(error)) => Err(self.broken(error).await),
                other => other,
            }
        };
        let response = self
            .runtime
            .block_on(async { tokio::time::timeout(ANSWER, exchange).await });
        let response = response.map_err(|_| self.unreachable("it does not answer in time"))?;
        let response = response.map_err(|lost| match lost {
            NoAnswer::NotSent(failure) => failure,
            NoAnswer::Distrusted(why) => self.distrusted(&why),
            NoAnswer::WrongScheme(why, help) => self.wrong_scheme(&why, help),
            NoAnswer::Unreached(error) | NoAnswer::Broken(error) => {
                self.unreachable(&failure_reason(&*error))
            }
        })?;
        self.understand(&response)
    }

    async fn exchange(&self, call: &AdminCall<'_>) -> Result<Response<Bytes>, NoAnswer> {
        let (uri, request) = self.request(call).map_err(NoAnswer::NotSent)?;
        let connected = connect(&self.address, &uri).await;
        let mut sender = connected.map_err(unconnected)?;
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| NoAnswer::Broken(error.into()))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(NoAnswer::Broken)?;
        tracing::debug!(method = %call.method, %uri, status = parts.status.as_u16(), "asked");
        let response = Response::from_parts(parts, body.to_bytes());
        match says_or_speaks_tls(&uri, &response).await {
            true => Err(NoAnswer::speaks_tls()),
            false => Ok(response),
        }
    }

    /// Whether it broke off because the other end speaks TLS.
    async fn broken(&self, error: Box<dyn std::error::Error + Send + Sync>) -> NoAnswer {
        let Ok(uri) = self.address.url.parse::<Uri>() else {
            return NoAnswer::Broken(error);
        };
        let again = open(&uri);
        match !is_https(&uri) && TlsOnPlainPort::is_why(&*error, again).await {
            true => NoAnswer::speaks_tls(),
            false => NoAnswer::Broken(error),
        }
    }

    fn request(&self, call: &AdminCall<'_>) -> Result<(Uri, Request<Full<Bytes>>), Failure> {
        let uri = format!("{}/admin/v1{}", self.address.url, call.path);
        let uri: Uri = uri.parse().map_err(Failure::bug)?;
        let bearer = format!("Bearer {}", self.address.key.expose());
        let mut bearer = HeaderValue::from_str(&bearer).map_err(Failure::bug)?;
        bearer.set_sensitive(true);
        let target = uri.path_and_query().map_or("/", |it| it.as_str());
        let host = uri.authority().map_or("", |it| it.as_str());
        let mut request = Request::builder()
            .method(&call.method)
            .uri(target)
            .header(HOST, host)
            .header(AUTHORIZATION, bearer);
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(once) = &call.once {
            request = request.header("idempotency-key", once);
        }
        let body = call.body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body)));
        Ok((uri, request.map_err(Failure::bug)?))
    }

    fn understand(&self, response: &Response<Bytes>) -> Result<Value, Failure> {
        let status = response.status();
        if status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        let body = serde_json::from_slice::<Value>(response.body());
        match body {
            Ok(body) if status.is_success() => Ok(body),
            Ok(problem) if problem["code"].is_string() => {
                Err(self.problem_failure(status, &problem))
            }
            _ => Err(self.foreign(response)),
        }
    }

    /// What another program answers.
    fn foreign(&self, response: &Response<Bytes>) -> Failure {
        let Address { url, source, .. } = &self.address;
        let status = response.status();
        let to = redirect_target(response.headers()).filter(|_| status.is_redirection());
        let to = to.map(|to| format!(" with a redirect to {to}"));
        Failure::failed(format!(
            "{url} answered {status}{}, and not as a Countersign server does",
            to.unwrap_or_default()
        ))
        .with_help(format!("is the URL right? It comes from {source}"))
    }

    /// A problem that the server told (RFC 9457).
    fn problem_failure(&self, status: StatusCode, problem: &Value) -> Failure {
        let detail = printable(problem["detail"].as_str().unwrap_or_default());
        let help = problem["help"].as_str().map(printable);
        let failure = match status {
            StatusCode::UNAUTHORIZED => {
                let file = self.address.key_file.display();
                Failure::refused(detail).with_help(format!("the admin key comes from {file}"))
            }
            StatusCode::FORBIDDEN => Failure::refused(detail),
            StatusCode::SERVICE_UNAVAILABLE => Failure::unavailable(detail),
            _ => Failure::failed(detail),
        };
        let failure = failure.with_help_of(help);
        failure.with_details(json!({ "problem": problem }))
    }

    fn wrong_scheme(&self, why: &str, help: &str) -> Failure {
        let Address { url, source, .. } = &self.address;
        Failure::unavailable(format!("{url}: {why}"))
            .with_help(format!("{help}. The URL comes from {source}"))
    }

    fn distrusted(&self, why: &str) -> Failure {
        let Address { url, source, .. } = &self.address;
        Failure::unavailable(format!(
            "{url} has a certificate that is not trusted ({why})"
        ))
        .with_help(format!(
            "name the PEM file of its authority in COUNTERSIGN_ADMIN_CA_FILE; a certificate that \
             is its own authority must be made with basicConstraints CA:FALSE. The URL comes from \
             {source}"
        ))
    }

    fn unreachable(&self, why: &str) -> Failure {
        let Address { url, source, .. } = &self.address;
        Failure::unavailable(format!("the server cannot be reached at {url} ({why})"))
            .with_help(format!("is it running? The URL comes from {source}"))
    }
}

/// Why there is no answer.
enum NoAnswer {
    /// There was no request to send.
    NotSent(Failure),
    /// The server is not the one that was meant, as far as its certificate tells.
    Distrusted(String),
    /// TLS was spoken where it is not spoken, or the other way round; what to do about it.
    WrongScheme(String, &'static str),
    /// No connection was made.
    Unreached(Box<dyn std::error::Error + Send + Sync>),
    /// The connection broke off; the server may have done it.
    Broken(Box<dyn std::error::Error + Send + Sync>),
}

impl NoAnswer {
    fn speaks_tls() -> Self {
        Self::WrongScheme(TlsOnPlainPort.to_string(), TlsOnPlainPort::HELP)
    }
}

/// Whether an answer in the open is one of a port for TLS: it says so, or it is no Countersign
/// server's and TLS is spoken there.
async fn says_or_speaks_tls(uri: &Uri, response: &Response<Bytes>) -> bool {
    let (status, body) = (response.status(), response.body());
    let is_odd = status == StatusCode::BAD_REQUEST || status.is_redirection();
    let is_foreign = is_odd && serde_json::from_slice::<IgnoredAny>(body).is_err();
    !is_https(uri)
        && is_foreign
        && (TlsOnPlainPort::is_told_in(status, body)
            || TlsOnPlainPort::is_spoken_by(open(uri)).await)
}

fn unconnected(error: io::Error) -> NoAnswer {
    let of_tls = error.get_ref().and_then(|it| it.downcast_ref());
    match of_tls {
        Some(why @ HandshakeDistrust::NoTls(_)) => {
            NoAnswer::WrongScheme(why.to_string(), why.help().unwrap_or_default())
        }
        Some(why) if why.is_of_the_certificate() => NoAnswer::Distrusted(why.to_string()),
        _ => NoAnswer::Unreached(error.into()),
    }
}
