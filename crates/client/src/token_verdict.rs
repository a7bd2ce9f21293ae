//! What the answer of a guarded API says about the token it was asked with.

use countersign_dialect::{Dialect, TokenRefusal};
use countersign_domain::{Refusal, TokenOperation};
use http::StatusCode;

/// Whether a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenVerdict {
    /// It was not.
    NotRefused,
    /// It was.
    Refused,
    /// The status alone does not tell: the body does.
    Unclear,
}

/// What each status tells, for one dialect.
#[derive(Debug)]
pub(crate) struct StatusVerdicts {
    /// Statuses that stand for a token that was refused, and whether they stand
    /// for other refusals too.
    expired: Vec<(StatusCode, TokenVerdict)>,
}

impl StatusVerdicts {
    /// Where a refusal that a fresh token may cure shares its status with another
    /// one, only the body tells them apart.
    pub(crate) fn for_dialect(dialect: &Dialect) -> Self {
        let curable = &dialect.client_policy().expired;
        let status = |refusal: &Refusal| {
            dialect
                .refuse(&TokenRefusal::new(TokenOperation::Guard, *refusal))
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
        // A refusal that the file does not spell has a status of the server's.
        let expired = curable.iter().map(status).filter(|it| it.is_client_error());
        Self {
            expired: expired.map(verdict).collect(),
        }
    }

    pub(crate) fn for_status(&self, status: StatusCode) -> TokenVerdict {
        let known = self.expired.iter().find(|(known, _)| *known == status);
        match known {
            Some((_, verdict)) => *verdict,
            // RFC 6750 section 3.1, whatever the file spells.
            None if status == StatusCode::UNAUTHORIZED => TokenVerdict::Unclear,
            None => TokenVerdict::NotRefused,
        }
    }
}

/// A guarded request is never refused for its login, or for a refresh token.
fn can_come_from_guard(refusal: Refusal) -> bool {
    !matches!(refusal, Refusal::BadLogin | Refusal::BadRefresh)
}
