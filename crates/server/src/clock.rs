//! The clock that decides: it never goes back.
//!
//! A system clock that is set back would make dead tokens live and open replay
//! windows again. So time runs on the monotonic clock from the greatest instant
//! ever seen: the system's, or the high-water mark that the store kept over the
//! restart. A jump forward is followed, and costs at most a login.
//!
//! This is the only place that reads the wall clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use countersign_domain::Timestamp;

/// A source of `now`. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    System { origin: Instant, steady: Steady },
    Manual(AtomicI64),
}

impl Clock {
    /// The system's clock, and never before `high_water`.
    pub fn system(high_water: Timestamp) -> Self {
        let clock = Self(Arc::new(Source::System {
            origin: Instant::now(),
            steady: Steady(AtomicI64::new(i64::MIN)),
        }));
        clock.raise(high_water);
        clock
    }

    /// A clock that stands still until it is moved: for tests and the sandbox.
    pub fn manual(start: Timestamp) -> Self {
        Self(Arc::new(Source::Manual(AtomicI64::new(start.as_micros()))))
    }

    /// The time. Never less than any time that this clock gave before.
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Source::System { origin, steady } => steady.at(origin.elapsed(), wall()),
            Source::Manual(micros) => Timestamp::from_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// Makes sure that the clock is not before `floor`.
    pub fn raise(&self, floor: Timestamp) {
        match &*self.0 {
            Source::System { origin, steady } => {
                steady.at(origin.elapsed(), floor);
            }
            Source::Manual(micros) => {
                micros.fetch_max(floor.as_micros(), Ordering::SeqCst);
            }
        }
    }

    /// Moves a manual clock on. The system's clock stays as it is: nobody sets
    /// the time of a server through this.
    pub fn advance(&self, span: Duration) {
        if let Source::Manual(micros) = &*self.0 {
            // One writer at a time is all that a hand on the clock can be.
            let moved = Timestamp::from_micros(micros.load(Ordering::SeqCst)) + span;
            micros.fetch_max(moved.as_micros(), Ordering::SeqCst);
        }
    }

    /// Moves a manual clock on to `instant`; an earlier one changes nothing,
    /// and neither does any for the system's clock.
    pub fn set(&self, instant: Timestamp) {
        if let Source::Manual(micros) = &*self.0 {
            micros.fetch_max(instant.as_micros(), Ordering::SeqCst);
        }
    }
}

/// What is added to the monotonic clock to get the time, in microseconds. It
/// only grows, and so the sum never goes back.
#[derive(Debug)]
struct Steady(AtomicI64);

impl Steady {
    /// The time `elapsed` after the origin, when the wall clock shows `wall`.
    fn at(&self, elapsed: Duration, wall: Timestamp) -> Timestamp {
        let offset = (wall - elapsed).as_micros();
        let offset = self.0.fetch_max(offset, Ordering::SeqCst).max(offset);
        Timestamp::from_micros(offset) + elapsed
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the wall clock"
)]
fn wall() -> Timestamp {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Timestamp::default() + since,
        Err(before) => Timestamp::default() - before.duration(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn steady() -> Steady {
        Steady(AtomicI64::new(i64::MIN))
    }

    #[test]
    fn time_is_the_walls_as_long_as_that_runs_evenly() {
        let steady = steady();
        assert_eq!(steady.at(SECOND, at(1_000)), at(1_000));
        assert_eq!(steady.at(SECOND * 11, at(1_010)), at(1_010));
    }

    #[test]
    fn a_wall_clock_set_back_is_not_followed_and_time_goes_on() {
        let steady = steady();
        steady.at(SECOND, at(1_000));
        assert_eq!(steady.at(SECOND * 2, at(400)), at(1_001));
        assert_eq!(steady.at(SECOND * 602, at(1_000)), at(1_601));
    }

    #[test]
    fn a_jump_forward_is_followed_and_stays() {
        let steady = steady();
        steady.at(SECOND, at(1_000));
        assert_eq!(steady.at(SECOND * 2, at(9_000)), at(9_000));
        assert_eq!(steady.at(SECOND * 3, at(1_002)), at(9_001));
    }

    #[test]
    fn a_clock_starts_from_the_high_water_mark_where_that_is_later() {
        let far = at(40_000_000_000);
        assert!(Clock::system(far).now() >= far);
        let system = Clock::system(at(1)).now();
        assert!(system > at(1_700_000_000) && system < far);
    }

    #[test]
    fn the_systems_clock_cannot_be_moved_by_hand() {
        let far = at(40_000_000_000);
        let clock = Clock::system(at(1));
        clock.set(far);
        clock.advance(Duration::from_secs(40_000_000_000));
        assert!(clock.now() < far);
    }

    #[test]
    fn a_manual_clock_stands_still_until_it_is_moved_and_only_goes_on() {
        let clock = Clock::manual(at(50));
        let same = clock.clone();
        assert_eq!(clock.now(), at(50));
        same.advance(SECOND);
        assert_eq!(clock.now(), at(51));
        same.set(at(40));
        assert_eq!(clock.now(), at(51));
        same.set(at(60));
        assert_eq!(clock.now(), at(60));
    }
}
