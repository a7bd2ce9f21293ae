//! Answers that do not come, and processes that are killed.

use super::*;

fn punishing() -> SessionTerms {
    SessionTerms {
        lost_refresh: LostRefresh::Login,
        ..terms()
    }
}

/// Its refresh was sent and not answered.
fn lost_refresh(terms: SessionTerms) -> Story {
    let mut story = Story::logged_in(terms);
    story.until_due().ask(RenewalKind::Refresh).lose();
    story
}

#[test]
fn a_lost_refresh_is_sent_again_for_45_seconds_and_then_given_up() {
    let mut story = lost_refresh(terms());
    let first = story.now;
    let mut asked = Vec::new();
    loop {
        match story.until_allowed().next() {
            NextStep::Request {
                kind: RenewalKind::Refresh,
                ..
            } => {
                asked.push(story.now.since(first));
                story.ask(RenewalKind::Refresh).lose();
            }
            NextStep::Request {
                kind: RenewalKind::Login,
                ..
            } => break,
            other => unreachable!("{other:?}"),
        }
    }
    assert_eq!(asked.len(), 6, "{asked:?}");
    assert!(asked.iter().all(|after| *after <= secs(45)));
    story.ask(RenewalKind::Login).lose();
    story.until_allowed().ask(RenewalKind::Login).answer("two");
    assert!(story.uses("two"));
}

#[test]
fn a_lost_refresh_that_is_answered_in_the_end_costs_no_login() {
    let mut story = lost_refresh(terms());
    story
        .until_allowed()
        .ask(RenewalKind::Refresh)
        .answer("two");
    assert!(story.uses("two"));
    assert_eq!(story.session.record().attempt, None);
}

#[test]
fn a_vendor_that_punishes_a_retry_is_asked_for_a_login_at_once() {
    let mut story = lost_refresh(punishing());
    assert!(story.may_use_meanwhile());
    story.ask(RenewalKind::Login);
}

#[test]
fn a_request_that_was_never_sent_leaves_the_refresh_token_as_it_was() {
    for terms in [terms(), punishing()] {
        let mut story = Story::logged_in(terms);
        story.until_due().ask(RenewalKind::Refresh);
        story
            .session
            .lost(RequestDelivery::NotSent, "connection refused", story.now);
        story.later(secs(3600)).ask(RenewalKind::Refresh);
    }
}

#[test]
fn an_earlier_sending_is_not_forgotten_when_a_later_one_is_not_heard() {
    let not_heard: [fn(&mut Story); 2] = [
        |story| {
            story
                .session
                .lost(RequestDelivery::NotSent, "connection refused", story.now);
        },
        |story| story.refuse(Refusal::Throttled),
    ];
    for not_heard in not_heard {
        let mut story = lost_refresh(terms());
        story.until_allowed().ask(RenewalKind::Refresh);
        not_heard(&mut story);
        story.later(secs(46)).ask(RenewalKind::Login);
    }
}

#[test]
fn a_throttled_refresh_leaves_the_refresh_token_as_it_was() {
    let mut story = Story::logged_in(terms());
    story
        .until_due()
        .ask(RenewalKind::Refresh)
        .refuse(Refusal::Throttled);
    story.later(secs(3600)).ask(RenewalKind::Refresh);
}

#[test]
fn a_vendor_that_failed_may_have_used_up_the_refresh_token() {
    for refusal in [
        Refusal::Internal,
        Refusal::Unavailable,
        Refusal::BadGateway,
        Refusal::GatewayTimeout,
    ] {
        let mut story = Story::logged_in(terms());
        story.until_due().ask(RenewalKind::Refresh).refuse(refusal);
        let mut other = Story::logged_in(punishing());
        other.until_due().ask(RenewalKind::Refresh).refuse(refusal);
        story.until_allowed().ask(RenewalKind::Refresh);
        other.until_allowed().ask(RenewalKind::Login);
    }
}

#[test]
fn a_client_killed_while_it_refreshed_repeats_that_soon_and_logs_in_later() {
    let killed = || {
        let mut story = Story::logged_in(terms());
        story.until_due().ask(RenewalKind::Refresh);
        story.restarted()
    };
    killed()
        .later(secs(44))
        .ask(RenewalKind::Refresh)
        .answer("two");
    killed().later(secs(46)).ask(RenewalKind::Login);
}

#[test]
fn a_refresh_that_is_open_is_finished_before_it_is_due() {
    let mut story = Story::logged_in(terms().with_budget(Some(40)));
    story.session.reserve(30, story.now);
    story.session.reserve(30, story.now);
    story.ask(RenewalKind::Refresh);
    let mut story = story.restarted();
    assert!(story.may_use_meanwhile());
    story.ask(RenewalKind::Refresh).answer("two");
    assert!(story.uses("two"));
}

#[test]
fn a_login_that_was_not_answered_leaves_nothing_open() {
    let ways: [fn(&mut Story); 2] = [
        |story| story.lose(),
        |story| story.refuse(Refusal::Internal),
    ];
    for not_answered in ways {
        let mut story = Story::begin(terms());
        not_answered(story.ask(RenewalKind::Login));
        assert_eq!(story.session.record().attempt, None);
    }
}

#[test]
fn a_client_killed_while_it_repeated_a_refresh_counts_from_the_first_time() {
    let mut story = lost_refresh(terms());
    story.later(secs(30)).ask(RenewalKind::Refresh);
    let mut story = story.restarted();
    story.later(secs(16)).ask(RenewalKind::Login);
}

#[test]
fn a_vendor_that_punishes_a_retry_gets_none_from_a_restarted_client() {
    let mut story = Story::logged_in(punishing());
    story.until_due().ask(RenewalKind::Refresh);
    story.restarted().ask(RenewalKind::Login);
}

#[test]
fn a_clock_that_was_set_back_does_not_make_an_old_attempt_young() {
    let mut story = Story::logged_in(terms());
    story.until_due().ask(RenewalKind::Refresh);
    let mut story = story.restarted();
    story.now = story.now - secs(3600);
    story.ask(RenewalKind::Login);
}

#[test]
fn a_refresh_token_that_may_be_used_up_is_not_tried_after_a_login_failed() {
    let mut story = lost_refresh(terms());
    story
        .later(secs(46))
        .ask(RenewalKind::Login)
        .refuse(Refusal::Unavailable);
    assert_eq!(story.tokens().refresh_token, None);
    story.restarted().until_allowed().ask(RenewalKind::Login);
}

#[test]
fn a_refresh_token_that_was_not_sent_is_kept_when_a_forced_login_fails() {
    let mut story = Story::logged_in(terms());
    story.session.force();
    story.ask(RenewalKind::Login).refuse(Refusal::Unavailable);
    assert!(story.uses("one"));
    story.until_due().ask(RenewalKind::Refresh);
}

#[test]
fn a_token_that_lives_is_used_while_nothing_is_answered() {
    let mut story = Story::logged_in(terms());
    story.until_due();
    let end = story.tokens().expires_at;
    while story.now < end {
        assert!(story.may_use_meanwhile());
        if let NextStep::Request { kind, .. } = story.next() {
            story.ask(kind).lose();
        }
        story.later(millis(100));
    }
    assert!(!story.may_use_meanwhile());
}

#[test]
fn pauses_double_to_half_a_minute() {
    let mut story = Story::begin(SessionTerms {
        refreshes: false,
        ..terms()
    });
    let mut pauses = Vec::new();
    for _ in 0..9 {
        story.until_allowed().ask(RenewalKind::Login).lose();
        pauses.push(story.pause().unwrap().as_millis());
    }
    assert_eq!(
        pauses,
        [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]
    );
}

#[test]
fn an_answer_that_cannot_be_read_is_told_with_its_status() {
    let mut story = Story::begin(terms());
    story.ask(RenewalKind::Login);
    story
        .session
        .garbled(200, "the reply is not of the dialect", story.now);
    let failure = story.session.record().failure.clone().unwrap();
    assert_eq!((failure.refusal, failure.status), (None, Some(200)));
    assert_eq!(story.pause(), Some(millis(500)));
    story.until_allowed().ask(RenewalKind::Login).answer("one");
    assert_eq!(story.session.record().failure, None);
}
