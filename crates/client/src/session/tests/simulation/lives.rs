//! Many lives without an accident: no expired token is used, and little more is
//! asked for than must be.

use super::*;

/// A hundred milliseconds there and back, for many lives; a token is used at the
/// last moment that the machine allows.
fn played(jitter: f64, mut vendor: Vendor) -> (Story, Vendor) {
    let (life, tells) = (vendor.life, vendor.tells);
    let terms = SessionTerms {
        presents_access: vendor.by_access,
        ..terms()
    };
    let mut story = Story::begin(terms.with_jitter(jitter));
    let end = story.now + life * 500;
    while story.now < end {
        match story.next() {
            NextStep::Use { until, renew_at } => {
                let last = until - Duration::from_micros(1);
                let token = story.tokens().access_token.clone();
                assert!(vendor.accepts(&token, last), "{life:?}, {tells:?}");
                assert!(until.since(renew_at) <= secs(3600));
                story.now = renew_at.max(story.now);
            }
            NextStep::Request { kind, .. } => {
                story.exchange(&mut vendor, kind, millis(50), millis(50));
            }
            other => unreachable!("{other:?}"),
        }
    }
    (story, vendor)
}

#[test]
fn refreshes_are_few_for_lives_of_5_seconds_to_7_days() {
    for life in [5, 60, 180, 3600, 604_800] {
        for tells in TELLS {
            for jitter in [0.0, 0.3, 0.7, 1.0] {
                let vendor = Vendor {
                    ahead: millis(1_234_567_890),
                    ..Vendor::new(secs(life), tells)
                };
                let (story, vendor) = played(jitter, vendor);
                let lived = story.now.since(START).as_secs_f64() / secs(life).as_secs_f64();
                let ratio = f64::from(vendor.refreshes) / lived;
                assert!(ratio <= 1.3, "{life} s, {tells:?}, {jitter}: {ratio}");
                assert_eq!((vendor.logins, vendor.thefts), (1, 0));
            }
        }
    }
}

#[test]
fn a_session_goes_on_by_its_access_tokens_alone() {
    for life in [5, 180, 604_800] {
        for tells in TELLS {
            let vendor = Vendor {
                by_access: true,
                ..Vendor::new(secs(life), tells)
            };
            let (_, vendor) = played(0.5, vendor);
            assert_eq!(vendor.logins, 1, "{life} s, {tells:?}");
        }
    }
}

/// A vendor that counts in whole seconds, asked at any fraction of one.
#[test]
fn a_clock_at_any_fraction_of_a_second_is_good_enough_for_5_seconds() {
    for fraction in 0..20 {
        for tells in TELLS {
            let vendor = Vendor {
                ahead: millis(fraction * 50),
                ..Vendor::new(secs(5), tells)
            };
            let (story, vendor) = played(0.5, vendor);
            let lived = story.now.since(START).as_secs_f64() / 5.0;
            let ratio = f64::from(vendor.refreshes) / lived;
            assert!(ratio <= 1.3, "{fraction}, {tells:?}: {ratio}");
        }
    }
}

#[test]
fn a_vendors_clock_that_runs_fast_does_not_make_tokens_expired() {
    for (life, tells) in [5, 60, 3600]
        .into_iter()
        .flat_map(|life| TELLS.map(|tells| (life, tells)))
    {
        let vendor = Vendor {
            drifts_ppm: 500,
            ..Vendor::new(secs(life), tells)
        };
        let (_, vendor) = played(0.5, vendor);
        assert_eq!((vendor.logins, vendor.thefts), (1, 0));
    }
}

#[test]
fn a_life_of_a_second_is_asked_for_about_once_a_second() {
    let mut vendor = Vendor::new(secs(1), Tells::Date);
    let mut story = Story::begin(terms());
    while story.now < START + secs(100) {
        match story.next() {
            NextStep::Use { renew_at, .. } => story.now = renew_at,
            NextStep::Request { kind, .. } => {
                story.exchange(&mut vendor, kind, millis(5), millis(5));
            }
            other => unreachable!("{other:?}"),
        }
    }
    assert!(vendor.refreshes < 130, "{}", vendor.refreshes);
}
