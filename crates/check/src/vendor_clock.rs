//! How far the vendor's clock is from ours, by the `Date` of an answer
//! (RFC 9110 section 6.6.1), which has no more than seconds.

use std::time::Duration;

use countersign_domain::{Timestamp, span_text};
use http::HeaderMap;
use http::header::DATE;

use crate::{CheckFinding, CheckVerdict};

/// Less is no cause for anything.
const SMALL: Duration = Duration::from_secs(5);

/// The instant that an answer was made at, in whole seconds.
pub(crate) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    Timestamp::from_http_date(headers.get(DATE)?.to_str().ok()?)
}

/// Judges the vendor's clock by an answer that was asked for and received then.
pub(crate) fn check(
    date: Option<Timestamp>,
    asked: Timestamp,
    answered: Timestamp,
) -> CheckFinding {
    let Some(date) = date else {
        return CheckFinding::new(
            "clock",
            CheckVerdict::Skipped,
            "the answer has no Date to compare with",
        );
    };
    // It was made in the second from `date` on, between question and answer.
    let ahead = date.since(answered);
    let behind = asked.since(date + Duration::from_secs(1));
    let (off, which) = if ahead > behind {
        (ahead, "ahead of")
    } else {
        (behind, "behind")
    };
    let found = if off > SMALL {
        CheckVerdict::Doubtful
    } else {
        CheckVerdict::Good
    };
    if off.is_zero() {
        return CheckFinding::new("clock", found, "the vendor's clock agrees with this one");
    }
    let said = format!(
        "the vendor's clock is at least {} {which} this one",
        span_text(off)
    );
    let check = CheckFinding::new("clock", found, said);
    match off > SMALL {
        true => check.with_help(
            "set the one that is wrong; lifetimes are counted on this one, so that tokens stay right",
        ),
        false => check,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_with_the_second_that_date_does_not_tell() {
        let at = Timestamp::from_seconds(1_000_000);
        let asked = at + Duration::from_millis(900);
        let answered = at + Duration::from_millis(1_100);
        for (seconds, found, words) in [
            (0, CheckVerdict::Good, "agrees"),
            (1, CheckVerdict::Good, "agrees"),
            (2, CheckVerdict::Good, "900ms ahead"),
            (-1, CheckVerdict::Good, "900ms behind"),
            (7, CheckVerdict::Doubtful, "5s ahead"),
            (3_600, CheckVerdict::Doubtful, "59m 58s ahead"),
            (-3_600, CheckVerdict::Doubtful, "59m 59s behind"),
        ] {
            let date = Timestamp::from_seconds(1_000_000 + seconds);
            let check = check(Some(date), asked, answered);
            assert_eq!(check.found, found, "{seconds}");
            assert!(check.said.contains(words), "{}", check.said);
        }
    }

    #[test]
    fn an_answer_without_a_date_says_nothing_about_the_clock() {
        let now = Timestamp::from_seconds(1);
        assert_eq!(check(None, now, now).found, CheckVerdict::Skipped);
    }
}
