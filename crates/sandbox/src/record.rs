//! The requests that the sandbox received, without anything secret.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use countersign_domain::{Reason, SessionId, Timestamp, TokenOperation};

/// The most requests that are kept; of more, the oldest go.
const MOST: usize = 100_000;

/// The longest path that is kept, in characters.
const LONGEST_PATH: usize = 256;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRequest {
    /// When it came, by the sandbox's clock.
    pub at: Timestamp,
    /// What was asked for.
    pub operation: TokenOperation,
    /// Its method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// The status of the answer, if only of one that was lost.
    pub status: u16,
    /// Why it was refused.
    pub refusal: Option<Reason>,
    /// What became of its session: `opened`, `rotated`, `replayed`, `renewed`,
    /// `ended`, `ended_for_reuse`.
    pub change: Option<&'static str>,
    /// Its session.
    pub session: Option<SessionId>,
    /// The generation of the access token that it used.
    pub generation: Option<u32>,
    /// The names of the faults that struck it.
    pub faults: Vec<&'static str>,
}

impl RecordedRequest {
    /// A request that came now, before anything is known of it.
    pub(crate) fn begin<B>(
        request: &http::Request<B>,
        operation: TokenOperation,
        at: Timestamp,
    ) -> Self {
        Self {
            at,
            operation,
            method: request.method().to_string(),
            path: request.uri().path().chars().take(LONGEST_PATH).collect(),
            status: 0,
            refusal: None,
            change: None,
            session: None,
            generation: None,
            faults: Vec::new(),
        }
    }

    /// Whether a fault refused it, or made that it was: the client is not to
    /// blame.
    pub fn is_sabotaged(&self) -> bool {
        let to_blame = ["status", "forbid", "revoke"];
        self.faults.iter().any(|fault| to_blame.contains(fault))
    }

    /// Whether it was granted; the client may not have heard of it.
    pub fn is_granted(&self) -> bool {
        self.refusal.is_none() && self.status < 400
    }
}

/// The requests since the start, or since they were forgotten.
#[derive(Default)]
pub(crate) struct RequestRecorder(Mutex<KeptRequests>);

#[derive(Default)]
struct KeptRequests {
    requests: VecDeque<RecordedRequest>,
    dropped: u64,
}

impl RequestRecorder {
    pub(crate) fn note(&self, request: RecordedRequest) {
        let mut kept = self.lock();
        if kept.requests.len() == MOST {
            kept.requests.pop_front();
            kept.dropped += 1;
        }
        kept.requests.push_back(request);
    }

    pub(crate) fn all(&self) -> Vec<RecordedRequest> {
        self.lock().requests.iter().cloned().collect()
    }

    /// How many went to make room.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    pub(crate) fn forget(&self) {
        *self.lock() = KeptRequests::default();
    }

    fn lock(&self) -> MutexGuard<'_, KeptRequests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_requests_the_oldest_go_and_are_counted() {
        let requests = RequestRecorder::default();
        for second in 0..i64::try_from(MOST).unwrap() + 3 {
            let request = http::Request::get("/a?key=secret").body(()).unwrap();
            let at = Timestamp::from_seconds(second);
            requests.note(RecordedRequest::begin(&request, TokenOperation::Guard, at));
        }
        let all = requests.all();
        assert_eq!((all.len(), requests.dropped()), (MOST, 3));
        assert_eq!(all[0].at, Timestamp::from_seconds(3));
        assert_eq!(all[0].path, "/a", "a query may hold a static key");
        requests.forget();
        assert_eq!((requests.all().len(), requests.dropped()), (0, 0));
    }
}
