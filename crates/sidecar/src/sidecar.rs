//! One profile's sidecar: what happens to a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use countersign_client::profile::AllowedRequest;
use countersign_client::{AccessToken, Error, RequestCredential, TokenSource, TokenVerdict};
use countersign_dialect::{Dialect, Secret};
use countersign_domain::ApiName;
use countersign_relay::{
    AnswerBody, Relay, TunnelSwitch, Upload, UpstreamFault, UpstreamSettings, end_to_end,
    is_reserved,
};
use countersign_transport::{RefusedRequest, Request as Inbound};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request};
use http_body_util::{Either, Full};
use serde_json::json;
use tokio::time::Instant;

use crate::access::{AccessRules, AllowFault};
use crate::content::{LONGEST, RequestContent};
use crate::guards::{self, SidecarEntrance};
use crate::meter::{AnsweredBy, SidecarMeter};
use crate::problem::{ProblemCause, SIDECAR, SidecarProblem};

/// The path at which a sidecar reports whether it is ready. It is never forwarded.
pub const READY: &str = "/.well-known/countersign/ready";

/// How long a check of readiness waits for a token.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// The body of an answer: the sidecar's own, or the vendor's.
pub type SidecarBody = Either<Full<Bytes>, AnswerBody>;

/// The settings of a sidecar.
pub struct SidecarSetup {
    /// Its name.
    pub name: ApiName,
    /// The source of its tokens.
    pub source: TokenSource,
    /// The dialect of the vendor.
    pub dialect: Arc<Dialect>,
    /// The URL of the vendor.
    pub upstream: UpstreamSettings,
    /// The allowed requests; all if it is empty.
    pub allow: Vec<AllowedRequest>,
    /// The key that programs must send in [`KEY`](crate::KEY).
    pub key: Option<Secret>,
    /// Whether each request is logged: its method, its path without the query, and its
    /// outcome.
    pub access_log: bool,
}

/// Why a sidecar cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum SetupFault {
    /// The allowed requests are wrong.
    #[error(transparent)]
    Allow(#[from] AllowFault),
    /// The URL of the vendor cannot be used.
    #[error(transparent)]
    Upstream(#[from] UpstreamFault),
}

/// Answers requests as the vendor does, with tokens of its own.
pub struct Sidecar {
    name: ApiName,
    source: TokenSource,
    dialect: Arc<Dialect>,
    relay: Relay,
    access: AccessRules,
    key: Option<Secret>,
    access_log: bool,
    meter: SidecarMeter,
    /// Fields that could carry a credential, in lower case and with hyphens.
    secret_fields: Vec<String>,
    /// How many requests were forwarded; the number identifies a request in the log.
    carried: AtomicU64,
}

impl Sidecar {
    /// Must be created within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The allowed requests have an invalid path, or the vendor's URL cannot be used.
    pub fn new(setup: SidecarSetup) -> Result<Self, SetupFault> {
        let presented = setup.dialect.presentation_headers();
        let names = presented.iter().map(|name| hyphened(name.as_str()));
        Ok(Self {
            access: AccessRules::new(&setup.allow, &setup.dialect)?,
            relay: Relay::new(setup.name.as_str(), setup.upstream)?,
            secret_fields: names.chain([header::AUTHORIZATION.to_string()]).collect(),
            meter: SidecarMeter::new(&setup.name),
            access_log: setup.access_log,
            name: setup.name,
            source: setup.source,
            dialect: setup.dialect,
            key: setup.key,
            carried: AtomicU64::new(0),
        })
    }

    /// The source of its tokens.
    pub fn source(&self) -> &TokenSource {
        &self.source
    }

    /// Checks whether there is a token, or whether one can be obtained within two
    /// seconds. If there is one, nothing of its budget is spent.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub async fn ready(&self) -> Result<(), Error> {
        let status = self.source.status().await?;
        if status.left().is_some_and(|left| !left.is_zero()) {
            return Ok(());
        }
        let token = tokio::time::timeout(READY_WITHIN, self.source.token()).await;
        let late = |_| {
            Error::new(
                countersign_client::ErrorKind::Unavailable,
                format!("{}: there is no token yet", self.name),
            )
        };
        token.map_err(late)?.map(drop)
    }

    /// Answers a request that arrived at this entrance.
    pub async fn answer(
        &self,
        request: Inbound,
        entrance: SidecarEntrance,
    ) -> Response<SidecarBody> {
        if request.uri().path() == READY {
            return self.tell_ready(&request, entrance).await;
        }
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let began = Instant::now();
        let (by, response) = match self.carry(request, entrance).await {
            Ok(response) => (AnsweredBy::Vendor, response.map(Either::Right)),
            Err(problem) => {
                self.log(&problem, &method, &path);
                (AnsweredBy::Sidecar, ours(&problem))
            }
        };
        self.meter.answered(by, response.status());
        if self.access_log {
            self.log_access(by, response.status(), &method, &path, began.elapsed());
        }
        response
    }

    /// Counts and logs a request that the listener refused, such as CONNECT. Nothing was
    /// read of it that could be logged.
    pub(crate) fn tell_refused(&self, refused: &RefusedRequest) {
        let Some(status) = refused.status else { return };
        self.meter.answered(AnsweredBy::Sidecar, status);
        if self.access_log {
            let (profile, answered_by) = (self.name.as_str(), AnsweredBy::Sidecar.name());
            let (status, why) = (status.as_u16(), refused.why);
            tracing::info!(profile, status, answered_by, why, "request refused");
        }
    }

    /// Nothing of a request is logged that could be a secret: no query, no field, no
    /// body.
    fn log_access(
        &self,
        by: AnsweredBy,
        status: StatusCode,
        method: &Method,
        path: &str,
        took: Duration,
    ) {
        let (profile, answered_by) = (self.name.as_str(), by.name());
        let (status, took_ms) = (status.as_u16(), took.as_millis());
        tracing::info!(profile, %method, path, status, answered_by, took_ms, "request");
    }

    /// The detail may contain the vendor's words: as a separate value it is escaped.
    fn log(&self, problem: &SidecarProblem, method: &Method, path: &str) {
        let (profile, code, detail) = (self.name.as_str(), problem.code(), &*problem.detail_text());
        if problem.status().is_server_error() {
            tracing::warn!(profile, code, %method, path, detail, "not forwarded");
        } else {
            tracing::info!(profile, code, %method, path, detail, "not forwarded");
        }
    }

    async fn tell_ready(
        &self,
        request: &Inbound,
        entrance: SidecarEntrance,
    ) -> Response<SidecarBody> {
        if let Err(problem) = guards::admit(request.headers(), entrance, None) {
            return ours(&problem);
        }
        let (status, document) = match self.ready().await {
            Ok(()) => (StatusCode::OK, json!({ "status": "ready" })),
            Err(error) => (
                StatusCode::SERVICE_UNAVAILABLE,
                json!({ "status": "not ready", "reason": &*error.message }),
            ),
        };
        let mut response = Response::new(Either::Left(Full::from(document.to_string())));
        *response.status_mut() = status;
        let media = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, media);
        response
    }

    async fn carry(
        &self,
        mut request: Inbound,
        entrance: SidecarEntrance,
    ) -> Result<Response<AnswerBody>, SidecarProblem> {
        guards::admit(request.headers(), entrance, self.key.as_ref())?;
        self.access.admit(request.method(), request.uri().path())?;
        let switch = self.relay.switch(&mut request)?;
        let (parts, body) = request.into_parts();
        let content = RequestContent::read(body, &self.relay).await?;
        let content = content.without_key(self.dialect.static_key());
        let number = self.carried.fetch_add(1, Ordering::Relaxed);
        let mut way = VendorExchange {
            sidecar: self,
            parts,
            switch,
            id: number.to_string(),
        };
        let mut answer = way.there_and_back(content).await?;
        answer.headers_mut().remove(SIDECAR);
        Ok(answer)
    }
}

/// One request on its way to the vendor, which may be sent twice.
struct VendorExchange<'a> {
    sidecar: &'a Sidecar,
    parts: request::Parts,
    switch: Option<TunnelSwitch>,
    id: String,
}

impl VendorExchange<'_> {
    async fn there_and_back(
        &mut self,
        content: RequestContent,
    ) -> Result<Response<AnswerBody>, SidecarProblem> {
        let source = &self.sidecar.source;
        let credential = source.credential().await?;
        let (upload, kept) = content.into_upload();
        let mut answer = self.send(&credential, upload).await?;
        let RequestCredential::Token(token) = credential else {
            return Ok(answer);
        };
        if !self.was_refused(&mut answer).await? {
            return Ok(answer);
        }
        source.report_refused(&token);
        let Some(body) = kept else {
            return Ok(answer);
        };
        let fresh = source.token().await?;
        if fresh.expose() == token.expose() {
            // Another token would not help, so the session keeps this one.
            return Ok(answer);
        }
        drop(answer);
        let fresh = RequestCredential::Token(fresh);
        self.send(&fresh, Upload::whole(body)).await
    }

    async fn send(
        &mut self,
        credential: &RequestCredential,
        body: Upload,
    ) -> Result<Response<AnswerBody>, SidecarProblem> {
        let mut switch = self.switch.take();
        let write = |body| self.outward(credential, body);
        let relay = &self.sidecar.relay;
        let host = self.parts.headers.get(header::HOST);
        let answer = relay.send(write, body, &mut switch, host, &self.id).await;
        self.switch = switch;
        answer
    }

    /// Whether the vendor refused the token. The body is read only if the status does not
    /// show it.
    async fn was_refused(&self, answer: &mut Response<AnswerBody>) -> Result<bool, SidecarProblem> {
        let source = &self.sidecar.source;
        match source.judge(answer.status()) {
            TokenVerdict::NotRefused => return Ok(false),
            TokenVerdict::Refused => return Ok(true),
            TokenVerdict::Unclear => {}
        }
        let Some(body) = answer.body_mut().peek(LONGEST).await? else {
            return Ok(false);
        };
        let mut whole = Response::new(body);
        *whole.status_mut() = answer.status();
        *whole.headers_mut() = answer.headers().clone();
        Ok(source.says_token_refused(&whole))
    }

    /// The request for the vendor.
    fn outward(
        &self,
        credential: &RequestCredential,
        body: Upload,
    ) -> Result<Request<Upload>, SidecarProblem> {
        let uri = &self.parts.uri;
        let query = self.query(uri.query(), credential)?;
        let target = self.sidecar.relay.target(uri.path(), query.as_deref());
        let mut request = Request::new(body);
        // A path that was judged fits into a URI, so this cannot happen.
        *request.uri_mut() = target
            .map_err(|error| SidecarProblem::new(ProblemCause::AmbiguousPath, error.to_string()))?;
        *request.method_mut() = self.parts.method.clone();
        let mut fields = self.fields(credential);
        let (method, came) = (&self.parts.method, &self.parts.headers);
        request.body().tell_framing(method, came, &mut fields);
        *request.headers_mut() = fields;
        Ok(request)
    }

    /// The query without any static key except our own.
    fn query(
        &self,
        query: Option<&str>,
        credential: &RequestCredential,
    ) -> Result<Option<String>, SidecarProblem> {
        let place = self.sidecar.dialect.static_key();
        let RequestCredential::StaticKey(key) = credential else {
            let stripped = query.map(|it| match place {
                Some(place) => place.strip_query(it).into_owned(),
                None => it.to_owned(),
            });
            return Ok(stripped);
        };
        let put = place.and_then(|place| place.put_into_query(query, key));
        let why = "the dialect has no place for its static key in a query";
        put.map(Some)
            .ok_or_else(|| SidecarProblem::new(ProblemCause::NoToken, why))
    }

    fn fields(&self, credential: &RequestCredential) -> HeaderMap {
        let secret = &self.sidecar.secret_fields;
        let mut fields = end_to_end(&self.parts.headers, |name| {
            name != "host" && !is_reserved(name) && !secret.iter().any(|it| it == name)
        });
        fields.insert(header::HOST, self.sidecar.relay.host().clone());
        if let RequestCredential::Token(token) = credential {
            AccessToken::present(token, &mut fields);
        }
        fields
    }
}

/// The name, with a hyphen for each character that is not a letter or a digit.
fn hyphened(name: &str) -> String {
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

fn ours(problem: &SidecarProblem) -> Response<SidecarBody> {
    problem.response().map(|body| Either::Left(Full::new(body)))
}
