//! Every dialect that comes with the program has a sandbox.

use countersign_dialect::Dialect;
use countersign_domain::Refusal;
use countersign_sandbox::{Expected, Sandbox, SetupError};
use serde_json::Value;

use crate::client::{Client, reply};
use crate::{SECOND, start, still};

#[tokio::test]
async fn a_client_of_each_dialect_logs_in_refreshes_and_calls() {
    for (name, _) in Dialect::SHIPPED {
        let sandbox = still(name).await;
        let mut client = Client::logged_in(&sandbox).await;
        client.refresh().await.unwrap();
        let echoed = reply(&client.call().await);
        assert_eq!(echoed.status(), 200, "{name}");
        let echoed: Value = serde_json::from_slice(echoed.body()).unwrap();
        assert_eq!(echoed["path"], "/deposit/7", "{name}");
        assert_eq!(echoed["query"], "page=2", "{name}");
        let expected = Expected::new().logins(1).refreshes(1).max_refused(0);
        assert_eq!(sandbox.check(&expected), Ok(()), "{name}");
    }
}

#[tokio::test]
async fn a_variant_with_rsa_signatures_gets_its_key_when_somebody_logs_in() {
    let sandbox = still("b2binpay").await;
    let mut v3 = Client::of(&sandbox).in_variant("v3");
    let granted = v3.login().await.unwrap();
    assert_eq!(granted.refresh_token, None);
    assert_eq!(v3.called().await, Ok(200));
    let mut v2 = Client::logged_in(&sandbox).await;
    assert_eq!(v2.refresh().await.map(drop), Ok(()));
}

#[tokio::test]
async fn lifetimes_and_budget_are_the_vendors_unless_they_are_said() {
    let preset = still("b2binpay").await;
    let granted = Client::of(&preset).login().await.unwrap();
    assert_eq!(granted.access_expires_at.since(preset.now()), SECOND * 180);

    let setup = Sandbox::shipped("b2binpay").still();
    let sandbox = start(setup.lifetimes(SECOND * 5, SECOND * 60).budget(Some(2))).await;
    let client = Client::logged_in(&sandbox).await;
    let granted = client.held.as_ref().unwrap();
    let life = granted.access_expires_at.since(sandbox.now());
    assert!(life > SECOND * 4 && life <= SECOND * 5, "{life:?}");
    for expected in [Ok(200), Ok(200), Err(Refusal::BadBearer)] {
        assert_eq!(client.called().await, expected);
    }
}

#[tokio::test]
async fn what_does_not_fit_together_is_told() {
    let told = |setup: countersign_sandbox::Setup| async {
        match setup.start().await {
            Err(error) => error.to_string(),
            Ok(_) => panic!("it started"),
        }
    };
    let unknown = told(Sandbox::shipped("b2binpya")).await;
    assert!(unknown.contains("b2binpay"), "{unknown}");
    let setup = || Sandbox::shipped("mypopup");
    let short = told(setup().access(SECOND / 2)).await;
    assert!(short.contains("whole seconds"), "{short}");
    let crossed = told(setup().refresh(SECOND)).await;
    assert!(crossed.contains("give both"), "{crossed}");
    let taken = still("mypopup").await;
    let address = taken.url().strip_prefix("http://").unwrap();
    let error = setup().listen(address.parse().unwrap()).start().await;
    assert!(matches!(error.err(), Some(SetupError::Listen { .. })));
}
