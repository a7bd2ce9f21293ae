//! The guarded API itself: one origin, spoken to over connections that are kept
//! alive.
//!
//! A request is sent again only where nothing of it was sent, because a kept
//! connection turned out to be closed.

use std::error::Error;
use std::io;
use std::time::Duration;

use countersign_domain::Reason;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::body::Upload;
use crate::permit::Denied;

/// How long an upstream may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection to be made.
    pub connect: Duration,
    /// From the end of the request, or from the last part of it that the
    /// upstream took, to the head of the answer.
    pub response_head: Duration,
    /// Between two parts of a body, in either direction.
    pub body_idle: Duration,
    /// How long a connection is kept while nobody uses it.
    pub keep_alive: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            response_head: Duration::from_secs(60),
            body_idle: Duration::from_secs(60),
            keep_alive: Duration::from_secs(30),
        }
    }
}

/// A text is no upstream. It is not repeated, since there may be a password in
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no upstream: write http://host:port and, if it has one, its base path; no user, no query"
)]
pub struct UpstreamFault;

/// An upstream over plain HTTP/1.1.
pub struct Upstream {
    authority: Authority,
    host: HeaderValue,
    /// Without a slash at its end.
    base: String,
    timeouts: Timeouts,
    client: Client<HttpConnector, Upload>,
}

impl Upstream {
    /// The upstream at `http://host:port`, to whose base path the paths of
    /// requests are appended. To be made within a tokio runtime.
    ///
    /// # Errors
    ///
    /// It is no such URL, or has a query or user information.
    pub fn new(url: &str, timeouts: Timeouts) -> Result<Self, UpstreamFault> {
        let uri: Uri = url.parse().map_err(|_| UpstreamFault)?;
        let plain = uri.scheme() == Some(&Scheme::HTTP) && uri.query().is_none();
        let authority = uri
            .authority()
            .filter(|it| plain && !it.as_str().contains('@'));
        let authority = authority.ok_or(UpstreamFault)?;
        Ok(Self {
            authority: authority.clone(),
            host: HeaderValue::from_str(authority.as_str()).map_err(|_| UpstreamFault)?,
            base: uri.path().trim_end_matches('/').to_owned(),
            timeouts,
            client: client(timeouts),
        })
    }

    pub(crate) fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// What the upstream is called in `Host`.
    pub(crate) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// The target of a request for `path` and `query`.
    pub(crate) fn target(&self, path: &str, query: Option<&str>) -> Result<Uri, http::Error> {
        let text = match query {
            Some(query) => format!("{}{path}?{query}", self.base),
            None => format!("{}{path}", self.base),
        };
        Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.authority.clone())
            .path_and_query(PathAndQuery::try_from(text)?)
            .build()
    }

    /// Sends a request and waits for the head of the answer.
    pub(crate) async fn send(
        &self,
        request: Request<Upload>,
    ) -> Result<Response<Incoming>, Denied> {
        let progress = request.body().progress();
        let limit = self.timeouts.response_head;
        let mut answer = self.client.request(request);
        let answered = loop {
            let deadline = progress.upstream_deadline(limit);
            match tokio::time::timeout_at(deadline, &mut answer).await {
                Ok(answered) => break answered,
                Err(_) if progress.upstream_deadline(limit) > deadline => {}
                Err(_) => return Err(denied(Reason::UpstreamTimeout, "no answer in time")),
            }
        };
        match answered {
            Err(error) if progress.client_failed() => {
                Err(denied(Reason::RequestCutOff, &chain(&error)))
            }
            Err(error) => Err(denied(blame(&error), &chain(&error))),
            // It was not asked to (NET-07).
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => Err(denied(
                Reason::UpstreamFailed,
                "it switched protocols unasked",
            )),
            Ok(response) => Ok(response),
        }
    }
}

fn client(timeouts: Timeouts) -> Client<HttpConnector, Upload> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(timeouts.connect));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(timeouts.keep_alive)
        .set_host(false)
        .build(connector)
}

fn denied(reason: Reason, detail: &str) -> Denied {
    Denied {
        detail: Some(detail.to_owned()),
        ..Denied::from(reason)
    }
}

fn blame(error: &(dyn Error + 'static)) -> Reason {
    let timed_out = causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::TimedOut);
    if timed_out {
        Reason::UpstreamTimeout
    } else {
        Reason::UpstreamFailed
    }
}

/// The error and its causes in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    texts.join(": ")
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}
