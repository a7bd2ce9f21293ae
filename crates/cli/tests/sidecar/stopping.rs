//! How it ends.

use std::time::Duration;

use countersign_domain::TokenOperation;
use countersign_sandbox::{RequestExpectations, Sandbox, VendorFault};
use countersign_testing::replies::request;
use countersign_testing::waiting::eventually;

use crate::program::Home;

#[tokio::test]
async fn a_request_that_runs_is_answered_before_the_end() {
    let sandbox = Sandbox::shipped("b2binpay").start().await.unwrap();
    let home = Home::new();
    home.profiles(&home.profile("pay", &sandbox, ""));
    let running = home.start(&["pay"]);
    let slow = VendorFault::delay(Duration::from_secs(1));
    sandbox.fault(slow.on(TokenOperation::Guard));
    let listen = running.listen("pay");
    let request = request("GET", "/deposit/", &[], "");
    let answering = tokio::spawn(async move { crate::program::send(&listen, request).await });
    eventually("the vendor is asked", async || sandbox.faults().is_empty()).await;
    let (code, log) = running.stop().await;
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(answering.await.unwrap().status, 200);
    assert_eq!(sandbox.check(&RequestExpectations::new().logins(1)), Ok(()));
    assert!(!ended(&sandbox), "it was not asked to log out");
}

fn ended(sandbox: &Sandbox) -> bool {
    let requests = sandbox.requests();
    requests.iter().any(|it| it.change == Some("ended"))
}

#[tokio::test]
async fn sessions_end_with_it_if_it_is_to() {
    let sandbox = Sandbox::shipped("mypopup").start().await.unwrap();
    let home = Home::new();
    home.profiles(&home.profile("cards", &sandbox, ""));
    let running = home.start(&["cards", "--logout-at-stop"]);
    assert_eq!(running.get("cards", "/api/v1/x").await.status, 200);
    let (code, log) = running.stop().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(ended(&sandbox), "{:?}", sandbox.requests());
}

#[tokio::test]
async fn a_session_that_cannot_be_ended_is_told() {
    let sandbox = Sandbox::shipped("mypopup").start().await.unwrap();
    let home = Home::new();
    home.profiles(&home.profile("cards", &sandbox, ""));
    let running = home.start(&["cards", "--logout-at-stop"]);
    assert_eq!(running.get("cards", "/api/v1/x").await.status, 200);
    sandbox.fault(
        VendorFault::status(503)
            .on(TokenOperation::Logout)
            .times(100),
    );
    let (code, log) = running.stop().await;
    assert_eq!(code, Some(69), "{log}");
    assert!(log.contains("cards"), "{log}");
}
