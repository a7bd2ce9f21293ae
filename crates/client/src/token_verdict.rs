//! What the reply of a guarded API says about the access token of its request.

use countersign_dialect::{Dialect, TokenRefusal};
use countersign_domain::{Refusal, TokenOperation};
use http::StatusCode;

/// Whether a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenVerdict {
    /// It was not refused.
    NotRefused,
    /// It was refused.
    Refused,
    /// The status alone does not say: the body does.
    Unclear,
}

/// What each status means in one dialect.
#[derive(Debug)]
pub(crate) struct StatusVerdicts {
    /// The statuses of refused tokens, and whether other refusals share them.
    expired: Vec<(StatusCode, TokenVerdict)>,
}

impl StatusVerdicts {
    /// If a refusal that a fresh token may cure shares its status with another one,
    /// only the body tells them apart.
    pub(crate) fn for_dialect(dialect: &Dialect) -> Self {
        let curable = &dialect.client_policy().expired;
        let status = |refusal: &Refusal| {
            dialect
                .write_refusal(&TokenRefusal::new(TokenOperation::Guard, *refusal))
                .status()
        };
        let others: Vec<_> = Refusal::ALL
            .iter()
            .filter(|it| can_come_from_guard(**it) && !curable.contains(it))
            .map(status)
            .collect();
        let verdict = |status| match others.contains(&status) {
            true => (status, TokenVerdict::Unclear),
            false => (status, TokenVerdict::Refused),
        };
        // A refusal that the dialect does not spell gets a status of 500 and above.
        let expired = curable.iter().map(status).filter(|it| it.is_client_error());
        Self {
            expired: expired.map(verdict).collect(),
        }
    }

    pub(crate) fn for_status(&self, status: StatusCode) -> TokenVerdict {
        let known = self.expired.iter().find(|(known, _)| *known == status);
        match known {
            Some((_, verdict)) => *verdict,
            // RFC 6750 section 3.1, for a token that is "expired, revoked, malformed,
            // or invalid for other reasons": "The resource SHOULD respond with the
            // HTTP 401 (Unauthorized) status code", whatever the dialect says.
            None if status == StatusCode::UNAUTHORIZED => TokenVerdict::Unclear,
            None => TokenVerdict::NotRefused,
        }
    }
}

/// Whether a guarded request can be refused so: never for its login or a refresh
/// token.
fn can_come_from_guard(refusal: Refusal) -> bool {
    !matches!(refusal, Refusal::BadLogin | Refusal::BadRefresh)
}
