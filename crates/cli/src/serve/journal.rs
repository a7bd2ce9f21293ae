//! One log line and one count for each auth request and each refusal; a refusal
//! is also diagnosed and kept for operators.
//!
//! A line says who, what, from where and why, and nothing secret: no token, no
//! login secret, no query (a static key may stand there). Values that come from
//! the peer are written as strings, which both formats quote and escape, so that none
//! can forge a line. Guarded requests that pass are counted, not logged.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use countersign_admin::refusal_ring::{self, RefusalEvidence, RefusalRing, RefusingPart};
use countersign_dialect::Secret;
use countersign_domain::{AccountId, ApiName, Reason, SessionId, TokenOperation};
use countersign_gateway::{GuardDenial, asked_api};
use countersign_server::api::IssuingApi;
use countersign_server::issuer::RequestRecord;
use countersign_store::Store;
use countersign_transport::RefusedRequest;
use http::{HeaderName, Method, StatusCode, header};

use super::caller_evidence::{Allowance, CallerEvidence};

/// Where refusals go, and what it takes to diagnose them.
pub(crate) struct Journal {
    refusals: RefusalRing,
    apis: Arc<BTreeMap<ApiName, Arc<IssuingApi>>>,
    clock: Store,
    /// The fields in which one of the apis gets its tokens, and the date.
    fields: Vec<HeaderName>,
    diagnoses: Allowance,
}

/// A request as the journal sees it.
pub(crate) struct Entry {
    journal: Arc<Journal>,
    /// The id of the request: the support id, if it is refused.
    pub(crate) request_id: String,
    /// The peer's address.
    pub(crate) address: IpAddr,
    method: Method,
    path: String,
    begun: Instant,
    front: RefusingPart,
    kept: CallerEvidence,
}

/// What happened, in the words of the journal.
struct Event<'a> {
    operation: TokenOperation,
    variant: Option<&'a str>,
    outcome: Result<(), Reason>,
    change: Option<&'static str>,
    account: Option<AccountId>,
    login: Option<String>,
    session: Option<SessionId>,
    detail: Cow<'a, str>,
}

impl Journal {
    /// A journal of the requests to these apis.
    pub(crate) fn new(
        refusals: RefusalRing,
        apis: Arc<BTreeMap<ApiName, Arc<IssuingApi>>>,
        clock: Store,
    ) -> Self {
        let presented = apis
            .values()
            .map(|api| api.dialect().presentation_headers());
        let mut fields: Vec<_> = presented.flatten().collect();
        fields.push(header::DATE);
        fields.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        fields.dedup();
        Self {
            refusals,
            apis,
            clock,
            fields,
            diagnoses: Allowance::default(),
        }
    }

    /// One line and one count for a request that was refused before it was read
    /// whole: it has no method and path that could be trusted.
    pub(crate) fn refused_at_the_door(&self, request_id: &str, refused: &RefusedRequest) {
        let status = refused.status.map(|status| status.as_u16());
        let counted = status.map_or("none".to_owned(), |status| status.to_string());
        metrics::counter!("countersign_door_refusals_total", "status" => counted).increment(1);
        tracing::info!(
            request = request_id,
            address = %refused.peer.address.ip(),
            status,
            why = refused.why,
            "refused before it was read"
        );
        self.refusals.record(refusal_ring::NewRefusal {
            id: request_id.to_owned(),
            at: self.clock.now(),
            front: RefusingPart::Door,
            api: None,
            operation: None,
            reason: door_reason(status),
            status,
            account: None,
            account_api: None,
            login: None,
            session: None,
            address: refused.peer.address.ip(),
            method: String::new(),
            path: String::new(),
            detail: refused.why.to_owned(),
        });
    }

    /// What is known of a refusal once its evidence was looked at.
    fn diagnosed(
        &self,
        refused: refusal_ring::NewRefusal,
        kept: &CallerEvidence,
    ) -> refusal_ring::NewRefusal {
        if !self.diagnoses.take(refused.at) {
            return refused;
        }
        let own = refused.api.as_ref().and_then(|name| self.apis.get(name));
        let dialects = own.into_iter().chain(self.apis.values());
        let token = kept.token(dialects.map(|api| api.dialect().as_ref()));
        let evidence = RefusalEvidence {
            token: token.as_deref(),
            clock: kept.clock(),
        };
        refused.diagnosed(&evidence, &self.apis)
    }
}

/// What a status at the door means.
const fn door_reason(status: Option<u16>) -> Reason {
    match status {
        Some(408 | 503) => Reason::RequestCutOff,
        Some(413 | 414 | 431) => Reason::RequestTooLarge,
        Some(500) => Reason::ServerFault,
        _ => Reason::RequestMalformed,
    }
}

impl Entry {
    /// Begins the entry of a request.
    pub(crate) fn begin<B>(
        journal: &Arc<Journal>,
        request: &http::Request<B>,
        request_id: String,
        address: IpAddr,
    ) -> Self {
        let path = request.uri().path();
        Self {
            journal: Arc::clone(journal),
            request_id,
            address,
            method: request.method().clone(),
            path: path.to_owned(),
            begun: Instant::now(),
            front: match asked_api(path) {
                Some(_) => RefusingPart::ForwardAuth,
                None => RefusingPart::BuiltIn,
            },
            kept: CallerEvidence::keep(request.headers(), &journal.fields),
        }
    }

    /// Names the request that a proxy asked about.
    pub(crate) fn name_request(&mut self, method: Method, path: &str, address: IpAddr) {
        self.method = method;
        self.path = path.to_owned();
        self.address = address;
    }

    /// Keeps the token that an issuer refused, to find out what it was.
    pub(crate) fn presented(&mut self, token: Option<Secret>) {
        self.kept.with(token);
    }

    /// Ends the entry of a request to a token endpoint.
    pub(crate) fn issued(self, api: &ApiName, record: &RequestRecord, status: StatusCode) {
        if let Some(change) = record.change {
            metrics::counter!("countersign_session_changes_total",
                "api" => api.to_string(), "change" => change)
            .increment(1);
        }
        let event = Event {
            operation: record.operation,
            variant: record.variant.as_deref(),
            outcome: record.outcome,
            change: record.change,
            account: record.account,
            login: record
                .login
                .as_deref()
                .map(|login| seemly(login, MAX_LOGIN)),
            session: record.session,
            detail: (&record.detail).into(),
        };
        self.count(api, &event);
        self.end(api, event, RefusingPart::Issuer, status);
    }

    /// Ends the entry of a guarded request that was refused.
    pub(crate) fn denied(self, api: &ApiName, denied: &GuardDenial, status: StatusCode) {
        let event = Event {
            operation: TokenOperation::Guard,
            variant: None,
            outcome: Err(denied.reason),
            change: None,
            account: denied.account,
            login: None,
            session: denied.session,
            detail: denied.detail.as_deref().unwrap_or_default().into(),
        };
        let front = self.front;
        self.end(api, event, front, status);
    }

    /// Ends the entry of a request for a path that no api serves, and that would be
    /// `api`'s if any one's.
    pub(crate) fn unserved(self, api: Option<&ApiName>) {
        let reason = Reason::PathUnknown;
        let mut refused = self.refused(reason, self.front, StatusCode::NOT_FOUND);
        refused.api = api.cloned();
        self.journal
            .refusals
            .record(self.journal.diagnosed(refused, &self.kept));
        metrics::counter!("countersign_unserved_requests_total").increment(1);
        tracing::info!(
            request = self.request_id,
            address = %self.address,
            method = %self.method,
            path = seemly(&self.path, MAX_PATH),
            outcome = reason.refusal(TokenOperation::Guard).code(),
            reason = reason.code(),
            "nothing is served at this path"
        );
    }

    fn count(&self, api: &ApiName, event: &Event<'_>) {
        let labels = [
            ("api", api.to_string()),
            ("operation", event.operation.name().to_owned()),
            ("outcome", outcome_code(event).to_owned()),
        ];
        metrics::counter!("countersign_auth_requests_total", &labels).increment(1);
        metrics::histogram!("countersign_auth_request_seconds",
            "api" => api.to_string(), "operation" => event.operation.name())
        .record(self.begun.elapsed().as_secs_f64());
    }

    /// Writes the line, and keeps a refusal once it is diagnosed.
    fn end(self, api: &ApiName, mut event: Event<'_>, front: RefusingPart, status: StatusCode) {
        if let Err(reason) = event.outcome {
            let mut refused = self.refused(reason, front, status);
            refused.api = Some(api.clone());
            refused.operation = Some(event.operation);
            refused.account = event.account;
            refused.login.clone_from(&event.login);
            refused.session = event.session;
            refused.detail = event.detail.into_owned();
            let refused = self.journal.diagnosed(refused, &self.kept);
            event.outcome = Err(refused.reason);
            event.account = refused.account;
            event.session = refused.session;
            event.detail = refused.detail.clone().into();
            self.journal.refusals.record(refused);
        }
        self.write(api, &event, status);
    }

    /// The refusal of this request, as far as the request itself tells.
    fn refused(
        &self,
        reason: Reason,
        front: RefusingPart,
        status: StatusCode,
    ) -> refusal_ring::NewRefusal {
        refusal_ring::NewRefusal {
            id: self.request_id.clone(),
            at: self.journal.clock.now(),
            front,
            api: None,
            operation: None,
            reason,
            status: Some(status.as_u16()),
            account: None,
            account_api: None,
            login: None,
            session: None,
            address: self.address,
            method: seemly(self.method.as_str(), MAX_METHOD),
            path: seemly(&self.path, MAX_PATH),
            detail: String::new(),
        }
    }

    fn write(self, api: &ApiName, event: &Event<'_>, status: StatusCode) {
        let reason = event.outcome.err();
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    request = self.request_id,
                    api = api.as_str(),
                    operation = event.operation.name(),
                    variant = event.variant,
                    outcome = outcome_code(event),
                    reason = reason.map(Reason::code),
                    change = event.change,
                    account = event.account.map(AccountId::number),
                    login = event.login,
                    session = event.session.map(tracing::field::display),
                    address = %self.address,
                    method = %self.method,
                    path = seemly(&self.path, MAX_PATH),
                    status = status.as_u16(),
                    micros = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
                    detail = Some(event.detail.as_ref()).filter(|it| !it.is_empty()),
                    "request"
                )
            };
        }
        match reason {
            Some(Reason::ServerFault | Reason::StoreUnavailable | Reason::ProxyHeaderMissing) => {
                line!(tracing::Level::ERROR);
            }
            Some(Reason::Reuse | Reason::StateRegression) => line!(tracing::Level::WARN),
            _ => line!(tracing::Level::INFO),
        }
    }
}

/// No login is longer (see `countersign_domain::account::check_login`).
const MAX_LOGIN: usize = 128;

/// How much of a method is kept.
const MAX_METHOD: usize = 32;

/// How much of a path is logged.
const MAX_PATH: usize = 1_024;

/// What a peer sent, fit for a log line: cut, and without what was put in the
/// wrong place and looks like a token or a generated key.
fn seemly(text: &str, most: usize) -> String {
    let word = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    let mut seemly = String::new();
    let mut rest = text;
    while !rest.is_empty() && seemly.len() < most {
        let end = rest.find(|it| !word(it)).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(end);
        seemly.push_str(if looks_secret(head) { "(hidden)" } else { head });
        let next = tail.find(word).unwrap_or(tail.len());
        seemly.push_str(&tail[..next]);
        rest = &tail[next..];
    }
    let cut = seemly
        .char_indices()
        .map(|(at, _)| at)
        .find(|at| *at >= most);
    if let Some(cut) = cut {
        seemly.truncate(cut);
        seemly.push('…');
    }
    seemly
}

/// A JWT begins with a base64url `{"`; generated keys have their prefix, and a
/// vendor's are runs of letters and digits in either case that no word has.
fn looks_secret(word: &str) -> bool {
    let generated = word.starts_with("cs_") || word.starts_with("csa_");
    let mixed = word.len() >= 24
        && word.bytes().any(|it| it.is_ascii_uppercase())
        && word.bytes().any(|it| it.is_ascii_lowercase())
        && word.bytes().any(|it| it.is_ascii_digit());
    generated || mixed || (word.starts_with("eyJ") && word.contains('.'))
}

/// `done`, or the code of the refusal that the peer got.
fn outcome_code(event: &Event<'_>) -> &'static str {
    match event.outcome {
        Ok(()) => "done",
        Err(reason) => reason.refusal(event.operation).code(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_hidden_wherever_it_was_put() {
        let hidden = [
            "cs_BU7yvQ6u_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_392601",
            "csa_vE6oeE7WGfXLzdrTUhNt8Yd1tetrGl05UjxfWxkrvAM_f1425d",
            "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJsIjoiNlJUIn0.Dj6_4betKGS6",
            "oAqmClPQ69a2upN83N5XoPCBeH3XID41",
        ];
        for secret in hidden {
            assert_eq!(seemly(secret, MAX_LOGIN), "(hidden)");
            assert_eq!(seemly(&format!("/a/{secret}/b"), MAX_PATH), "/a/(hidden)/b");
        }
        let plain = [
            "partner-0a1b2c3d4e5f",
            "apr-e7be0e8eabd391b499fe64647576fad5",
            "Ünïcode partner",
            "/api/v1/products",
        ];
        for text in plain {
            assert_eq!(seemly(text, MAX_PATH), text);
        }
    }

    #[test]
    fn a_login_of_50_kb_is_cut() {
        let logged = seemly(&"é ".repeat(25_000), MAX_LOGIN);
        assert!(logged.len() <= MAX_LOGIN + 8, "{}", logged.len());
        assert!(logged.ends_with('…'));
    }
}
