//! Every fault, alone and with every other one: a client that asks again, and
//! logs in when it is refused, gets on.

use countersign_domain::TokenOperation;
use countersign_sandbox::{ClockSkew, RevocationTarget, VendorFault};

use crate::client::Client;
use crate::{SECOND, still};

fn faults() -> [VendorFault; 7] {
    [
        VendorFault::lost_reply(),
        VendorFault::status(503),
        VendorFault::delay(SECOND / 100),
        VendorFault::cut(),
        VendorFault::skew(ClockSkew::Ahead(SECOND)),
        VendorFault::revoke(RevocationTarget::Account),
        VendorFault::forbid(),
    ]
}

#[tokio::test]
async fn after_any_two_faults_in_one_request_the_next_is_served() {
    for first in faults() {
        for second in faults() {
            let sandbox = still("b2binpay").await;
            let mut client = Client::logged_in(&sandbox).await;
            sandbox.fault(first.on(TokenOperation::Refresh));
            sandbox.fault(second.on(TokenOperation::Refresh));
            client.send(TokenOperation::Refresh).await;
            let mut expected = vec![first.name(), second.name()];
            expected.dedup();
            let last = sandbox.requests().pop().unwrap();
            assert_eq!(last.faults, expected);
            sandbox.clear_faults();
            if client.refresh().await.is_err() {
                client.login().await.unwrap();
            }
            assert_eq!(client.called().await, Ok(200), "{expected:?}");
        }
    }
}
