//! The budget: exact, shared by processes in parts, and never its last request.

use std::collections::BTreeMap;
use std::time::Duration;

use countersign_client::{ErrorKind, MemoryStore};
use tokio::task::JoinSet;

use crate::vendor::{Vendor, token};

/// How often each token was handed out.
type Counts = BTreeMap<String, u32>;

#[tokio::test]
async fn two_processes_never_use_a_token_more_often_than_its_budget_less_one() {
    for budget in [2, 3, 7, 8, 40] {
        let vendor = Vendor::speaking("b2binpay");
        let store = MemoryStore::new();
        let build = || {
            let client = vendor.client().store(store.clone());
            client.budget(Some(budget)).build().unwrap()
        };
        let sources = [build(), build()];
        let mut tasks = JoinSet::new();
        for task in 0..50 {
            let source = sources[task % 2].clone();
            tasks.spawn(async move {
                let mut used = Vec::new();
                for _ in 0..8 {
                    used.push(token(&source).await.unwrap());
                    tokio::task::yield_now().await;
                }
                used
            });
        }
        let mut counts = Counts::new();
        for used in tasks.join_all().await.into_iter().flatten() {
            *counts.entry(used).or_default() += 1;
        }
        let most = counts.values().max().unwrap();
        assert!(*most < budget, "{budget}: {counts:?}");
        let bought = vendor.asked().len() as u32;
        assert_eq!(counts.values().sum::<u32>(), 400);
        assert!(
            bought <= 2 + 400 * 2 / (budget - 1),
            "{budget}: {bought} tokens"
        );
    }
}

#[tokio::test]
async fn what_a_dead_process_had_borrowed_is_not_used_by_another() {
    let vendor = Vendor::speaking("b2binpay");
    let store = MemoryStore::new();
    let build = || vendor.client().store(store.clone()).build().unwrap();
    let mut counts = Counts::new();
    for _ in 0..30 {
        *counts.entry(token(&build()).await.unwrap()).or_default() += 1;
    }
    // Each of these processes borrowed five of forty requests and used one.
    assert!(counts.values().all(|used| *used <= 8), "{counts:?}");
}

#[tokio::test]
async fn what_is_reserved_is_the_callers_alone() {
    let vendor = Vendor::speaking("b2binpay");
    let store = MemoryStore::new();
    let source = vendor.client().store(store.clone()).build().unwrap();
    let reserved = source.reserve(30).await.unwrap();
    assert_eq!(source.status().await.unwrap().tokens.unwrap().spent, 30);
    let mut used = 0;
    while token(&source).await.unwrap() == reserved.expose() {
        used += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(used <= 9, "{used}");
}

#[tokio::test]
async fn a_reservation_that_does_not_fit_what_is_left_gets_the_next_token() {
    let vendor = Vendor::speaking("b2binpay");
    let source = vendor.client().build().unwrap();
    let first = source.reserve(30).await.unwrap();
    let second = source.reserve(30).await.unwrap();
    assert_ne!(first.expose(), second.expose());
    let error = source.reserve(40).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Setup);
    assert_eq!(vendor.asked().len(), 2);
}
