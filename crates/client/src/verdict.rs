//! What the answer of a guarded API says about the token it was asked with.

use countersign_dialect::{Dialect, Refused};
use countersign_domain::{Operation, Refusal};
use http::StatusCode;

/// Whether a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It was not.
    No,
    /// It was.
    Yes,
    /// The status alone does not tell: the body does.
    Unclear,
}

/// What each status tells, for one dialect.
#[derive(Debug)]
pub(crate) struct Verdicts {
    /// Statuses that stand for a token that was refused, and whether they stand
    /// for other refusals too.
    expired: Vec<(StatusCode, Expiry)>,
}

impl Verdicts {
    /// Where a refusal that a fresh token may cure shares its status with another
    /// one, only the body tells them apart.
    pub(crate) fn of_dialect(dialect: &Dialect) -> Self {
        let curable = &dialect.client_policy().expired;
        let status = |refusal: &Refusal| {
            dialect
                .refuse(&Refused::new(Operation::Guard, *refusal))
                .status()
        };
        let others: Vec<_> = Refusal::ALL
            .iter()
            .filter(|it| is_of_a_guard(**it) && !curable.contains(it))
            .map(status)
            .collect();
        let verdict = |status| match others.contains(&status) {
            true => (status, Expiry::Unclear),
            false => (status, Expiry::Yes),
        };
        // A refusal that the file does not spell has a status of the server's.
        let expired = curable.iter().map(status).filter(|it| it.is_client_error());
        Self {
            expired: expired.map(verdict).collect(),
        }
    }

    pub(crate) fn of(&self, status: StatusCode) -> Expiry {
        let known = self.expired.iter().find(|(known, _)| *known == status);
        match known {
            Some((_, verdict)) => *verdict,
            // RFC 6750 section 3.1, whatever the file spells.
            None if status == StatusCode::UNAUTHORIZED => Expiry::Unclear,
            None => Expiry::No,
        }
    }
}

/// A guarded request is never refused for its login, or for a refresh token.
fn is_of_a_guard(refusal: Refusal) -> bool {
    !matches!(refusal, Refusal::BadLogin | Refusal::BadRefresh)
}
