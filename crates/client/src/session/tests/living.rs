//! Tokens that are used, renewed and counted.

use super::super::ReserveOutcome;
use super::*;
use crate::SessionStatus;

#[test]
fn a_session_begins_with_a_login_and_goes_on_with_refreshes() {
    let mut story = Story::begin(terms());
    story.ask(RenewalKind::Login).answer("one");
    assert!(story.uses("one"));
    for name in ["two", "three"] {
        story.until_due().ask(RenewalKind::Refresh);
        assert!(story.may_use_meanwhile());
        story.answer(name);
        assert!(story.uses(name));
    }
    assert_eq!(story.tokens().logged_in_at, START);
}

#[test]
fn a_vendor_without_refresh_is_asked_for_a_login_again() {
    let mut story = Story::logged_in(SessionTerms {
        refreshes: false,
        ..terms()
    });
    story.until_due().ask(RenewalKind::Login).answer("two");
    assert!(story.uses("two"));
}

#[test]
fn after_six_idle_hours_the_refresh_token_is_not_tried() {
    let mut story = Story::logged_in(terms());
    story.later(secs(6 * 3600)).ask(RenewalKind::Login);
}

#[test]
fn a_refresh_without_a_new_refresh_token_keeps_the_one_at_hand() {
    let mut story = Story::logged_in(terms());
    let end = story.tokens().refresh_expires_at;
    story.until_due().ask(RenewalKind::Refresh);
    let granted = GrantedTokens {
        refresh_token: None,
        refresh_expires_at: None,
        client_id: None,
        login: None,
        ..pair("two", story.now)
    };
    story.session.received(granted, story.now);
    let tokens = story.tokens();
    assert_eq!(tokens.refresh_token, Some("refresh one".into()));
    assert_eq!(tokens.refresh_expires_at, end);
    assert_eq!(
        (tokens.client_id, tokens.login.as_deref()),
        (Some(7), Some("partner"))
    );
}

#[test]
fn a_login_without_a_refresh_token_does_not_keep_an_older_one() {
    let mut story = Story::logged_in(terms());
    story.session.force();
    story.ask(RenewalKind::Login);
    let granted = GrantedTokens {
        refresh_token: None,
        ..pair("two", story.now)
    };
    story.session.received(granted, story.now);
    assert_eq!(story.tokens().refresh_token, None);
}

#[test]
fn further_parts_of_a_token_that_a_refresh_does_not_repeat_stay() {
    let part = |name: &str, text: &str| (name.to_owned(), Secret::from(text));
    let mut story = Story::begin(terms());
    story.ask(RenewalKind::Login);
    let granted = GrantedTokens {
        extra: ExtraParts::from([part("cst", "1"), part("key", "k")]),
        ..pair("one", story.now)
    };
    story.session.received(granted, story.now);
    story.until_due().ask(RenewalKind::Refresh);
    let granted = GrantedTokens {
        extra: ExtraParts::from([part("cst", "2")]),
        ..pair("two", story.now)
    };
    story.session.received(granted, story.now);
    let wanted = ExtraParts::from([part("cst", "2"), part("key", "k")]);
    assert_eq!(story.tokens().extra, wanted);
}

#[test]
fn another_process_that_renewed_is_followed() {
    let mut story = Story::logged_in(terms());
    let mut other = Story::from(terms(), story.session.draft());
    other.until_due().ask(RenewalKind::Refresh).answer("two");
    story.until_due();
    story.session.adopt(other.session.draft());
    assert!(story.uses("two"));
}

#[test]
fn a_record_is_written_under_the_next_serial() {
    let mut story = Story::begin(terms());
    let draft = story.session.draft();
    assert_eq!((story.session.record().serial, draft.serial), (0, 1));
    story.session.adopt(draft);
    assert_eq!(story.session.draft().serial, 2);
}

#[test]
fn a_token_that_lives_on_with_each_use_is_kept_while_it_is_used() {
    let mut story = Story::begin(SessionTerms {
        refreshes: false,
        sliding: Some(secs(1800)),
        ..terms()
    });
    story.ask(RenewalKind::Login);
    let granted = GrantedTokens {
        access_life: Some(secs(1800)),
        ..pair("one", story.now)
    };
    story.session.received(granted, story.now);
    for _ in 0..100 {
        story.later(secs(1600));
        assert!(story.uses("one"));
        story.session.used(story.now);
    }
    story.later(secs(1700)).ask(RenewalKind::Login);
    assert!(story.may_use_meanwhile());
    story.later(secs(100));
    assert!(!story.may_use_meanwhile());
    story.session.used(story.now);
    assert!(!story.may_use_meanwhile());
}

#[test]
fn the_last_request_of_a_budget_is_never_given_out() {
    let mut story = Story::logged_in(terms().with_budget(Some(40)));
    let mut given = 0;
    while story.session.reserve(1, story.now) == ReserveOutcome::Done {
        given += 1;
    }
    assert_eq!(given, 39);
    assert!(!story.may_use_meanwhile());
    story.ask(RenewalKind::Refresh).answer("two");
    assert_eq!(story.session.left(), Some(39));
}

#[test]
fn a_budget_that_runs_out_is_renewed_while_some_is_left() {
    let mut story = Story::logged_in(terms().with_budget(Some(40)));
    assert_eq!(story.session.reserve(33, story.now), ReserveOutcome::Done);
    assert!(story.uses("one"));
    assert_eq!(story.session.reserve(1, story.now), ReserveOutcome::Done);
    assert!(story.may_use_meanwhile());
    story.ask(RenewalKind::Refresh);
}

#[test]
fn who_needs_more_than_is_left_gets_another_token() {
    let mut story = Story::logged_in(terms().with_budget(Some(40)));
    assert_eq!(story.session.reserve(20, story.now), ReserveOutcome::Done);
    assert_eq!(story.session.reserve(25, story.now), ReserveOutcome::TooFew);
    assert!(story.may_use_meanwhile());
    story.ask(RenewalKind::Refresh).answer("two");
    assert_eq!(story.session.reserve(25, story.now), ReserveOutcome::Done);
    assert!(story.uses("two"));
}

#[test]
fn nobody_waits_for_a_token_with_more_requests_than_one_has() {
    let mut story = Story::logged_in(terms().with_budget(Some(40)));
    assert_eq!(
        story.session.reserve(40, story.now),
        ReserveOutcome::TooMany
    );
    assert!(story.uses("one"));
}

#[test]
fn another_process_may_have_got_the_token_that_is_needed() {
    let mut story = Story::logged_in(terms().with_budget(Some(40)));
    assert_eq!(story.session.reserve(20, story.now), ReserveOutcome::Done);
    let mut other = Story::from(terms().with_budget(Some(40)), story.session.draft());
    assert_eq!(story.session.reserve(25, story.now), ReserveOutcome::TooFew);
    other.session.force();
    other.ask(RenewalKind::Login).answer("two");
    assert_eq!(other.session.reserve(20, other.now), ReserveOutcome::Done);
    story.session.adopt(other.session.draft());
    assert!(story.uses("two"));
}

#[test]
fn a_token_that_is_given_a_second_time_has_spent_what_it_had() {
    let mut story = Story::logged_in(terms().with_budget(Some(40)));
    assert_eq!(story.session.reserve(36, story.now), ReserveOutcome::Done);
    story.ask(RenewalKind::Refresh).answer("one");
    assert_eq!(story.session.left(), Some(3));
}

#[test]
fn a_life_counts_from_when_the_request_was_sent() {
    let mut story = Story::begin(terms());
    story.ask(RenewalKind::Login).later(secs(20));
    let granted = GrantedTokens {
        access_life: Some(secs(100)),
        ..pair("one", story.now)
    };
    story.session.received(granted, story.now);
    assert_eq!(story.tokens().expires_at, START + secs(98));
    assert_eq!(story.tokens().asked_at, START);
}

#[test]
fn a_clock_that_is_set_back_during_a_request_does_not_prolong_a_life() {
    let mut story = Story::begin(terms());
    story.ask(RenewalKind::Login);
    story.now = story.now - secs(3600);
    let granted = GrantedTokens {
        access_life: Some(secs(100)),
        ..pair("one", story.now)
    };
    story.session.received(granted, story.now);
    assert!(story.uses("one"));
    assert_eq!(story.tokens().expires_at, story.now + secs(98));
}

#[test]
fn a_budget_of_one_request_gives_that_one() {
    let mut story = Story::logged_in(terms().with_budget(Some(1)));
    assert_eq!(story.session.reserve(1, story.now), ReserveOutcome::Done);
    assert_eq!(story.session.reserve(1, story.now), ReserveOutcome::TooFew);
    story.ask(RenewalKind::Refresh);
}

#[test]
fn what_is_forgotten_is_asked_for_anew() {
    let mut story = Story::logged_in(terms());
    story.session.forget();
    let forgotten = SessionRecord {
        serial: 1,
        ..SessionRecord::default()
    };
    assert_eq!(*story.session.record(), forgotten);
    story.ask(RenewalKind::Login);
}

#[test]
fn who_logs_out_is_not_let_log_in_the_sooner() {
    let mut story = Story::begin(terms());
    story.ask(RenewalKind::Login).refuse(Refusal::BadLogin);
    let pause = story.pause();
    story.session.forget();
    assert!(pause.is_some());
    assert_eq!(story.pause(), pause);
}

fn presenting() -> SessionTerms {
    SessionTerms {
        presents_access: true,
        ..terms()
    }
}

#[test]
fn an_access_token_that_is_presented_for_a_refresh_is_while_it_lives() {
    let mut story = Story::logged_in(presenting());
    for name in ["two", "three"] {
        story.until_due().ask(RenewalKind::Refresh);
        story.answer(name);
        assert!(story.uses(name));
    }
    let mut story = story.restarted();
    story.until_due().ask(RenewalKind::Refresh);
    story.answer("four");
    // With the token its refresh is gone.
    story.later(secs(181)).ask(RenewalKind::Login);
    story.answer("five");
    assert!(story.uses("five"));
}

#[test]
fn of_an_access_token_that_is_refreshed_by_itself_no_refresh_end_is_told() {
    for (terms, by_access) in [(presenting(), true), (terms(), false)] {
        let story = Story::logged_in(terms);
        let record = story.session.record().clone();
        let tokens = SessionStatus::from_record(record, None, story.now)
            .tokens
            .unwrap();
        assert_eq!(tokens.refreshed_by_access, by_access);
        assert_eq!(tokens.stated_refresh_expires_at.is_none(), by_access);
    }
}

#[test]
fn a_refused_access_token_is_not_presented_again() {
    let mut story = Story::logged_in(presenting());
    story.until_due().ask(RenewalKind::Refresh);
    story.refuse(Refusal::BadRefresh);
    story.ask(RenewalKind::Login);
    story.answer("two");
    let token = story.tokens().access_token.clone();
    assert!(story.session.invalidate(&token, story.now));
    story.ask(RenewalKind::Login);
}

#[test]
fn a_lost_refresh_with_the_access_token_is_sent_again_and_then_is_a_login() {
    let mut story = Story::logged_in(presenting());
    story.until_due().ask(RenewalKind::Refresh);
    story.lose();
    story.until_allowed().ask(RenewalKind::Refresh);
    story.lose();
    story.later(secs(60)).ask(RenewalKind::Login);
}
