use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

#[test]
fn a_burst_passes_and_the_next_is_told_how_long_to_wait() {
    let rate = RateLimit::new(count(3), SECOND);
    let mut tally = RateTally::default();
    for _ in 0..3 {
        tally = rate.admit(tally, at(0)).unwrap();
    }
    assert_eq!(rate.admit(tally, at(0)), Err(SECOND));
    assert_eq!(
        rate.admit(tally, at(400_000)),
        Err(Duration::from_millis(600))
    );
    assert!(rate.admit(tally, at(1_000_000)).is_ok());
}

#[test]
fn a_rate_says_how_long_one_more_takes() {
    assert_eq!(RateLimit::new(count(3), SECOND).period(), SECOND);
    let refilled = RateLimit::refilled(count(60), 60 * SECOND);
    assert_eq!(refilled, RateLimit::new(count(60), SECOND));
    let rounded = RateLimit::new(count(1), Duration::from_nanos(1));
    assert_eq!(rounded.period(), Duration::from_micros(1));
}

#[test]
fn a_hundred_an_hour_are_twenty_at_once_and_eighty_evenly() {
    let rate = RateLimit::within(count(100), Duration::from_secs(3_600));
    assert_eq!(rate, RateLimit::new(count(20), Duration::from_secs(45)));
}

#[test]
fn the_ends_of_time_and_of_numbers_do_not_wrap() {
    let slow = RateLimit::new(count(u32::MAX), Duration::MAX);
    let end = at(i64::MAX);
    let tally = slow.admit(RateTally::default(), end).unwrap();
    assert_eq!(tally, RateTally(end));
    assert!(slow.admit(tally, at(i64::MIN)).is_ok());
    assert_eq!(
        slow.take_back(RateTally::default(), end, end),
        RateTally::default()
    );
    let one = RateLimit::within(count(1), SECOND);
    let tally = one.admit(RateTally::default(), at(0)).unwrap();
    assert!(
        one.admit(tally, at(1_000_000)).is_err(),
        "one in any second"
    );
}

/// Something that happens to a counter, some time after the last.
#[derive(Clone, Debug)]
struct Event {
    pause: i64,
    /// How long after it was counted it is taken back, if it is.
    taken_back_after: Option<i64>,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let pause = prop_oneof![Just(0), 0..50_i64, 0..5_000_i64];
    let taken_back_after = proptest::option::of(0..300_i64);
    let event = (pause, taken_back_after).prop_map(|(pause, taken_back_after)| Event {
        pause,
        taken_back_after,
    });
    proptest::collection::vec(event, 1..300)
}

/// When each event happens and, for one that is taken back, when that is.
fn timed(events: &[Event]) -> Vec<(i64, Option<i64>)> {
    let mut now = 0;
    let mut timed = Vec::new();
    for event in events {
        now += event.pause;
        timed.push((now, event.taken_back_after.map(|after| now + after)));
    }
    timed
}

/// What the counter admitted and did not take back.
fn admitted(rate: RateLimit, events: &[(i64, Option<i64>)]) -> Vec<i64> {
    let (mut tally, mut kept) = (RateTally::default(), Vec::new());
    let mut returns: Vec<(i64, i64)> = Vec::new();
    for (now, taken_back_at) in events {
        returns.sort_unstable();
        while let Some((due, counted)) = returns.first().copied().filter(|it| it.0 <= *now) {
            tally = rate.take_back(tally, at(counted), at(due));
            returns.remove(0);
        }
        let Ok(next) = rate.admit(tally, at(*now)) else {
            continue;
        };
        tally = next;
        match taken_back_at {
            Some(due) => returns.push((*due, *now)),
            None => kept.push(*now),
        }
    }
    kept
}

proptest! {
    /// A naive model: look at every span between two admitted events.
    #[test]
    fn no_span_of_time_has_more_than_it_may(
        burst in 1..20_u32,
        period in 1..400_u64,
        events in events(),
    ) {
        let rate = RateLimit::new(count(burst), Duration::from_micros(period));
        let kept = admitted(rate, &timed(&events));
        for (first, begin) in kept.iter().enumerate() {
            for (last, end) in kept.iter().enumerate().skip(first) {
                let most = u64::from(burst) + (end - begin).unsigned_abs() / period;
                prop_assert!((last - first + 1) as u64 <= most, "{begin}..={end}");
            }
        }
    }

    #[test]
    fn what_waits_as_long_as_it_was_told_is_admitted(
        burst in 1..20_u32,
        period in 1..400_u64,
        events in events(),
    ) {
        let rate = RateLimit::new(count(burst), Duration::from_micros(period));
        let mut tally = RateTally::default();
        for (now, _) in timed(&events) {
            let waited = match rate.admit(tally, at(now)) {
                Ok(next) => { tally = next; continue }
                Err(wait) => at(now) + wait,
            };
            prop_assert!(rate.admit(tally, waited).is_ok());
            prop_assert!(rate.admit(tally, waited - Duration::from_micros(1)).is_err());
        }
    }

    #[test]
    fn within_holds_for_any_number_and_span(
        most in 1..200_u32,
        span in 1..20_000_u64,
        events in events(),
    ) {
        let rate = RateLimit::within(count(most), Duration::from_micros(span));
        let kept = admitted(rate, &timed(&events));
        for (first, begin) in kept.iter().enumerate() {
            let inside = kept[first..].iter().filter(|it| (*it - begin) as u64 <= span);
            prop_assert!(inside.count() <= most as usize);
        }
    }
}
