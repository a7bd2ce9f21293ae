//! One log line and one count for each auth request and each refusal.
//!
//! A line says who, what, from where and why, and nothing secret: no token, no
//! login secret, no query (a static key may stand there). Values that come from
//! the peer are written with their control characters escaped, so that none can
//! forge a line. Guarded requests that pass are counted, not logged.

use std::net::IpAddr;
use std::time::Instant;

use countersign_domain::{AccountId, ApiName, Operation, Reason, SessionId};
use countersign_gateway::Denied;
use countersign_server::issuer::Record;
use http::{Method, StatusCode};

/// A request as the journal sees it.
pub(crate) struct Entry {
    /// The id of the request: the support id, if it is refused.
    pub(crate) request_id: String,
    /// The peer's address.
    pub(crate) address: IpAddr,
    method: Method,
    path: String,
    begun: Instant,
}

/// What happened, in the words of the journal.
struct Event<'a> {
    operation: Operation,
    variant: Option<&'a str>,
    outcome: Result<(), Reason>,
    change: Option<&'static str>,
    account: Option<AccountId>,
    login: Option<&'a str>,
    session: Option<SessionId>,
    detail: &'a str,
}

impl Entry {
    /// Begins the entry of a request.
    pub(crate) fn begin<B>(
        request: &http::Request<B>,
        request_id: String,
        address: IpAddr,
    ) -> Self {
        Self {
            request_id,
            address,
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            begun: Instant::now(),
        }
    }

    /// Ends the entry of a request to a token endpoint.
    pub(crate) fn issued(self, api: &ApiName, record: &Record, status: StatusCode) {
        if let (Ok(()), Some(change)) = (record.outcome, record.change) {
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
            login: record.login.as_deref(),
            session: record.session,
            detail: &record.detail,
        };
        self.count(api, &event);
        self.write(api, &event, status);
    }

    /// Ends the entry of a guarded request that was refused.
    pub(crate) fn denied(self, api: &ApiName, denied: &Denied, status: StatusCode) {
        let event = Event {
            operation: Operation::Guard,
            variant: None,
            outcome: Err(denied.reason),
            change: None,
            account: denied.account,
            login: None,
            session: denied.session,
            detail: denied.detail.as_deref().unwrap_or_default(),
        };
        self.write(api, &event, status);
    }

    /// Ends the entry of a request for a path that no api serves.
    pub(crate) fn unserved(self) {
        metrics::counter!("countersign_unserved_requests_total").increment(1);
        tracing::info!(
            request = self.request_id,
            address = %self.address,
            method = %self.method,
            path = ?self.path,
            outcome = Reason::PathUnknown.refusal(Operation::Guard).code(),
            reason = Reason::PathUnknown.code(),
            "unserved"
        );
    }

    fn count(&self, api: &ApiName, event: &Event<'_>) {
        let labels = [
            ("api", api.to_string()),
            ("operation", event.operation.name().to_owned()),
            ("outcome", told(event).to_owned()),
        ];
        metrics::counter!("countersign_auth_requests_total", &labels).increment(1);
        metrics::histogram!("countersign_auth_request_seconds",
            "api" => api.to_string(), "operation" => event.operation.name())
        .record(self.begun.elapsed().as_secs_f64());
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
                    outcome = told(event),
                    reason = reason.map(Reason::code),
                    change = event.change,
                    account = event.account.map(AccountId::number),
                    login = event.login.map(tracing::field::debug),
                    session = event.session.map(tracing::field::display),
                    address = %self.address,
                    method = %self.method,
                    path = ?self.path,
                    status = status.as_u16(),
                    micros = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
                    detail = Some(event.detail).filter(|it| !it.is_empty()).map(tracing::field::debug),
                    "request"
                )
            };
        }
        match reason {
            Some(Reason::ServerFault | Reason::StoreUnavailable) => line!(tracing::Level::ERROR),
            Some(Reason::Reuse | Reason::StateRegression) => line!(tracing::Level::WARN),
            _ => line!(tracing::Level::INFO),
        }
    }
}

/// `done`, or the code of the refusal that the peer got.
fn told(event: &Event<'_>) -> &'static str {
    match event.outcome {
        Ok(()) => "done",
        Err(reason) => reason.refusal(event.operation).code(),
    }
}
