//! A token that the guarded API does not take.

use std::time::Duration;

use bytes::Bytes;
use countersign_client::TokenVerdict;
use countersign_dialect::{Dialect, TokenRefusal};
use countersign_domain::{Refusal, TokenOperation};
use http::StatusCode;
use tokio::task::JoinSet;

use crate::stores::Moody;
use crate::vendor::{Play, Vendor, access, at_once, token, until};

#[tokio::test]
async fn sixty_four_tasks_that_were_all_refused_cause_one_renewal() {
    let vendor = Vendor::speaking("mypopup");
    let source = vendor.client().build().unwrap();
    let refused = source.token().await.unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let (source, refused) = (source.clone(), refused.clone());
        tasks.spawn(async move {
            source.report_refused(&refused);
            token(&source).await
        });
    }
    assert_eq!(tasks.join_all().await, vec![Ok(access(11)); 64]);
    assert_eq!(
        vendor.asked(),
        [TokenOperation::Login, TokenOperation::Refresh]
    );
}

#[tokio::test]
async fn what_is_said_of_an_older_token_does_not_touch_the_new_one() {
    let vendor = Vendor::speaking("mypopup");
    let source = vendor.client().build().unwrap();
    let old = source.token().await.unwrap();
    source.report_refused(&old);
    let new = source.token().await.unwrap();
    source.report_refused(&old);
    assert_eq!(source.token().await.unwrap().expose(), new.expose());
    assert_eq!(vendor.asked().len(), 2);
}

#[tokio::test]
async fn a_refused_token_is_not_handed_out_again_while_its_renewal_fails() {
    let vendor = Vendor::speaking("mypopup");
    let store = Moody::default();
    let source = vendor.client().store(store.clone()).build().unwrap();
    let refused = source.token().await.unwrap();
    vendor.play(Play::Lose);
    source.report_refused(&refused);
    let waiting = tokio::spawn({
        let source = source.clone();
        async move { token(&source).await }
    });
    until(|| at_once(store.kept_trouble()).unwrap()).await;
    vendor.hold();
    vendor.clock.advance(Duration::from_secs(2));
    until(|| vendor.asked().len() == 3).await;
    assert_eq!(at_once(token(&source)), None, "it waits for another one");
    vendor.go_on();
    assert_eq!(waiting.await.unwrap(), Ok(access(11)));
}

#[tokio::test]
async fn a_vendor_that_takes_no_token_at_all_is_not_hammered() {
    let vendor = Vendor::speaking("mypopup");
    let source = vendor.client().build().unwrap();
    for _ in 0..100 {
        let token = source.token().await.unwrap();
        source.report_refused(&token);
        vendor.clock.advance(Duration::from_millis(100));
    }
    let asked = vendor.asked().len();
    assert!((2..=10).contains(&asked), "{asked}");
}

#[tokio::test]
async fn only_what_a_fresh_token_cures_counts_as_refused() {
    for (dialect, _) in Dialect::SHIPPED {
        let vendor = Vendor::speaking(dialect);
        let source = vendor.client().build().unwrap();
        for (status, verdict) in [
            (200, TokenVerdict::NotRefused),
            (401, TokenVerdict::Refused),
            (403, TokenVerdict::NotRefused),
            (500, TokenVerdict::NotRefused),
        ] {
            let judged = source.judge(StatusCode::from_u16(status).unwrap());
            assert_eq!(judged, verdict, "{dialect} {status}");
        }
    }
}

#[tokio::test]
async fn a_whole_answer_is_judged_by_its_body() {
    let vendor = Vendor::speaking("mypopup");
    let source = vendor.client().build().unwrap();
    let text = Dialect::shipped("mypopup").unwrap();
    let dialect = Dialect::compile(text, "mypopup").unwrap();
    for (refusal, expired) in [
        (Refusal::BadBearer, true),
        (Refusal::AddressDenied, false),
        (Refusal::Throttled, false),
    ] {
        let answer = dialect.write_refusal(&TokenRefusal::new(TokenOperation::Guard, refusal));
        assert_eq!(source.says_token_refused(&answer), expired, "{refusal}");
    }
    assert!(!source.says_token_refused(&http::Response::new(Bytes::from_static(b"{}"))));
}
