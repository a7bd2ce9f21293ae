//! What a client is expected to ask of its vendor.

use countersign_domain::{Reason, TokenOperation};

use crate::record::RecordedRequest;

/// Bounds on what was asked; what is `None` is not looked at.
///
/// Logins and refreshes are those that were granted, whether or not the reply
/// was lost; a refresh that was repeated with the same token counts once. A
/// request that a fault refused is not a refusal here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestExpectations {
    /// At least so many requests, of whatever kind and outcome.
    pub min_requests: Option<u64>,
    /// Exactly this many logins.
    pub logins: Option<u64>,
    /// At most this many logins.
    pub max_logins: Option<u64>,
    /// Exactly so many refreshes.
    pub refreshes: Option<u64>,
    /// At most this many refreshes.
    pub max_refreshes: Option<u64>,
    /// Exactly this many logouts.
    pub logouts: Option<u64>,
    /// At most so many requests that were refused.
    pub max_refused: Option<u64>,
    /// At most this many requests with an expired access token.
    pub max_expired: Option<u64>,
}

/// What was asked, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// Requests of every kind, whatever came of them.
    pub requests: u64,
    /// Logins that were granted.
    pub logins: u64,
    /// Refreshes that were granted, each token once.
    pub refreshes: u64,
    /// Refreshes that were repeated with the same token.
    pub repeated: u64,
    /// Logouts that were granted.
    pub logouts: u64,
    /// Guarded requests that were let through.
    pub guarded: u64,
    /// Requests that were refused, but not by a fault.
    pub refused: u64,
    /// Requests with an access token that had run out.
    pub expired: u64,
}

impl RequestCounts {
    /// Counts these requests.
    pub fn count_all(requests: &[RecordedRequest]) -> Self {
        let mut asked = Self::default();
        for request in requests {
            asked.count(request);
        }
        asked
    }

    fn count(&mut self, request: &RecordedRequest) {
        self.requests += 1;
        let guards = matches!(
            request.operation,
            TokenOperation::Guard | TokenOperation::Logout
        );
        if guards && request.refusal == Some(Reason::TokenExpired) {
            self.expired += 1;
        }
        if request.refusal.is_some() && !request.is_sabotaged() {
            self.refused += 1;
        }
        let counter = match request.operation {
            _ if !request.is_granted() => return,
            TokenOperation::Login => &mut self.logins,
            TokenOperation::Refresh if request.change == Some("replayed") => &mut self.repeated,
            TokenOperation::Refresh => &mut self.refreshes,
            TokenOperation::Logout => &mut self.logouts,
            TokenOperation::Guard => &mut self.guarded,
        };
        *counter += 1;
    }
}

impl RequestExpectations {
    /// Nothing in particular.
    pub fn new() -> Self {
        Self::default()
    }

    /// At least so many requests: bounds from above hold of a client that never
    /// called, too.
    #[must_use]
    pub fn min_requests(mut self, count: u64) -> Self {
        self.min_requests = Some(count);
        self
    }

    /// Exactly this many logins.
    #[must_use]
    pub fn logins(mut self, count: u64) -> Self {
        self.logins = Some(count);
        self
    }

    /// Exactly so many refreshes.
    #[must_use]
    pub fn refreshes(mut self, count: u64) -> Self {
        self.refreshes = Some(count);
        self
    }

    /// At most this many refreshes.
    #[must_use]
    pub fn max_refreshes(mut self, count: u64) -> Self {
        self.max_refreshes = Some(count);
        self
    }

    /// At most so many requests that were refused.
    #[must_use]
    pub fn max_refused(mut self, count: u64) -> Self {
        self.max_refused = Some(count);
        self
    }

    /// No access token that had run out.
    #[must_use]
    pub fn no_expired(mut self) -> Self {
        self.max_expired = Some(0);
        self
    }

    /// What of these requests is not as expected, in words.
    ///
    /// # Errors
    ///
    /// All of it.
    pub fn check(&self, requests: &[RecordedRequest]) -> Result<RequestCounts, Vec<String>> {
        let asked = RequestCounts::count_all(requests);
        let exactly = [
            ("logins", self.logins, asked.logins),
            ("refreshes", self.refreshes, asked.refreshes),
            ("logouts", self.logouts, asked.logouts),
        ];
        let at_most = [
            ("logins", self.max_logins, asked.logins),
            ("refreshes", self.max_refreshes, asked.refreshes),
            ("refused requests", self.max_refused, asked.refused),
            (
                "requests with an expired access token",
                self.max_expired,
                asked.expired,
            ),
        ];
        let exactly = exactly.iter().filter_map(|(what, bound, seen)| {
            let bound = bound.filter(|bound| bound != seen)?;
            Some(format!("{what}: {seen} instead of {bound}"))
        });
        let at_most = at_most.iter().filter_map(|(what, bound, seen)| {
            let bound = bound.filter(|bound| bound < seen)?;
            Some(format!("{what}: {seen}, and at most {bound} expected"))
        });
        let at_least = self.min_requests.filter(|bound| *bound > asked.requests);
        let at_least = at_least.map(|bound| match asked.requests {
            0 => format!("no request was made, but at least {bound} expected"),
            seen => format!("requests: {seen}, and at least {bound} expected"),
        });
        let failures: Vec<_> = at_least.into_iter().chain(exactly).chain(at_most).collect();
        if failures.is_empty() {
            Ok(asked)
        } else {
            Err(failures)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(operation: TokenOperation, change: &'static str) -> RecordedRequest {
        let request = http::Request::post("/").body(()).unwrap();
        let mut recorded = RecordedRequest::begin(&request, operation, Default::default());
        (recorded.status, recorded.change) = (200, Some(change));
        recorded
    }

    fn refused(
        operation: TokenOperation,
        reason: Reason,
        fault: Option<&'static str>,
    ) -> RecordedRequest {
        RecordedRequest {
            status: 401,
            refusal: Some(reason),
            faults: fault.into_iter().collect(),
            ..request(operation, "")
        }
    }

    fn story() -> Vec<RecordedRequest> {
        vec![
            request(TokenOperation::Login, "opened"),
            request(TokenOperation::Refresh, "rotated"),
            request(TokenOperation::Refresh, "replayed"),
            refused(TokenOperation::Guard, Reason::TokenExpired, None),
            refused(
                TokenOperation::Refresh,
                Reason::AddressDenied,
                Some("forbid"),
            ),
            request(TokenOperation::Logout, "ended"),
        ]
    }

    #[test]
    fn a_story_is_counted_without_repetitions_and_without_what_faults_refused() {
        let counted = RequestCounts {
            requests: 6,
            logins: 1,
            refreshes: 1,
            repeated: 1,
            logouts: 1,
            guarded: 0,
            refused: 1,
            expired: 1,
        };
        assert_eq!(RequestCounts::count_all(&story()), counted);
        let expected = RequestExpectations::new()
            .logins(1)
            .refreshes(1)
            .max_refused(1);
        assert_eq!(expected.check(&story()), Ok(counted));
    }

    #[test]
    fn a_client_that_never_called_keeps_within_bounds_from_above_only() {
        let within = RequestExpectations::new().max_refreshes(1).no_expired();
        assert_eq!(within.check(&[]), Ok(RequestCounts::default()));
        let called = within.min_requests(1);
        let told = "no request was made, but at least 1 expected";
        assert_eq!(called.check(&[]), Err(vec![told.to_owned()]));
        assert!(
            RequestExpectations::new()
                .min_requests(6)
                .check(&story())
                .is_ok()
        );
        let told = "requests: 6, and at least 7 expected";
        let more = RequestExpectations::new().min_requests(7);
        assert_eq!(more.check(&story()), Err(vec![told.to_owned()]));
    }

    #[test]
    fn all_that_is_not_as_expected_is_told_at_once() {
        let expected = RequestExpectations {
            logouts: Some(0),
            max_logins: Some(0),
            ..RequestExpectations::new()
                .logins(2)
                .max_refreshes(0)
                .no_expired()
        };
        let failures = expected.check(&story()).unwrap_err();
        assert_eq!(
            failures,
            [
                "logins: 1 instead of 2",
                "logouts: 1 instead of 0",
                "logins: 1, and at most 0 expected",
                "refreshes: 1, and at most 0 expected",
                "requests with an expired access token: 1, and at most 0 expected",
            ]
        );
    }
}
