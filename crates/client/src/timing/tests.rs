//! What is learnt from a reply.

mod properties;

use countersign_dialect::ExtraParts;

use super::*;

const SENT: Timestamp = Timestamp::from_micros(1_800_000_000_700_000);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A tenth of a second to the vendor and back.
fn trip() -> RoundTrip {
    RoundTrip {
        sent_at: SENT,
        arrived_at: SENT + millis(100),
    }
}

/// The vendor wrote it halfway, by a clock that is ours.
fn written() -> Timestamp {
    SENT + millis(50)
}

/// An opaque token for so long, by a vendor that tells its end and nothing of
/// its clock.
fn bare(life: Duration) -> GrantedTokens {
    GrantedTokens {
        access_token: "access".into(),
        refresh_token: None,
        access_expires_at: written() + life,
        refresh_expires_at: None,
        access_life: None,
        refresh_life: None,
        now: None,
        date: None,
        iat: None,
        exp: None,
        client_id: None,
        login: None,
        extra: ExtraParts::new(),
    }
}

/// The same reply by a clock that is set otherwise.
fn set_on(granted: GrantedTokens, by: Duration) -> GrantedTokens {
    let on = |at: Option<Timestamp>| at.map(|at| at + by);
    GrantedTokens {
        access_expires_at: granted.access_expires_at + by,
        now: on(granted.now),
        date: on(granted.date),
        iat: on(granted.iat),
        exp: on(granted.exp),
        ..granted
    }
}

/// How long the token is used, counted from the request.
fn used(granted: &GrantedTokens) -> Duration {
    let ends = TokenEnds::from_grant(granted, trip(), &mut None);
    ends.access.since(SENT)
}

/// A token of 180 seconds ends 179.3 seconds after the request was sent, since its
/// end is cut to a second, and is used for 3.6 less.
#[test]
fn a_life_is_counted_from_whatever_the_vendor_tells_of_its_clock() {
    let second = written().floor_to_second();
    let told: [(&str, GrantedTokens, u64); 7] = [
        ("nothing: our clock is taken", bare(secs(180)), 175_720),
        (
            "now to the microsecond",
            GrantedTokens {
                now: Some(written()),
                ..bare(secs(180))
            },
            175_670,
        ),
        (
            "now to the second",
            GrantedTokens {
                now: Some(second),
                ..bare(secs(180))
            },
            175_420,
        ),
        (
            "date",
            GrantedTokens {
                date: Some(second),
                ..bare(secs(180))
            },
            175_420,
        ),
        (
            "iat",
            GrantedTokens {
                iat: Some(second),
                ..bare(secs(180))
            },
            175_420,
        ),
        (
            "iat long ago",
            GrantedTokens {
                iat: Some(second - secs(60)),
                date: Some(second),
                ..bare(secs(180))
            },
            175_420,
        ),
        (
            "a date long ago",
            GrantedTokens {
                iat: Some(second),
                date: Some(second - secs(60)),
                ..bare(secs(180))
            },
            175_420,
        ),
    ];
    for (what, granted, millis) in told {
        let found = used(&granted).as_millis();
        assert!(found.abs_diff(millis.into()) <= 60, "{what}: {found}");
    }
}

#[test]
fn a_clock_that_is_set_otherwise_changes_nothing() {
    let second = written().floor_to_second();
    let told = GrantedTokens {
        date: Some(second),
        ..bare(secs(180))
    };
    let ahead = set_on(told.clone(), secs(86_400));
    assert_eq!(used(&ahead), used(&told));
    let exact = GrantedTokens {
        now: Some(written()),
        ..told
    };
    assert_eq!(used(&set_on(exact.clone(), secs(3600))), used(&exact));
}

#[test]
fn a_life_that_is_told_counts_from_the_request_and_ends_with_the_jwt() {
    let lived = GrantedTokens {
        access_life: Some(secs(180)),
        access_expires_at: Timestamp::default(),
        ..bare(secs(180))
    };
    assert_eq!(used(&lived), millis(176_400));
    let second = written().floor_to_second();
    let jwt = GrantedTokens {
        exp: Some(second + secs(180)),
        iat: Some(second),
        ..lived.clone()
    };
    assert_eq!(used(&jwt), millis(175_420));
    let of_another_clock = GrantedTokens {
        iat: None,
        exp: Some(second - secs(3600)),
        ..jwt
    };
    assert_eq!(used(&of_another_clock), used(&lived));
}

#[test]
fn a_life_that_ends_before_the_jwt_decides() {
    let second = written().floor_to_second();
    let granted = GrantedTokens {
        access_life: Some(secs(60)),
        exp: Some(second + secs(180)),
        iat: Some(second),
        ..bare(secs(180))
    };
    assert_eq!(used(&granted), millis(58_800));
}

#[test]
fn a_jwt_that_ends_before_the_reply_says_decides() {
    let second = written().floor_to_second();
    let granted = GrantedTokens {
        now: Some(written()),
        exp: Some(second + secs(60)),
        ..bare(secs(180))
    };
    assert!(used(&granted) < secs(60));
}

/// Shifted `Date` and ends, as a vendor behind a proxy with a wrong clock tells
/// them, beside an `iat` that is right: never longer than it lives.
#[test]
fn a_date_that_lies_together_with_the_ends_does_no_harm() {
    let second = written().floor_to_second();
    for hours in [1, 24] {
        let granted = GrantedTokens {
            date: Some(second),
            ..bare(secs(180))
        };
        let granted = GrantedTokens {
            iat: Some(second),
            ..set_on(granted, secs(hours * 3600))
        };
        assert_eq!(used(&granted), millis(175_420));
    }
    let behind = GrantedTokens {
        iat: Some(second),
        date: Some(second - secs(3600)),
        access_expires_at: second - secs(3420),
        ..bare(secs(180))
    };
    assert_eq!(used(&behind), millis(175_420));
}

#[test]
fn an_end_that_makes_no_sense_is_taken_for_a_minute() {
    let second = written().floor_to_second();
    let over = GrantedTokens {
        access_expires_at: second - secs(5),
        ..bare(secs(0))
    };
    let dead_by_its_own_clock = GrantedTokens {
        now: Some(written()),
        ..over.clone()
    };
    let no_life = GrantedTokens {
        access_life: Some(Duration::ZERO),
        ..over.clone()
    };
    for granted in [over, dead_by_its_own_clock, no_life] {
        assert_eq!(used(&granted), millis(60_100));
    }
}

#[test]
fn a_token_that_may_be_dead_on_arrival_is_given_a_second() {
    let second = written().floor_to_second();
    let granted = GrantedTokens {
        date: Some(second),
        ..bare(secs(1))
    };
    assert_eq!(used(&granted), millis(1100));
}

#[test]
fn a_reply_that_took_longer_than_the_token_lives_is_not_thrown_away() {
    let slow = RoundTrip {
        sent_at: SENT,
        arrived_at: SENT + secs(20),
    };
    let granted = GrantedTokens {
        now: Some(SENT + secs(10)),
        ..bare(secs(15))
    };
    let ends = TokenEnds::from_grant(&granted, slow, &mut None);
    assert!(ends.access > slow.arrived_at + secs(1), "{ends:?}");
    assert!(ends.access < slow.arrived_at + secs(15), "{ends:?}");
}

#[test]
fn replies_at_other_fractions_of_a_second_narrow_what_is_known() {
    let mut offset = None;
    let mut left = Vec::new();
    for tenth in 0..10 {
        let sent_at = Timestamp::from_seconds(1_800_000_000) + millis(tenth * 10_100);
        let trip = RoundTrip {
            sent_at,
            arrived_at: sent_at,
        };
        let date = sent_at.floor_to_second();
        let granted = GrantedTokens {
            date: Some(date),
            access_expires_at: date + secs(180),
            ..bare(secs(180))
        };
        TokenEnds::from_grant(&granted, trip, &mut offset);
        let span = offset.map(|offset| offset.ours(sent_at)).unwrap();
        left.push(span.latest.since(span.earliest).as_millis());
        assert!(span.earliest <= sent_at && sent_at <= span.latest);
    }
    assert!(
        left.is_sorted_by(|wider, narrower| wider >= narrower),
        "{left:?}"
    );
    assert!(left.last().is_some_and(|last| *last < 200), "{left:?}");
}

#[test]
fn a_reply_that_tells_nothing_of_a_clock_is_read_by_what_is_known() {
    let mut offset = None;
    let told = GrantedTokens {
        now: Some(written()),
        ..bare(secs(180))
    };
    let first = TokenEnds::from_grant(&set_on(told, secs(86_400)), trip(), &mut offset);
    let bare = set_on(bare(secs(180)), secs(86_400));
    assert_eq!(TokenEnds::from_grant(&bare, trip(), &mut offset), first);
}

#[test]
fn a_clock_that_was_set_is_learnt_anew() {
    let told = GrantedTokens {
        now: Some(written()),
        ..bare(secs(180))
    };
    let mut offset = None;
    TokenEnds::from_grant(&told, trip(), &mut offset);
    let ends = TokenEnds::from_grant(&set_on(told.clone(), secs(7)), trip(), &mut offset);
    assert_eq!(ends, TokenEnds::from_grant(&told, trip(), &mut None));
}

/// Our clock is set on by an hour while the answer is under way.
#[test]
fn a_clock_that_is_set_on_during_a_request_does_not_throw_its_token_away() {
    let told = GrantedTokens {
        now: Some(written()),
        ..bare(secs(180))
    };
    let mut offset = None;
    TokenEnds::from_grant(&told, trip(), &mut offset);
    let jumped = RoundTrip {
        arrived_at: SENT + secs(3600),
        ..trip()
    };
    let ends = TokenEnds::from_grant(&told, jumped, &mut offset);
    assert_eq!(ends.access.since(jumped.arrived_at).as_secs(), 89);
}

#[test]
fn the_refresh_tokens_end_is_told_by_the_same_clock() {
    let granted = GrantedTokens {
        now: Some(written()),
        refresh_expires_at: Some(written() + secs(6 * 3600)),
        ..bare(secs(180))
    };
    let end = |granted: &GrantedTokens| TokenEnds::from_grant(granted, trip(), &mut None).refresh;
    let wanted = SENT + secs(6 * 3600) - millis(5751);
    assert_eq!(end(&granted), Some(wanted));
    let over = GrantedTokens {
        refresh_expires_at: Some(written() - secs(1)),
        ..granted.clone()
    };
    assert_eq!(end(&over), None);
    let lived = GrantedTokens {
        refresh_life: Some(secs(100)),
        ..granted
    };
    assert_eq!(end(&lived), Some(SENT + secs(98)));
}

#[test]
fn margins_are_late_and_never_longer_than_an_hour() {
    for (life, late, early) in [
        (5, millis(300), millis(500)),
        (180, millis(10_800), secs(18)),
        (3600, secs(216), secs(360)),
        (604_800, secs(3240), secs(3600)),
    ] {
        let found = [0.0, 1.0].map(|jitter| margin(secs(life), jitter));
        assert_eq!(found, [late, early], "{life} s");
    }
}
