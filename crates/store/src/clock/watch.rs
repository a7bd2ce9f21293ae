//! Detects a system clock that is probably wrong.
//!
//! The store's clock follows the system's forward and never goes back, so a clock that was
//! wrong once leaves its mark. The suspicion is reported loudly (a warning, a gauge, and
//! `degraded` at `/readyz`) and stops nothing, because the right time cannot be known from
//! here.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use countersign_domain::Timestamp;
use metrics::gauge;

use super::{StoreClock, wall};

/// By how much the system's clock may be ahead of the time that ran since the start, or
/// behind the store's, before this is reported: more than a manual change to summer time,
/// or than a correction right after the start.
const TOLERATED: Duration = Duration::from_secs(3_600);

/// How often a lasting doubt is reported.
const TOLD_EVERY: Duration = Duration::from_secs(86_400);

/// 1 while there is this doubt, by `doubt`.
const DOUBTS: &str = "countersign_clock_doubts";

/// Why the time may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockDoubt {
    /// The system's clock jumped ahead: it shows this much more than the time since the
    /// start, by the clock that counts from boot.
    JumpedAhead(Duration),
    /// The store's clock is ahead of the system's by this much.
    AheadOfSystem(Duration),
    /// At the start, the system's clock was ahead of the last commit by this much.
    AheadOfMark(Duration),
}

impl ClockDoubt {
    /// As a word, for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::JumpedAhead(_) => "jumped_ahead",
            Self::AheadOfSystem(_) => "ahead_of_system",
            Self::AheadOfMark(_) => "ahead_of_mark",
        }
    }
}

impl fmt::Display for ClockDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JumpedAhead(by) => write!(
                f,
                "the system clock went {} further than time has passed since the start: if it is \
                 wrong, set it right, and mend the store's clock with `countersign store \
                 mend-clock`",
                ClockSpan(*by)
            ),
            Self::AheadOfSystem(by) => write!(
                f,
                "the store's clock is {} ahead of the system clock, and decides: if the system \
                 clock is right, stop the server and run `countersign store mend-clock`",
                ClockSpan(*by)
            ),
            Self::AheadOfMark(by) => write!(
                f,
                "at the start the system clock was {} ahead of the last change of the store: if \
                 the server was not stopped for that long, set the clock right, and mend the \
                 store's with `countersign store mend-clock`",
                ClockSpan(*by)
            ),
        }
    }
}

/// A duration in its two largest units.
struct ClockSpan(Duration);

impl fmt::Display for ClockSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.as_secs() / 60;
        let (days, hours, minutes) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
        match days {
            0 => write!(f, "{hours} h {minutes} min"),
            _ => write!(f, "{days} d {hours} h"),
        }
    }
}

/// The times of several clocks at one moment.
#[derive(Clone, Copy, Debug)]
struct ClockReading {
    /// The system's clock.
    wall: Timestamp,
    /// The clock for all decisions.
    now: Timestamp,
    /// The time since boot, including sleep.
    booted: Duration,
}

/// Watches the clock of a store from its start.
pub struct ClockWatch {
    read: Box<dyn Fn() -> ClockReading + Send + Sync>,
    began: ClockReading,
    /// The store's high-water mark before the start; `None` for a new store.
    mark: Option<Timestamp>,
    gap: Duration,
    told: Mutex<Vec<(&'static str, Duration)>>,
}

impl ClockWatch {
    /// Watches `clock` from now on. If the system's clock is now ahead of `mark`, the
    /// store's earlier high-water mark, by more than `gap`, that is a doubt.
    pub fn system(clock: StoreClock, mark: Option<Timestamp>, gap: Duration) -> Self {
        let read = move || ClockReading {
            wall: wall(),
            now: clock.now(),
            booted: booted(),
        };
        Self::reading(Box::new(read), mark, gap)
    }

    fn reading(
        read: Box<dyn Fn() -> ClockReading + Send + Sync>,
        mark: Option<Timestamp>,
        gap: Duration,
    ) -> Self {
        let began = read();
        Self {
            read,
            began,
            mark,
            gap,
            told: Mutex::default(),
        }
    }

    /// The current doubts, the most serious first.
    pub fn doubts(&self) -> Vec<ClockDoubt> {
        self.doubts_of((self.read)())
    }

    fn doubts_of(&self, reading: ClockReading) -> Vec<ClockDoubt> {
        let passed = reading.booted.saturating_sub(self.began.booted);
        let jumped = reading.wall.since(self.began.wall + passed);
        let ahead = reading.now.since(reading.wall);
        let slept = self.mark.map(|mark| self.began.wall.since(mark));
        let doubts = [
            (jumped > TOLERATED).then_some(ClockDoubt::JumpedAhead(jumped)),
            (ahead > TOLERATED).then_some(ClockDoubt::AheadOfSystem(ahead)),
            slept
                .filter(|slept| *slept > self.gap)
                .map(ClockDoubt::AheadOfMark),
        ];
        doubts.into_iter().flatten().collect()
    }

    /// Checks the clocks, sets the gauges, and logs every doubt that is new or was not
    /// logged for a day. Returns the most serious one.
    pub fn look(&self) -> Option<ClockDoubt> {
        let reading = (self.read)();
        let doubts = self.doubts_of(reading);
        for doubt in ["jumped_ahead", "ahead_of_system", "ahead_of_mark"] {
            let stands = doubts.iter().any(|it| it.name() == doubt);
            gauge!(DOUBTS, "doubt" => doubt).set(f64::from(u8::from(stands)));
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|(name, at)| {
            let recent = reading.booted.saturating_sub(*at) < TOLD_EVERY;
            recent && doubts.iter().any(|it| it.name() == *name)
        });
        for doubt in &doubts {
            if told.iter().all(|(name, _)| *name != doubt.name()) {
                tracing::warn!(doubt = doubt.name(), "{doubt}");
                told.push((doubt.name(), reading.booted));
            }
        }
        doubts.first().copied()
    }
}

/// The time since boot. The monotonic clock stands still while the machine sleeps, so
/// that waking up would look like a jump of the system's clock.
fn booted() -> Duration {
    #[cfg(target_os = "linux")]
    let id = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let id = rustix::time::ClockId::Monotonic;
    let read = rustix::time::clock_gettime(id);
    let seconds = u64::try_from(read.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(read.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    const DAY: i64 = 86_400;

    /// By how many seconds each clock has advanced since the beginning.
    #[derive(Default)]
    struct Hands {
        wall: AtomicI64,
        now: AtomicI64,
        booted: AtomicI64,
    }

    impl Hands {
        fn set(&self, wall: i64, now: i64, booted: i64) {
            self.wall.store(wall, Ordering::SeqCst);
            self.now.store(now, Ordering::SeqCst);
            self.booted.store(booted, Ordering::SeqCst);
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + seconds)
    }

    fn watch(mark: Option<i64>) -> (Arc<Hands>, ClockWatch) {
        let hands = Arc::new(Hands::default());
        let read = {
            let hands = hands.clone();
            move || ClockReading {
                wall: at(hands.wall.load(Ordering::SeqCst)),
                now: at(hands.now.load(Ordering::SeqCst)),
                booted: Duration::from_secs(hands.booted.load(Ordering::SeqCst).unsigned_abs()),
            }
        };
        let gap = Duration::from_secs(30 * 86_400);
        (
            hands,
            ClockWatch::reading(Box::new(read), mark.map(at), gap),
        )
    }

    fn names(watch: &ClockWatch) -> Vec<&'static str> {
        watch.doubts().into_iter().map(ClockDoubt::name).collect()
    }

    #[test]
    fn clocks_that_run_evenly_leave_no_doubt() {
        let (hands, watch) = watch(Some(-30 * DAY));
        assert!(names(&watch).is_empty(), "stopped for thirty days");
        hands.set(400 * DAY, 400 * DAY, 400 * DAY);
        assert!(names(&watch).is_empty());
        hands.set(DAY + 3_600, DAY + 3_600, DAY);
        assert!(names(&watch).is_empty(), "an hour of summer time");
    }

    #[test]
    fn a_leap_of_the_system_clock_is_told_while_it_lasts_and_what_it_leaves_after_it() {
        let (hands, watch) = watch(Some(0));
        hands.set(3_650 * DAY, 3_650 * DAY, 5);
        assert_eq!(names(&watch), ["jumped_ahead"]);
        hands.set(10, 3_650 * DAY, 10);
        assert_eq!(names(&watch), ["ahead_of_system"]);
    }

    #[test]
    fn a_mark_that_is_ahead_of_the_system_clock_is_told_from_the_start_on() {
        let (given, watch) = watch(Some(3_601));
        given.set(0, 3_601, 0);
        assert_eq!(names(&watch), ["ahead_of_system"]);
        given.set(0, 3_600, 0);
        assert!(names(&watch).is_empty());
    }

    #[test]
    fn a_start_long_after_the_last_change_is_told() {
        let (_, late) = watch(Some(-30 * DAY - 1));
        assert_eq!(names(&late), ["ahead_of_mark"]);
        let told = late.doubts()[0].to_string();
        assert!(told.contains("30 d 0 h ahead"), "{told}");
        let (_, new) = watch(None);
        assert!(names(&new).is_empty(), "a new store has no mark");
    }

    #[test]
    fn a_doubt_is_logged_once_a_day_and_again_when_it_comes_back() {
        let (hands, watch) = watch(Some(0));
        let count = || watch.told.lock().unwrap().clone();
        assert_eq!(watch.look(), None);
        hands.set(2 * 3_600, 2 * 3_600, 0);
        assert!(watch.look().is_some());
        assert_eq!(count(), [("jumped_ahead", Duration::ZERO)]);
        hands.set(2 * 3_600 + 60, 2 * 3_600 + 60, 60);
        watch.look();
        assert_eq!(count(), [("jumped_ahead", Duration::ZERO)], "not again");
        hands.set(DAY + 2 * 3_600, DAY + 2 * 3_600, DAY);
        watch.look();
        assert_eq!(count(), [("jumped_ahead", Duration::from_secs(86_400))]);
        hands.set(DAY, DAY, DAY);
        assert_eq!(watch.look(), None);
        assert!(count().is_empty());
    }

    #[test]
    fn the_systems_clocks_agree_with_each_other() {
        let clock = StoreClock::system(Timestamp::default());
        let watch = ClockWatch::system(clock, None, Duration::from_secs(1));
        assert!(names(&watch).is_empty());
        assert!(booted() > Duration::ZERO);
    }
}
