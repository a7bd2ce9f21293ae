//! Problem documents (RFC 9457): how the admin API refuses.

use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_domain::Role;
use serde::Serialize;
use utoipa::ToSchema;

use countersign_store::{AdminKeyError, CreateError, StoreUnavailable};

/// A refusal of the admin API. `code` is stable, `detail` is for people.
#[derive(Debug)]
pub(super) struct AdminProblem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    help: Option<String>,
    faults: Vec<FieldFault>,
    /// Boxed: few have one, and every handler returns this.
    header: Option<Box<(HeaderName, &'static str)>>,
}

/// What is wrong with a member of a body or a parameter of a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Fault)]
pub(super) struct FieldFault {
    /// The JSON pointer of the member in the body (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) pointer: Option<String>,
    /// The name of the parameter of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) parameter: Option<String>,
    /// What is wrong with it, in words without secrets.
    pub(super) detail: String,
    /// What to give instead, in words; absent if the detail says it already.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) help: Option<String>,
}

/// Why a request was refused (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemDocument {
    /// Always `about:blank`: the code says more.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What went wrong, as a code that never changes.
    code: &'static str,
    /// What went wrong, in words for people.
    detail: String,
    /// What to do about it, in words for people; absent if there is nothing to add.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    help: Option<String>,
    /// What is wrong with each member or parameter; absent if that is not the problem.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldFault>,
}

impl AdminProblem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            help: None,
            faults: Vec::new(),
            header: None,
        }
    }

    pub(super) fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    pub(super) fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// The server did nothing, or does not know whether it did; a later attempt may
    /// succeed.
    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
        problem.with_header(header::RETRY_AFTER, "1")
    }

    /// The `Allow` header is added where the routes are known. RFC 9110 section 15.5.6: "The
    /// origin server MUST generate an Allow header field in a 405 response".
    pub(super) fn method_not_allowed(method: &Method, path: &str) -> Self {
        let detail = format!("{path} does not take {method}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
            .with_help("use a method that the Allow header names")
    }

    /// RFC 9110 section 15.5.2: "The server generating a 401 response MUST send a
    /// WWW-Authenticate header field (Section 11.6.1) containing at least one challenge
    /// applicable to the target resource."
    pub(super) fn no_key() -> Self {
        let detail = "the request has no admin key";
        let problem = Self::new(StatusCode::UNAUTHORIZED, "missing_key", detail);
        let problem = problem.with_help("send it as Authorization: Bearer KEY");
        problem.with_header(
            header::WWW_AUTHENTICATE,
            "Bearer realm=\"countersign admin\"",
        )
    }

    pub(super) fn wrong_key() -> Self {
        Self::invalid_token("wrong_key", "this is not an admin key of this server")
    }

    pub(super) fn expired_key() -> Self {
        Self::invalid_token("expired_key", "this admin key has expired")
    }

    /// RFC 6750 section 3: "If the protected resource request [...] does not contain an access
    /// token that enables access to the protected resource, the resource server MUST include
    /// the HTTP "WWW-Authenticate" response header field".
    fn invalid_token(code: &'static str, detail: &str) -> Self {
        let problem = Self::new(StatusCode::UNAUTHORIZED, code, detail);
        problem.with_header(
            header::WWW_AUTHENTICATE,
            "Bearer realm=\"countersign admin\", error=\"invalid_token\"",
        )
    }

    /// The key does not allow its holder to do this.
    pub(super) fn role_needed(needed: Role, has: Role) -> Self {
        let (needed, has) = (needed.name(), has.name());
        Self::forbidden(format!(
            "this needs an admin key with the role {needed}, and yours has the role {has}"
        ))
    }

    /// The request concerns something that belongs to no single api.
    pub(super) fn every_api_needed() -> Self {
        Self::forbidden("this needs an admin key for all apis, and yours is for some")
    }

    fn forbidden(detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::FORBIDDEN, "forbidden", detail);
        problem.with_header(
            header::WWW_AUTHENTICATE,
            "Bearer realm=\"countersign admin\", error=\"insufficient_scope\"",
        )
    }

    /// The current state does not allow the change.
    pub(super) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// Members of the body are wrong.
    pub(super) fn invalid_members(faults: Vec<FieldFault>) -> Self {
        let code = "invalid_members";
        Self::of_faults(StatusCode::UNPROCESSABLE_ENTITY, code, faults)
    }

    /// Parameters of the query are wrong.
    pub(super) fn invalid_parameters(faults: Vec<FieldFault>) -> Self {
        Self::of_faults(StatusCode::BAD_REQUEST, "invalid_parameters", faults)
    }

    fn of_faults(status: StatusCode, code: &'static str, faults: Vec<FieldFault>) -> Self {
        let lines: Vec<_> = faults.iter().map(|it| it.placed(&it.detail)).collect();
        let help: Vec<_> = match faults.as_slice() {
            [only] => only.help.iter().cloned().collect(),
            several => several
                .iter()
                .filter_map(|it| Some(it.placed(it.help.as_ref()?)))
                .collect(),
        };
        let help = (!help.is_empty()).then(|| help.join("; "));
        let problem = Self::new(status, code, lines.join("; "));
        Self {
            faults,
            help,
            ..problem
        }
    }

    /// The same with what to do about it.
    #[must_use]
    pub(super) fn with_help(self, help: impl Into<String>) -> Self {
        let help = Some(help.into());
        Self { help, ..self }
    }

    fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }
}

impl FieldFault {
    /// Words about it, after its place.
    fn placed(&self, words: &str) -> String {
        let place = self.pointer.as_deref().or(self.parameter.as_deref());
        match place {
            Some(place) if !place.is_empty() => format!("{place}: {words}"),
            _ => words.to_owned(),
        }
    }
}

impl IntoResponse for AdminProblem {
    fn into_response(self) -> Response {
        let document = ProblemDocument {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail,
            help: self.help,
            errors: self.faults,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let media = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, media, body).into_response();
        if let Some((name, value)) = self.header.map(|it| *it) {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<StoreUnavailable> for AdminProblem {
    fn from(unavailable: StoreUnavailable) -> Self {
        match unavailable {
            StoreUnavailable::Busy => {
                Self::unavailable("the store is overloaded, and nothing was changed")
            }
            StoreUnavailable::Stopped => {
                Self::unavailable("the server is stopping, and nothing was changed")
            }
            StoreUnavailable::Failed => Self::unavailable("the store failed")
                .with_help("look whether the change was made before you repeat it"),
        }
    }
}

impl From<CreateError> for AdminProblem {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::LoginTaken => {
                Self::conflict("login_taken", "a credential of this api has this login")
            }
            CreateError::IdTaken => Self::conflict(
                "id_taken",
                "an account has this id, or had it before it was deleted",
            ),
            CreateError::NoAccount => {
                Self::not_found("no_such_account", "there is no such account")
            }
            CreateError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<AdminKeyError> for AdminProblem {
    fn from(error: AdminKeyError) -> Self {
        match error {
            AdminKeyError::NameTaken => {
                Self::conflict("name_taken", "an admin key has this name already")
            }
            AdminKeyError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}
