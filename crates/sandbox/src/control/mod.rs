//! The control endpoints, for tests in any language: on a listener of their own,
//! so that no path of the vendor's can be one of theirs, and with a key.
//!
//! ```text
//! GET, POST      /sandbox/v1/clock      {"advance": "6h"} or {"set": RFC 3339}
//! GET, POST, DELETE /sandbox/v1/faults  {"fault": "lost_reply", "on": "refresh", "count": 1, …}
//! GET, DELETE    /sandbox/v1/requests
//! POST           /sandbox/v1/assert     {"logins": 1, "max_refreshes": 3, "no_expired": true, …}
//! ```

mod fields;
mod wire;

use std::sync::Arc;

use bytes::Bytes;
use countersign_dialect::Secret;
use countersign_transport::{Request, collect};
use http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use self::fields::{ControlFields, ControlMistake};
use crate::record::RecordedRequest;
use crate::vendor::SandboxVendor;

/// More than anything that is asked here.
const MAX_BODY: usize = 64 * 1024;

/// Who holds the key moves the vendor's clock and arms its faults.
pub(crate) struct SandboxControl {
    pub(crate) vendor: Arc<SandboxVendor>,
    pub(crate) key: Secret,
}

/// What an endpoint takes.
const ENDPOINTS: [(&str, &str); 4] = [
    ("/sandbox/v1/clock", "GET, POST"),
    ("/sandbox/v1/faults", "GET, POST, DELETE"),
    ("/sandbox/v1/requests", "GET, DELETE"),
    ("/sandbox/v1/assert", "POST"),
];

impl SandboxControl {
    /// Answers one request.
    pub(crate) async fn answer(self: Arc<Self>, request: Request) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        if !self.is_opened_by(&parts.headers) {
            return locked();
        }
        let Ok(body) = collect(body, MAX_BODY).await else {
            return problem(
                StatusCode::BAD_REQUEST,
                &[ControlMistake::new("the body did not arrive whole")],
            );
        };
        let path = parts.uri.path();
        let Some((_, allow)) = ENDPOINTS.iter().find(|(known, _)| *known == path) else {
            let known = ENDPOINTS.map(|(path, _)| path).join(", ");
            let nothing = ControlMistake::new(format!("there is nothing at {path}"));
            let nothing = nothing.with_help(format!("there are {known}"));
            return problem(StatusCode::NOT_FOUND, &[nothing]);
        };
        match self.act(
            &parts.method,
            path.rsplit('/').next().unwrap_or_default(),
            &body,
        ) {
            Some(Ok(document)) => reply(StatusCode::OK, "application/json", &document),
            Some(Err(mistakes)) => problem(StatusCode::UNPROCESSABLE_ENTITY, &mistakes),
            None => {
                let method = &parts.method;
                let wrong = ControlMistake::new(format!("{path} does not take {method}"));
                let wrong = wrong.with_help(format!("it takes {allow}"));
                let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, &[wrong]);
                // RFC 9110 section 15.5.6: "The origin server MUST generate an Allow header
                // field in a 405 response containing a list of the target resource's
                // currently supported methods."
                response
                    .headers_mut()
                    .insert(ALLOW, HeaderValue::from_static(allow));
                response
            }
        }
    }

    /// Does what is asked; `None` if the endpoint does not take the method.
    fn act(
        &self,
        method: &Method,
        endpoint: &str,
        body: &[u8],
    ) -> Option<Result<Value, Vec<ControlMistake>>> {
        let vendor = &self.vendor;
        Some(match (endpoint, method.as_str()) {
            ("clock", "GET") => Ok(self.clock()),
            ("clock", "POST") => self.move_clock(body),
            ("faults", "GET") => Ok(self.faults()),
            ("faults", "POST") => ControlFields::read(body, wire::fault).map(|fault| {
                vendor.armed.arm(fault);
                self.faults()
            }),
            ("faults", "DELETE") => {
                vendor.armed.clear();
                Ok(self.faults())
            }
            ("requests", "GET") => Ok(vendor.requests.all().iter().map(RecordedRequest::document).collect()),
            ("requests", "DELETE") => {
                vendor.requests.forget();
                Ok(json!([]))
            }
            ("assert", "POST") => ControlFields::read(body, wire::expected).map(|expected| {
                let failures = vendor.check(&expected).err().unwrap_or_default();
                let asked = vendor.request_counts();
                json!({ "passed": failures.is_empty(), "failures": failures, "asked": asked.document() })
            }),
            _ => return None,
        })
    }

    fn is_opened_by(&self, headers: &HeaderMap) -> bool {
        let sent = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let key = sent.and_then(|sent| sent.strip_prefix("Bearer "));
        key.is_some_and(|key| Secret::from(key) == self.key)
    }

    fn clock(&self) -> Value {
        json!({ "now": self.vendor.clock.now().rfc3339() })
    }

    fn faults(&self) -> Value {
        let waiting = self.vendor.armed.waiting();
        waiting.iter().map(wire::fault_document).collect()
    }

    fn move_clock(&self, body: &[u8]) -> Result<Value, Vec<ControlMistake>> {
        match ControlFields::read(body, wire::moved)? {
            wire::MovedClock::On(span) => self.vendor.advance(span),
            wire::MovedClock::To(instant) => {
                let set = self.vendor.set(instant);
                set.map_err(|error| vec![ControlMistake::new(error.to_string())])?
            }
        };
        Ok(self.clock())
    }
}

fn locked() -> Response<Full<Bytes>> {
    let closed = ControlMistake::new("the control key of this sandbox is missing or wrong");
    let closed = closed.with_help("send that of its manifest, in Authorization: Bearer KEY");
    let mut response = problem(StatusCode::UNAUTHORIZED, &[closed]);
    // RFC 9110 section 15.5.2: "The server generating a 401 response MUST send a
    // WWW-Authenticate header field (Section 11.6.1) containing at least one challenge".
    let scheme = HeaderValue::from_static("Bearer realm=\"countersign sandbox\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    response
}

/// A problem (RFC 9457) of one mistake or several.
fn problem(status: StatusCode, mistakes: &[ControlMistake]) -> Response<Full<Bytes>> {
    let title = status.canonical_reason().unwrap_or_default();
    let said: Vec<_> = mistakes.iter().map(|it| it.said.as_str()).collect();
    let help: Vec<_> = mistakes
        .iter()
        .filter_map(|it| it.help.as_deref())
        .collect();
    let mut document = json!({
        "type": "about:blank",
        "title": title,
        "status": status.as_u16(),
        "detail": said.join("; "),
    });
    if !help.is_empty() {
        document["help"] = help.join("; ").into();
    }
    if status == StatusCode::UNPROCESSABLE_ENTITY {
        document["errors"] = json!(said);
    }
    reply(status, "application/problem+json", &document)
}

fn reply(status: StatusCode, media: &'static str, document: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{document}\n"))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
