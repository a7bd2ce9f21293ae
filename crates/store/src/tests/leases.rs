use super::super::sweep::LEASE_SLACK;
use super::super::{BudgetLease, LeaseOutcome};
use super::*;

fn wanted(requests: u32) -> BudgetLease {
    BudgetLease {
        session: SessionId([7; 16]),
        generation: 3,
        until: start() + ACCESS,
        requests,
    }
}

async fn granted(store: &Store, requests: u32) -> u32 {
    store.lease(wanted(requests), 40).await.unwrap().granted
}

#[tokio::test]
async fn all_that_is_lent_is_the_limit_over_restarts_too() {
    let place = Place::new();
    let mut lent = 0;
    for life in 0..4 {
        let store = place.open();
        lent += granted(&store, 15).await;
        store.close().await;
        assert_eq!(lent, (15 * (life + 1)).min(40));
    }
    let store = place.open();
    let nothing = LeaseOutcome {
        granted: 0,
        in_all: 40,
    };
    assert_eq!(store.lease(wanted(15), 40).await, Ok(nothing));
    let raised = LeaseOutcome {
        granted: 2,
        in_all: 42,
    };
    assert_eq!(store.lease(wanted(2), 50).await, Ok(raised));
    assert_eq!(granted(&store, 1).await, 0, "and lowered again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_borrow_at_once_get_no_more_together() {
    let place = Place::new();
    let store = place.open();
    let mut borrowers = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let store = store.clone();
        borrowers.spawn(async move { granted(&store, 3).await });
    }
    assert_eq!(borrowers.join_all().await.iter().sum::<u32>(), 40);
}

#[tokio::test]
async fn tokens_have_budgets_of_their_own() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(granted(&store, 40).await, 40);
    let renewed = BudgetLease {
        until: start() + 2 * ACCESS,
        ..wanted(40)
    };
    let rotated = BudgetLease {
        generation: 4,
        ..wanted(40)
    };
    for token in [renewed, rotated] {
        assert_eq!(store.lease(token, 40).await.unwrap().granted, 40);
    }
}

#[tokio::test]
async fn what_is_given_back_is_lent_again_and_never_more() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(granted(&store, 40).await, 40);
    let unspent = vec![
        wanted(25),
        BudgetLease {
            generation: 9,
            ..wanted(5)
        },
    ];
    store.give_back_leases(unspent).await.unwrap();
    assert_eq!(granted(&store, 40).await, 25);
    store.give_back_leases(vec![wanted(900)]).await.unwrap();
    assert_eq!(granted(&store, 900).await, 40);
}

#[tokio::test]
async fn a_lease_goes_some_time_after_its_token() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(granted(&store, 40).await, 40);
    place
        .clock
        .set(start() + ACCESS + LEASE_SLACK - MICROSECOND);
    assert_eq!(store.sweep_once().await.unwrap().leases, 0);
    assert_eq!(granted(&store, 1).await, 0);
    place.clock.advance(MICROSECOND);
    assert_eq!(store.sweep_once().await.unwrap().leases, 1);
}

#[tokio::test]
async fn nothing_is_lent_to_a_token_whose_lease_may_be_gone() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(granted(&store, 40).await, 40);
    place.clock.set(start() + ACCESS + LEASE_SLACK);
    assert_eq!(store.sweep_once().await.unwrap().leases, 1);
    assert_eq!(granted(&store, 1).await, 0, "its budget was spent");
    assert_eq!(store.sweep_once().await.unwrap().leases, 0);
}
