//! A process that is killed: what the next one does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use countersign_domain::TokenOperation::{self, Login, Refresh};

use crate::stores::Moody;
use crate::vendor::{Vendor, access, token, until};

/// Where the first process stops, and then is gone with all that it did.
enum Killed {
    BeforeWrite(usize),
    AfterWrite(usize),
    BeforeTheAnswer,
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// Kills a process in its first renewal after `before` of them, and gives what the
/// next one asks the vendor for.
fn killed(
    at: &Killed,
    renewed: bool,
    later: Duration,
) -> (Arc<Vendor>, Vec<TokenOperation>, String) {
    let vendor = Vendor::speaking("mypopup");
    let store = Moody::default();
    let first = runtime();
    first.block_on(async {
        let source = vendor.client().store(store.clone()).build().unwrap();
        if renewed {
            token(&source).await.unwrap();
            vendor.clock.advance(Duration::from_secs(590));
        }
        let done = store.mood.writes.load(Ordering::SeqCst);
        match at {
            Killed::BeforeWrite(n) => store.mood.stop_before.store(done + n, Ordering::SeqCst),
            Killed::AfterWrite(n) => store.mood.stop_after.store(done + n, Ordering::SeqCst),
            Killed::BeforeTheAnswer => vendor.hold(),
        }
        let asked = vendor.asked().len();
        let cut = tokio::spawn(async move { token(&source).await });
        let stopped = || match at {
            Killed::BeforeWrite(n) | Killed::AfterWrite(n) => {
                store.mood.writes.load(Ordering::SeqCst) == done + n
            }
            Killed::BeforeTheAnswer => vendor.asked().len() > asked,
        };
        until(stopped).await;
        drop(cut);
    });
    drop(first);
    vendor.go_on();
    vendor.clock.advance(later);
    let next = runtime().block_on(async {
        let source = vendor.client().store(store.clone()).build().unwrap();
        // What is due is asked for before this returns.
        source.reserve(1).await.unwrap().expose().to_owned()
    });
    (vendor.clone(), vendor.asked(), next)
}

#[test]
fn a_login_that_was_cut_off_is_made_again() {
    for (at, asked) in [
        (Killed::BeforeWrite(1), vec![Login]),
        (Killed::AfterWrite(1), vec![Login]),
        (Killed::BeforeTheAnswer, vec![Login, Login]),
        (Killed::BeforeWrite(2), vec![Login, Login]),
        (Killed::AfterWrite(2), vec![Login]),
    ] {
        let (_, seen, _) = killed(&at, false, Duration::from_secs(1));
        assert_eq!(seen, asked);
    }
}

#[test]
fn a_refresh_that_was_cut_off_is_repeated_soon_with_the_same_token() {
    for (at, asked) in [
        (Killed::BeforeWrite(1), vec![Login, Refresh]),
        (Killed::AfterWrite(1), vec![Login, Refresh]),
        (Killed::BeforeTheAnswer, vec![Login, Refresh, Refresh]),
        (Killed::BeforeWrite(2), vec![Login, Refresh, Refresh]),
        (Killed::AfterWrite(2), vec![Login, Refresh]),
    ] {
        let (_, seen, next) = killed(&at, true, Duration::from_secs(3));
        assert_eq!((seen, next), (asked, access(11)));
    }
}

#[test]
fn later_a_refresh_that_may_have_been_acted_upon_leads_to_a_login() {
    for (at, asked) in [
        (Killed::BeforeWrite(1), vec![Login, Refresh]),
        (Killed::AfterWrite(1), vec![Login, Login]),
        (Killed::BeforeTheAnswer, vec![Login, Refresh, Login]),
        (Killed::BeforeWrite(2), vec![Login, Refresh, Login]),
        (Killed::AfterWrite(2), vec![Login, Refresh]),
    ] {
        let (_, seen, _) = killed(&at, true, Duration::from_secs(60));
        assert_eq!(seen, asked);
    }
}
