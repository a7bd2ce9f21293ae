//! Refusals: of a refresh, of a login, of a token.

use super::*;

const NEVER: [Refusal; 6] = [
    Refusal::BadLogin,
    Refusal::AddressDenied,
    Refusal::Forbidden,
    Refusal::Malformed,
    Refusal::NotFound,
    Refusal::MissingField,
];

fn ended(refusal: Refusal) -> Story {
    let mut story = Story::begin(terms());
    story.session.set_secret([1; 8]);
    story.ask(RenewalKind::Login).refuse(refusal);
    story
}

#[test]
fn a_refused_refresh_leads_to_a_login_at_once() {
    for refusal in NEVER.into_iter().chain([Refusal::BadRefresh]) {
        let mut story = Story::logged_in(terms());
        story.until_due().ask(RenewalKind::Refresh).refuse(refusal);
        assert!(story.may_use_meanwhile());
        story.ask(RenewalKind::Login).answer("two");
        assert!(story.uses("two"));
    }
}

#[test]
fn a_refused_login_ends_with_the_same_error_for_everyone() {
    for refusal in NEVER {
        let story = ended(refusal);
        let NextStep::Ended { failure, again_at } = story.next() else {
            unreachable!("{refusal}: {:?}", story.next());
        };
        assert_eq!(failure.refusal, Some(refusal));
        assert!(again_at.since(story.now) >= secs(30));
        assert_eq!(
            story.restarted().next(),
            NextStep::Ended { failure, again_at }
        );
    }
}

#[test]
fn the_pause_after_a_refused_login_grows_to_an_hour() {
    let mut story = ended(Refusal::BadLogin);
    let mut pauses = vec![story.pause().unwrap().as_secs()];
    for _ in 0..8 {
        story
            .until_allowed()
            .ask(RenewalKind::Login)
            .refuse(Refusal::BadLogin);
        pauses.push(story.pause().unwrap().as_secs());
    }
    // Up to five seconds are added, so that clients do not come together.
    assert_eq!(pauses, [31, 62, 122, 242, 482, 962, 1922, 3602, 3602]);
}

#[test]
fn another_failure_in_between_does_not_shorten_the_pause() {
    let mut story = ended(Refusal::BadLogin);
    story
        .until_allowed()
        .ask(RenewalKind::Login)
        .refuse(Refusal::Unavailable);
    story.until_allowed().ask(RenewalKind::Login).lose();
    let mut story = story.restarted();
    story.session.set_secret([1; 8]);
    story
        .until_allowed()
        .ask(RenewalKind::Login)
        .refuse(Refusal::BadLogin);
    assert_eq!(story.pause().map(|pause| pause.as_secs()), Some(62));
}

#[test]
fn another_secret_is_tried_at_once_and_counts_from_the_beginning() {
    let mut story = ended(Refusal::BadLogin);
    story
        .until_allowed()
        .ask(RenewalKind::Login)
        .refuse(Refusal::BadLogin);
    story.session.set_secret([1; 8]);
    assert!(story.pause().is_some());
    story.session.set_secret([2; 8]);
    story.ask(RenewalKind::Login).refuse(Refusal::BadLogin);
    assert_eq!(story.pause().map(|pause| pause.as_secs()), Some(31));
}

#[test]
fn secrets_that_change_all_the_time_are_not_tried_all_the_time() {
    let mut story = ended(Refusal::BadLogin);
    let mut pauses = Vec::new();
    for number in 2..=7 {
        story.session.set_secret([number; 8]);
        pauses.push(story.pause().map_or(0, |pause| pause.as_secs()));
        story
            .until_allowed()
            .ask(RenewalKind::Login)
            .refuse(Refusal::BadLogin);
    }
    assert_eq!(pauses, [0, 0, 0, 31, 62, 122]);
    story.until_allowed().ask(RenewalKind::Login).answer("one");
    assert_eq!(story.session.record().failure, None);
}

#[test]
fn a_person_may_log_in_before_the_pause_is_over() {
    let mut story = ended(Refusal::AddressDenied);
    story.session.force();
    story.ask(RenewalKind::Login).refuse(Refusal::AddressDenied);
    assert_eq!(story.pause().map(|pause| pause.as_secs()), Some(62));
    story.session.force();
    story.ask(RenewalKind::Login).answer("one");
    assert!(story.uses("one"));
}

#[test]
fn a_refused_forced_login_does_not_end_a_session_that_can_be_refreshed() {
    let mut story = Story::logged_in(terms());
    story.session.force();
    story.ask(RenewalKind::Login).refuse(Refusal::BadLogin);
    assert!(story.uses("one"));
    story.until_due().ask(RenewalKind::Refresh).answer("two");
    assert!(story.uses("two"));
}

#[test]
fn a_refused_login_is_not_repeated_because_a_refresh_was_refused() {
    let mut story = Story::logged_in(terms());
    story.until_due();
    story.session.force();
    story.ask(RenewalKind::Login).refuse(Refusal::BadLogin);
    story.ask(RenewalKind::Refresh).refuse(Refusal::BadRefresh);
    assert!(story.pause().is_some_and(|pause| pause >= secs(30)));
    assert!(story.may_use_meanwhile());
}

#[test]
fn a_token_that_lives_is_used_although_the_login_is_refused() {
    let mut story = Story::logged_in(SessionTerms {
        refreshes: false,
        ..terms()
    });
    story
        .until_due()
        .ask(RenewalKind::Login)
        .refuse(Refusal::BadLogin);
    assert!(matches!(
        story.next(),
        NextStep::Wait {
            meanwhile: Some(_),
            ..
        }
    ));
    story.later(secs(20));
    assert!(matches!(story.next(), NextStep::Ended { .. }));
}

#[test]
fn a_throttled_client_waits_as_long_as_the_vendor_asks() {
    let mut story = Story::begin(terms());
    story.ask(RenewalKind::Login);
    let by = refused_for(Refusal::Throttled, secs(40));
    story.session.refused(&by, story.now);
    let pause = story.pause().unwrap();
    assert!(pause >= secs(40) && pause < secs(45), "{pause:?}");
    story
        .until_allowed()
        .ask(RenewalKind::Login)
        .refuse(Refusal::Throttled);
    assert_eq!(story.pause(), Some(secs(1)));
}

#[test]
fn a_vendor_that_says_at_once_is_asked_less_and_less_often() {
    let mut story = Story::begin(terms());
    let pauses = [0; 3].map(|_| {
        story.until_allowed().ask(RenewalKind::Login);
        let by = refused_for(Refusal::Throttled, Duration::ZERO);
        story.session.refused(&by, story.now);
        story.pause()
    });
    assert_eq!(
        pauses,
        [500, 1000, 2000].map(Duration::from_millis).map(Some)
    );
}

#[test]
fn an_absurd_retry_after_holds_for_a_day() {
    let mut story = Story::begin(terms());
    story.ask(RenewalKind::Login);
    let by = refused_for(Refusal::Unavailable, Duration::MAX);
    story.session.refused(&by, story.now);
    let pause = story.pause().unwrap();
    assert!(
        pause >= secs(24 * 3600) && pause < secs(24 * 3600 + 6),
        "{pause:?}"
    );
}

#[test]
fn a_clock_that_was_set_back_does_not_prolong_a_pause() {
    let mut story = ended(Refusal::BadLogin);
    story.now = story.now - secs(3600);
    story.ask(RenewalKind::Login);
}

#[test]
fn what_the_vendor_says_is_told_on_one_line() {
    let mut story = Story::begin(terms());
    story.ask(RenewalKind::Login);
    let by = RefusedBy {
        code: Some("2006".to_owned()),
        detail: Some("no\naccount".to_owned()),
        ..no(Refusal::BadLogin)
    };
    story.session.refused(&by, story.now);
    let failure = story.session.record().failure.as_ref().unwrap();
    assert_eq!(failure.detail, r#"bad_login (401 "2006" "no\naccount")"#);
}

#[test]
fn a_refused_token_is_given_up_once() {
    let mut story = Story::logged_in(terms());
    story.later(secs(60));
    let token = Secret::from("access one");
    assert!(story.session.invalidate(&token, story.now));
    assert!(!story.may_use_meanwhile());
    assert!(!story.session.invalidate(&token, story.now));
    story.ask(RenewalKind::Refresh).answer("two");
    assert!(!story.session.invalidate(&token, story.now));
    assert!(story.uses("two"));
}

#[test]
fn an_endpoint_that_refuses_every_token_does_not_use_up_all_tokens() {
    let mut story = Story::logged_in(terms());
    let mut bought = 0;
    for second in 0..3600 {
        story.now = START + secs(second);
        let token = story.tokens().access_token.clone();
        if story.session.invalidate(&token, story.now) {
            bought += 1;
        }
        if let NextStep::Request { kind, .. } = story.next() {
            story.ask(kind).answer(&second.to_string());
        }
        assert!(story.may_use_meanwhile());
    }
    assert!(bought < 75, "{bought}");
}

#[test]
fn a_few_young_tokens_in_a_row_are_replaced_at_once() {
    let mut story = Story::logged_in(terms());
    for next in ["1", "2", "3", "4", "5"] {
        let token = story.tokens().access_token.clone();
        assert!(story.session.invalidate(&token, story.now), "{next}");
        story.ask(RenewalKind::Refresh).answer(next);
    }
    assert!(!story.session.invalidate(&"access 5".into(), story.now));
}

#[test]
fn a_token_that_lived_to_its_end_ends_the_doubts() {
    let mut story = Story::logged_in(terms());
    story.session.record.rejected = 9;
    assert!(!story.session.invalidate(&"access one".into(), story.now));
    story.until_due().ask(RenewalKind::Refresh).answer("two");
    assert!(story.session.invalidate(&"access two".into(), story.now));
}

#[test]
fn a_token_that_was_good_for_minutes_is_given_up_whatever_was_before() {
    let mut story = Story::logged_in(terms());
    story.session.record.rejected = 30;
    let tokens = story.session.record.tokens.as_mut().unwrap();
    tokens.expires_at = START + secs(3600);
    story.later(secs(50));
    assert!(!story.session.invalidate(&"access one".into(), story.now));
    story.later(secs(250));
    assert!(story.session.invalidate(&"access one".into(), story.now));
    assert_eq!(story.session.record().rejected, 1);
}

#[test]
fn a_login_that_another_server_answers_is_not_repeated_at_once() {
    for status in [301, 308, 400, 401, 404, 405] {
        let mut story = Story::begin(terms());
        story.session.set_secret([1; 8]);
        for least in [30, 60, 120] {
            story.ask(RenewalKind::Login);
            story.session.garbled(status, "a page", story.now);
            assert!(story.pause().unwrap() >= secs(least), "{status}");
            assert!(matches!(story.next(), NextStep::Ended { .. }), "{status}");
            story.until_allowed();
        }
        // Somebody mends the secret.
        story.ask(RenewalKind::Login);
        story.session.garbled(status, "a page", story.now);
        story.session.set_secret([2; 8]);
        story.ask(RenewalKind::Login);
    }
    for status in [200, 429, 501] {
        let mut story = Story::begin(terms());
        story.ask(RenewalKind::Login);
        story.session.garbled(status, "a page", story.now);
        assert!(story.pause().unwrap() < secs(2), "{status}");
    }
}

#[test]
fn a_refresh_that_another_server_answers_keeps_its_token() {
    let mut story = Story::logged_in(terms());
    story.until_due().ask(RenewalKind::Refresh);
    story.session.garbled(401, "a page", story.now);
    story.until_allowed().ask(RenewalKind::Refresh);
}
