//! The clock for all decisions: it never goes back.
//!
//! If a system clock that is set back were followed, expired tokens would become valid
//! and replay windows would open again. So time runs on the monotonic clock, from the
//! latest time ever seen: the system's, or the high-water mark that the store kept over
//! the restart. A jump forward is followed, and costs a login at most.
//!
//! This is the only place that reads the wall clock.

mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use countersign_domain::Timestamp;

pub use watch::{ClockDoubt, ClockWatch};

/// The date of this release: each release raises it. If a build states its own date in
/// `SOURCE_DATE_EPOCH` (<https://reproducible-builds.org/specs/source-date-epoch/>) and
/// that is later, it counts.
const RELEASED: i64 = 1_793_491_200;

/// A correct clock never shows an earlier time than the date of this program; in seconds.
const BUILT: i64 = {
    let said = match option_env!("SOURCE_DATE_EPOCH") {
        Some(text) => seconds(text),
        None => 0,
    };
    if said > RELEASED { said } else { RELEASED }
};

/// A number of seconds; 0 if the text is not a number.
const fn seconds(text: &str) -> i64 {
    let (bytes, mut value, mut index) = (text.as_bytes(), 0_i64, 0);
    while index < bytes.len() {
        if !bytes[index].is_ascii_digit() {
            return 0;
        }
        let digit = (bytes[index] - b'0') as i64;
        value = value.saturating_mul(10).saturating_add(digit);
        index += 1;
    }
    value
}

/// The system's clock is certainly wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the system clock shows {}, which is before this program was built ({})",
    date(*shown),
    date(*made)
)]
pub struct ClockBehindBuild {
    shown: i64,
    made: i64,
}

impl ClockBehindBuild {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        "correct the system clock and start again"
    }
}

/// The day, for people.
fn date(seconds: i64) -> String {
    let mut day = Timestamp::from_seconds(seconds).rfc3339_seconds();
    day.truncate(day.find('T').unwrap_or(day.len()));
    day
}

/// The system's time, unless it is before the date of this program.
///
/// # Errors
///
/// [`ClockBehindBuild`] if it is. Decisions by such a clock would make expired tokens
/// valid again in a store that has no mark yet.
pub fn plausible_wall() -> Result<Timestamp, ClockBehindBuild> {
    plausible(wall())
}

fn plausible(shown: Timestamp) -> Result<Timestamp, ClockBehindBuild> {
    if shown < Timestamp::from_seconds(BUILT) {
        return Err(ClockBehindBuild {
            shown: shown.as_seconds(),
            made: BUILT,
        });
    }
    Ok(shown)
}

/// A source of the current time. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct StoreClock(Arc<ClockSource>);

#[derive(Debug)]
enum ClockSource {
    System(FollowedClock),
    /// Runs like the system's clock, ahead of it by so many microseconds.
    Ahead(FollowedClock, AtomicI64),
    Manual(AtomicI64),
}

impl StoreClock {
    /// The system's clock, but never before `high_water`.
    pub fn system(high_water: Timestamp) -> Self {
        let clock = Self(Arc::new(ClockSource::System(FollowedClock::new())));
        clock.raise(high_water);
        clock
    }

    /// A clock that runs like the system's and can be moved on, for the sandbox.
    pub fn movable() -> Self {
        Self(Arc::new(ClockSource::Ahead(
            FollowedClock::new(),
            AtomicI64::new(0),
        )))
    }

    /// A clock that stands still until it is moved, for tests and the sandbox.
    pub fn manual(start: Timestamp) -> Self {
        Self(Arc::new(ClockSource::Manual(AtomicI64::new(
            start.as_micros(),
        ))))
    }

    /// The current time. It is never less than any time that this clock returned before.
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            ClockSource::System(running) => running.now(),
            ClockSource::Ahead(running, ahead) => running.now() + micros(ahead),
            ClockSource::Manual(shown) => Timestamp::from_micros(shown.load(Ordering::SeqCst)),
        }
    }

    /// Makes sure that the clock is not before `floor`.
    pub fn raise(&self, floor: Timestamp) {
        match &*self.0 {
            ClockSource::System(running) => running.raise(floor),
            ClockSource::Ahead(..) | ClockSource::Manual(_) => self.set(floor),
        }
    }

    /// Moves a movable or manual clock on. The system's clock is not changed: nobody sets
    /// the time of a server through this.
    pub fn advance(&self, span: Duration) {
        // One writer at a time is all that a hand on the clock can be.
        if !matches!(&*self.0, ClockSource::System(_)) {
            self.set(self.now() + span);
        }
    }

    /// Moves a movable or manual clock on to `instant`. An earlier time changes nothing,
    /// and the system's clock never changes.
    pub fn set(&self, instant: Timestamp) {
        match &*self.0 {
            ClockSource::System(_) => {}
            ClockSource::Ahead(running, ahead) => {
                let wanted = micros_of(instant.since(running.now()));
                ahead.fetch_max(wanted, Ordering::SeqCst);
            }
            ClockSource::Manual(shown) => {
                shown.fetch_max(instant.as_micros(), Ordering::SeqCst);
            }
        }
    }
}

/// The system's clock, followed on the monotonic clock.
#[derive(Debug)]
struct FollowedClock {
    origin: Instant,
    steady: SteadyOffset,
}

impl FollowedClock {
    fn new() -> Self {
        Self {
            origin: Instant::now(),
            steady: SteadyOffset(AtomicI64::new(i64::MIN)),
        }
    }

    fn now(&self) -> Timestamp {
        self.steady.at(self.origin.elapsed(), wall())
    }

    fn raise(&self, floor: Timestamp) {
        self.steady.at(self.origin.elapsed(), floor);
    }
}

/// A duration that is never negative, as it is stored.
fn micros(stored: &AtomicI64) -> Duration {
    Duration::from_micros(stored.load(Ordering::SeqCst).unsigned_abs())
}

fn micros_of(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// What is added to the monotonic clock to get the time, in microseconds. It only grows,
/// so the sum never goes back.
#[derive(Debug)]
struct SteadyOffset(AtomicI64);

impl SteadyOffset {
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
    SystemTime::now().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_clock_from_before_the_program_was_made_is_not_believed() {
        for wrong in [i64::MIN, -86_400, 0, 946_684_800, BUILT - 1] {
            let refused = plausible(at(wrong)).unwrap_err();
            assert!(refused.help().contains("correct"), "{refused}");
            assert!(refused.to_string().contains(&date(BUILT)), "{refused}");
        }
        assert_eq!(plausible(at(BUILT)), Ok(at(BUILT)));
        assert!(plausible_wall().is_ok(), "this machine's clock is right");
    }

    #[test]
    fn the_date_of_a_build_is_a_number_of_seconds() {
        for (text, value) in [("0", 0), ("1793491201", 1_793_491_201), ("", 0), ("-1", 0)] {
            assert_eq!(seconds(text), value, "{text}");
        }
        assert_eq!(seconds("99999999999999999999"), i64::MAX);
    }

    fn steady() -> SteadyOffset {
        SteadyOffset(AtomicI64::new(i64::MIN))
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
        assert!(StoreClock::system(far).now() >= far);
        let system = StoreClock::system(at(1)).now();
        assert!(system > at(1_700_000_000) && system < far);
    }

    #[test]
    fn the_systems_clock_cannot_be_moved_by_hand() {
        let far = at(40_000_000_000);
        let clock = StoreClock::system(at(1));
        clock.set(far);
        clock.advance(Duration::from_secs(40_000_000_000));
        assert!(clock.now() < far);
    }

    #[test]
    fn a_movable_clock_runs_on_from_where_it_was_moved_to() {
        let (clock, system) = (StoreClock::movable(), StoreClock::system(at(1)));
        let same = clock.clone();
        let lead = || clock.now().since(system.now());
        assert!(lead() < SECOND);
        same.advance(SECOND * 3_600);
        assert!(lead() > SECOND * 3_599 && lead() < SECOND * 3_601);
        same.set(system.now());
        assert!(lead() > SECOND * 3_599, "it never goes back");
        same.set(at(40_000_000_000));
        let before = clock.now();
        assert!(before >= at(40_000_000_000) && clock.now() >= before);
        assert!(before < at(40_000_000_001));
    }

    #[test]
    fn a_manual_clock_stands_still_until_it_is_moved_and_only_goes_on() {
        let clock = StoreClock::manual(at(50));
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
