//! Profiles and secrets that change while it runs.

use std::time::Duration;

use countersign_domain::TokenOperation;
use countersign_sandbox::{RequestExpectations, Sandbox, VendorFault};
use countersign_testing::waiting::eventually;

use crate::program::Home;

const READ: &str = "the profiles were read again";
const REFUSED: &str = "profiles with mistakes stay as they were";

#[tokio::test]
async fn a_reload_changes_what_differs_and_keeps_what_runs() {
    let pay = Sandbox::shipped("b2binpay").start().await.unwrap();
    let other = Sandbox::shipped("b2binpay").start().await.unwrap();
    let home = Home::new();
    let others = home.profile("other", &other, "");
    let with = |more: &str| home.profiles(&format!("{}{others}", home.profile("pay", &pay, more)));
    with("");
    let running = home.start(&["pay", "other"]);
    assert_eq!(running.get("pay", "/payout/").await.status, 200);
    assert_eq!(running.get("other", "/payout/").await.status, 200);

    let slow = VendorFault::delay(Duration::from_secs(1));
    pay.fault(slow.on(TokenOperation::Guard));
    let in_flight = running.get("pay", "/payout/");
    let reloaded = async {
        eventually("the vendor is asked", async || pay.faults().is_empty()).await;
        with("allow = [\"GET /deposit/*\"]");
        running.hang_up(READ).await;
    };
    let (answered, ()) = tokio::join!(in_flight, reloaded);
    assert_eq!(answered.status, 200, "{}", answered.text());
    assert_eq!(running.get("pay", "/payout/").await.status, 403);
    assert_eq!(running.get("pay", "/deposit/").await.status, 200);

    with("allow = [\"nonsense\"]");
    running.hang_up(REFUSED).await;
    home.profiles(&others);
    running.hang_up(REFUSED).await;
    assert_eq!(running.get("pay", "/payout/").await.status, 403);
    assert_eq!(running.get("other", "/payout/").await.status, 200);
    let once = RequestExpectations::new().logins(1);
    assert_eq!(other.check(&once), Ok(()), "it did not change");
}

#[tokio::test]
async fn a_changed_file_is_noticed_without_a_signal() {
    let sandbox = Sandbox::shipped("b2binpay").start().await.unwrap();
    let home = Home::new();
    home.profiles(&home.profile("pay", &sandbox, ""));
    let running = home.start(&["pay"]);
    assert_eq!(running.get("pay", "/payout/").await.status, 200);
    home.profiles(&home.profile("pay", &sandbox, "allow = [\"GET /deposit/*\"]"));
    running.logs(READ, 0).await;
    assert_eq!(running.get("pay", "/payout/").await.status, 403);
}

#[tokio::test]
async fn a_secret_that_is_mended_is_used() {
    let sandbox = Sandbox::shipped("b2binpay").start().await.unwrap();
    let home = Home::new();
    home.profiles(&home.profile("pay", &sandbox, ""));
    home.write("pay.secret", "WRONG");
    let running = home.start(&["pay"]);
    let refused = running.get("pay", "/deposit/").await;
    assert_eq!(refused.status, 502, "{}", refused.text());
    home.write("pay.secret", sandbox.secret().expose());
    eventually("the new secret is not used", async || {
        running.get("pay", "/deposit/").await.status == 200
    })
    .await;
}
