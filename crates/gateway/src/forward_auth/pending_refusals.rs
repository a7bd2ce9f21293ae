//! Refusals whose text nginx has not fetched yet, which it does at once or never.
//!
//! They are found only by their support id, which nobody can guess. Each is returned
//! once, and dropped after a minute or when there are too many.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::denial::GuardDenial;

use countersign_domain::{ApiName, Timestamp};

/// How long a refusal is kept.
const LIFETIME: Duration = Duration::from_secs(60);

/// How many refusals are kept.
const CAPACITY: usize = 10_000;

#[derive(Default)]
pub(super) struct PendingRefusals(Mutex<PendingState>);

#[derive(Default)]
struct PendingState {
    by_id: HashMap<Box<str>, PendingRefusal>,
    /// The oldest first; some may have been fetched.
    order: VecDeque<(Timestamp, Box<str>)>,
}

struct PendingRefusal {
    api: ApiName,
    denied: GuardDenial,
    until: Timestamp,
}

impl PendingRefusals {
    pub(super) fn keep(&self, id: &str, api: &ApiName, denied: &GuardDenial, now: Timestamp) {
        let until = now + LIFETIME;
        let refused = PendingRefusal {
            api: api.clone(),
            denied: denied.clone(),
            until,
        };
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.make_room(now);
        waiting.by_id.insert(id.into(), refused);
        waiting.order.push_back((until, id.into()));
    }

    /// The refusal with this id, if it belongs to this api and is still there.
    pub(super) fn take(&self, id: &str, api: &ApiName, now: Timestamp) -> Option<GuardDenial> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.by_id.get(id)?.api != *api {
            return None;
        }
        let refused = waiting.by_id.remove(id)?;
        (refused.until > now).then_some(refused.denied)
    }
}

impl PendingState {
    fn make_room(&mut self, now: Timestamp) {
        let full = |order: &VecDeque<_>| order.len() >= CAPACITY;
        while let Some((until, _)) = self.order.front()
            && (*until <= now || full(&self.order))
        {
            if let Some((_, id)) = self.order.pop_front() {
                self.by_id.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign_domain::Reason;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn api() -> ApiName {
        "shop".parse().unwrap()
    }

    fn keep(kept: &PendingRefusals, id: &str, now: Timestamp) {
        kept.keep(id, &api(), &Reason::TokenMissing.into(), now);
    }

    #[test]
    fn a_refusal_is_told_once_to_its_own_api() {
        let kept = PendingRefusals::default();
        keep(&kept, "a", at(0));
        assert_eq!(kept.take("a", &"other".parse().unwrap(), at(0)), None);
        assert_eq!(kept.take("b", &api(), at(0)), None);
        let told = kept.take("a", &api(), at(59)).unwrap();
        assert_eq!(told.reason, Reason::TokenMissing);
        assert_eq!(kept.take("a", &api(), at(59)), None);
    }

    #[test]
    fn after_a_minute_it_is_forgotten() {
        let kept = PendingRefusals::default();
        keep(&kept, "a", at(0));
        assert_eq!(kept.take("a", &api(), at(60)), None);
        keep(&kept, "b", at(0));
        keep(&kept, "c", at(60));
        assert_eq!(kept.0.lock().unwrap().order.len(), 1);
    }

    #[test]
    fn when_too_many_wait_the_oldest_go() {
        let kept = PendingRefusals::default();
        for number in 0..=CAPACITY {
            keep(&kept, &number.to_string(), at(0));
        }
        assert_eq!(kept.0.lock().unwrap().by_id.len(), CAPACITY);
        assert_eq!(kept.take("0", &api(), at(0)), None);
        assert!(kept.take("1", &api(), at(0)).is_some());
    }
}
