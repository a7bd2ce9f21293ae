//! Whatever a vendor tells.

use proptest::prelude::*;

use super::*;

/// An instant that a vendor may tell, sensible or not.
fn any_instant() -> impl Strategy<Value = Timestamp> {
    let near = -100_000_000_000i64..100_000_000_000;
    prop_oneof![
        near.prop_map(|off| Timestamp::from_micros(SENT.as_micros() + off)),
        any::<i64>().prop_map(Timestamp::from_micros),
    ]
}

fn any_reply() -> impl Strategy<Value = GrantedTokens> {
    let instant = || proptest::option::of(any_instant());
    let life = || proptest::option::of((0u64..1 << 40).prop_map(Duration::from_micros));
    let told = (any_instant(), instant(), life(), life());
    (told, instant(), instant(), instant(), instant()).prop_map(|(told, now, date, iat, exp)| {
        GrantedTokens {
            access_expires_at: told.0,
            refresh_expires_at: told.1,
            access_life: told.2,
            refresh_life: told.3,
            now,
            date,
            iat,
            exp,
            ..bare(secs(0))
        }
    })
}

proptest! {
    #[test]
    fn whatever_a_vendor_tells_its_token_is_used_for_a_moment(
        replies in proptest::collection::vec((any_reply(), 0u64..100_000_000), 1..5),
    ) {
        let mut offset = None;
        for (granted, micros) in replies {
            let trip = RoundTrip { sent_at: SENT, arrived_at: SENT + Duration::from_micros(micros) };
            let ends = TokenEnds::from_grant(&granted, trip, &mut offset);
            prop_assert!(ends.access >= trip.arrived_at + millis(250), "{ends:?}");
            prop_assert!(ends.refresh.is_none_or(|end| end > trip.arrived_at));
        }
    }

    /// Whatever the offset of the vendor's clock, the way there and back, and
    /// what it tells: as long as that is true, the token has not ended when we
    /// think so.
    #[test]
    fn a_token_ends_no_earlier_than_we_think(
        ahead in 0u64..1 << 40,
        lives in proptest::sample::select(vec![5u64, 60, 180, 3600, 604_800]),
        trips in proptest::collection::vec((0u64..1_000_000, 0u64..400_000, 0u64..400_000, 0..4), 1..20),
    ) {
        let (mut offset, mut sent_at) = (None, SENT);
        for (pause, there, back, tells) in trips {
            sent_at = sent_at + Duration::from_micros(pause);
            let made = sent_at + Duration::from_micros(there);
            let vendor = made + Duration::from_micros(ahead);
            let exp = (vendor + secs(lives)).floor_to_second();
            let second = Some(vendor.floor_to_second());
            let granted = GrantedTokens {
                access_expires_at: vendor + secs(lives),
                now: (tells == 0).then_some(vendor),
                date: second.filter(|_| tells != 2),
                iat: second.filter(|_| tells == 2),
                access_life: (tells == 3).then(|| secs(lives)),
                exp: (tells == 3).then_some(exp),
                ..bare(secs(lives))
            };
            let trip = RoundTrip { sent_at, arrived_at: made + Duration::from_micros(back) };
            let ends = TokenEnds::from_grant(&granted, trip, &mut offset);
            let dies = exp - Duration::from_micros(ahead);
            prop_assert!(ends.access < dies, "{ends:?} {dies:?}");
        }
    }
}
