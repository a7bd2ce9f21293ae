//! What the sidecar answers when the vendor does not: one table from the cause to a problem
//! document (RFC 9457).

use std::time::Duration;

use bytes::Bytes;
use countersign_client::{Clock, Error, ErrorKind, SystemClock};
use countersign_domain::FORWARDED_METHODS;
use countersign_relay::{RelayError, ResponseBodyError};
use countersign_transport::problem_response;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::json;

/// Distinguishes an answer of the sidecar from one of the vendor: it contains the code of
/// the cause, and is removed from the vendor's answers.
pub const SIDECAR: HeaderName = HeaderName::from_static("x-countersign-sidecar");

/// The reason why the sidecar answers itself, as a problem document.
#[derive(Debug)]
pub(crate) struct SidecarProblem {
    cause: ProblemCause,
    detail: String,
    retry_after: Option<Duration>,
}

/// The kind of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProblemCause {
    /// The request is for another host than this one.
    ForeignHost,
    /// It comes from a page in a browser.
    Browser,
    /// The key of the sidecar is missing or wrong.
    Key,
    /// Servers would read its path differently.
    AmbiguousPath,
    /// Its method, such as `TRACE`, would make the vendor return the token.
    Method,
    /// The profile does not allow it.
    NotAllowed,
    /// It would act on the session that the sidecar keeps.
    TokenEndpoint,
    /// The program did not send the whole request.
    CutOff,
    /// The limit of open tunnels is reached.
    Crowded,
    /// There is no token, and there will be none soon.
    NoToken,
    /// There is no token at the moment.
    NoTokenNow,
    /// The vendor refused a login or refresh, or its answer cannot be used.
    Refused,
    /// The vendor cannot be reached, or does not send a valid answer.
    Unreachable,
    /// The vendor could not be reached recently, so the request was not sent.
    Down,
    /// The vendor took too long.
    Slow,
}

impl ProblemCause {
    /// The status, the code, and the text before the detail.
    fn spelled(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::ForeignHost => (StatusCode::FORBIDDEN, "foreign_host", ""),
            Self::Browser => (StatusCode::FORBIDDEN, "browser", ""),
            Self::Key => (StatusCode::FORBIDDEN, "key", ""),
            Self::AmbiguousPath => (StatusCode::BAD_REQUEST, "ambiguous_path", ""),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method", ""),
            Self::NotAllowed => (StatusCode::FORBIDDEN, "not_allowed", ""),
            Self::TokenEndpoint => (StatusCode::FORBIDDEN, "token_endpoint", ""),
            Self::CutOff => (
                StatusCode::BAD_REQUEST,
                "cut_off",
                "the request broke off: ",
            ),
            Self::Crowded => (StatusCode::SERVICE_UNAVAILABLE, "crowded", ""),
            Self::NoToken => (
                StatusCode::BAD_GATEWAY,
                "no_token",
                "there is no access token: ",
            ),
            Self::NoTokenNow => (
                StatusCode::SERVICE_UNAVAILABLE,
                "no_token_now",
                "there is no access token at the moment: ",
            ),
            Self::Refused => (
                StatusCode::BAD_GATEWAY,
                "refused",
                "the vendor gives no access token: ",
            ),
            Self::Unreachable => (
                StatusCode::BAD_GATEWAY,
                "unreachable",
                "there is no answer of the vendor: ",
            ),
            Self::Down => (
                StatusCode::SERVICE_UNAVAILABLE,
                "down",
                "the vendor could not be reached lately: ",
            ),
            Self::Slow => (
                StatusCode::GATEWAY_TIMEOUT,
                "slow",
                "the vendor takes too long: ",
            ),
        }
    }
}

impl SidecarProblem {
    pub(crate) fn new(cause: ProblemCause, detail: impl Into<String>) -> Self {
        Self {
            cause,
            detail: detail.into(),
            retry_after: None,
        }
    }

    /// The code of the cause.
    pub(crate) fn code(&self) -> &'static str {
        self.cause.spelled().1
    }

    /// The text for the program.
    pub(crate) fn detail_text(&self) -> String {
        format!("{}{}", self.cause.spelled().2, self.detail)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.cause.spelled().0
    }

    pub(crate) fn response(&self) -> Response<Bytes> {
        let (status, code, _) = self.cause.spelled();
        let document = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": self.detail_text(),
            "code": code,
        });
        let mut response = problem_response(status, document.to_string());
        let fields = response.headers_mut();
        fields.insert(SIDECAR, HeaderValue::from_static(code));
        // Required of a 405, as the list says.
        if self.cause == ProblemCause::Method {
            fields.insert(header::ALLOW, HeaderValue::from_static(FORWARDED_METHODS));
        }
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
            fields.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<Error> for SidecarProblem {
    fn from(error: Error) -> Self {
        let cause = match error.kind {
            ErrorKind::Refused { .. } | ErrorKind::Unintelligible => ProblemCause::Refused,
            _ if error.is_transient() => ProblemCause::NoTokenNow,
            ErrorKind::LoggedOut => ProblemCause::NoTokenNow,
            _ => ProblemCause::NoToken,
        };
        let now = SystemClock.now();
        let wait = error.retry_at.map(|at| at.since(now));
        let soon = (cause == ProblemCause::NoTokenNow).then_some(Duration::from_secs(1));
        Self {
            retry_after: wait.filter(|_| cause == ProblemCause::NoTokenNow).or(soon),
            ..Self::new(cause, error.message.to_string())
        }
    }
}

/// A relay's error, as a problem.
impl From<RelayError> for SidecarProblem {
    fn from(error: RelayError) -> Self {
        let (cause, retry_after) = match error {
            RelayError::Down { retry_after } => (ProblemCause::Down, Some(retry_after)),
            RelayError::Timeout(_) => (ProblemCause::Slow, None),
            RelayError::Failed(_) => (ProblemCause::Unreachable, None),
            RelayError::ClientGone(_) => (ProblemCause::CutOff, None),
            RelayError::NoRoom { retry_after } => (ProblemCause::Crowded, Some(retry_after)),
        };
        Self {
            retry_after,
            ..Self::new(cause, error.to_string())
        }
    }
}

impl From<ResponseBodyError> for SidecarProblem {
    fn from(broken: ResponseBodyError) -> Self {
        Self::new(ProblemCause::Unreachable, broken.to_string())
    }
}

#[cfg(test)]
mod tests {
    use countersign_domain::{Refusal, TokenOperation};

    use super::*;

    fn answered(problem: impl Into<SidecarProblem>) -> (u16, String, Option<String>) {
        let response = problem.into().response();
        let field = |name| {
            let value = response.headers().get(name);
            value.map(|it: &HeaderValue| it.to_str().unwrap().to_owned())
        };
        (
            response.status().as_u16(),
            field(SIDECAR).unwrap(),
            field(header::RETRY_AFTER),
        )
    }

    #[test]
    fn only_what_passes_by_itself_says_when_to_come_again() {
        let later = SystemClock.now() + Duration::from_millis(2_500);
        let refused = ErrorKind::Refused {
            operation: TokenOperation::Login,
            refusal: Refusal::BadLogin,
        };
        for (kind, expected) in [
            (ErrorKind::Throttled, (503, "no_token_now", Some("3"))),
            (ErrorKind::Unavailable, (503, "no_token_now", Some("3"))),
            (refused, (502, "refused", None)),
            (ErrorKind::Unintelligible, (502, "refused", None)),
            (ErrorKind::Secret, (502, "no_token", None)),
            (ErrorKind::Store, (502, "no_token", None)),
        ] {
            let (status, code, after) = answered(Error::new(kind, "why").until(later));
            assert_eq!((status, &*code, after.as_deref()), expected, "{kind:?}");
        }
    }

    #[test]
    fn the_vendors_absence_is_told_apart() {
        let (why, wait) = (String::new, Duration::from_secs(2));
        let retry_after = wait;
        for (error, status, code, after) in [
            (RelayError::Down { retry_after }, 503, "down", Some("2")),
            (RelayError::Timeout(why()), 504, "slow", None),
            (RelayError::Failed(why()), 502, "unreachable", None),
            (RelayError::ClientGone(why()), 400, "cut_off", None),
            (
                RelayError::NoRoom { retry_after },
                503,
                "crowded",
                Some("2"),
            ),
        ] {
            let (found, named, told) = answered(error);
            assert_eq!((found, &*named, told.as_deref()), (status, code, after));
        }
    }
}
