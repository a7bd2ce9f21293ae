//! A refresh token that was sent, and whose answer was lost, is sent again soon or
//! never: later it would look stolen.

use std::sync::Arc;
use std::time::Duration;

use countersign_client::{LogoutOutcome, TokenSource};
use countersign_domain::TokenOperation::{Login, Logout, Refresh};

use crate::stores::Moody;
use crate::vendor::{Play, Vendor};

/// Its token has run out, and the answer to its refresh was lost.
async fn lost(vendor: &Arc<Vendor>) -> (Moody, TokenSource) {
    let store = Moody::default();
    let source = vendor.client().store(store.clone()).build().unwrap();
    source.reserve(1).await.unwrap();
    vendor.clock.advance(Duration::from_secs(700));
    vendor.play(Play::Lose);
    source.reserve(1).await.unwrap_err();
    (store, source)
}

#[tokio::test]
async fn a_store_that_takes_long_does_not_make_it_too_late() {
    for (later, asked) in [(20, Refresh), (40, Login)] {
        let vendor = Vendor::speaking("mypopup");
        let (store, source) = lost(&vendor).await;
        vendor.clock.advance(Duration::from_secs(later));
        let slow = (vendor.clock.clone(), Duration::from_secs(20));
        store.mood.slow.set(slow).unwrap();
        source.reserve(1).await.unwrap();
        assert_eq!(vendor.asked(), [Login, Refresh, asked], "after {later} s");
    }
}

#[tokio::test]
async fn a_logout_sends_it_soon_and_not_late() {
    for (later, outcome, asked) in [
        (
            40,
            LogoutOutcome::Done,
            vec![Login, Refresh, Refresh, Logout],
        ),
        (50, LogoutOutcome::Forgotten, vec![Login, Refresh]),
    ] {
        let vendor = Vendor::speaking("mypopup");
        let (_, source) = lost(&vendor).await;
        vendor.clock.advance(Duration::from_secs(later));
        assert_eq!(source.logout().await, Ok(outcome));
        assert_eq!(vendor.asked(), asked, "after {later} s");
    }
}
