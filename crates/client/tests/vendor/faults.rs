//! Every fault of the sandbox, alone and in pairs: the caller gets a valid token
//! or one clear error, and the vendor is not hammered.

use std::sync::Arc;
use std::time::Duration;

use countersign_client::RequestDelivery;
use countersign_domain::{Reason, TokenOperation};
use countersign_sandbox::{ClockSkew, RevocationTarget, Sandbox, VendorFault};

use crate::world::{DIALECTS, Failed, World};

const HOUR: Duration = Duration::from_secs(3600);
const OPERATIONS: [TokenOperation; 3] = [
    TokenOperation::Login,
    TokenOperation::Refresh,
    TokenOperation::Guard,
];

fn faults() -> Vec<VendorFault> {
    let each = [
        VendorFault::lost_reply(),
        VendorFault::status(500),
        VendorFault::status(503).retry_after(Duration::from_secs(2)),
        VendorFault::status(429).retry_after(Duration::from_secs(3)),
        VendorFault::delay(Duration::from_millis(5)),
        VendorFault::cut(),
        VendorFault::skew(ClockSkew::Ahead(HOUR)),
        VendorFault::skew(ClockSkew::Behind(HOUR)),
        VendorFault::revoke(RevocationTarget::Session),
        VendorFault::revoke(RevocationTarget::Account),
        VendorFault::forbid(),
    ];
    let on = |fault: VendorFault| OPERATIONS.map(|operation| fault.on(operation));
    each.into_iter().flat_map(on).collect()
}

/// A login, two renewals, and calls in between, while these faults strike.
async fn story(sandbox: &Arc<Sandbox>, faults: &[VendorFault]) {
    let dialect = sandbox.dialect().name();
    let world = World::on(sandbox.clone());
    faults.iter().for_each(|fault| world.sandbox.fault(*fault));
    let life = world.sandbox.dialect().preset().access;
    for _ in 0..3 {
        for _ in 0..2 {
            if let Err(failed) = world.call_in_time().await {
                is_clear(&failed, faults);
            }
            world.later(Duration::from_secs(2)).await;
        }
        world.later(life * 2 / 3).await;
    }
    // The pause after a login that was refused twice.
    world.later(Duration::from_secs(70)).await;
    let waiting = world.sandbox.faults().len();
    assert!(waiting < faults.len(), "{dialect}, {faults:?}: none struck");
    world.sandbox.clear_faults();
    let recovered = world.call_in_time().await;
    assert!(recovered.is_ok(), "{dialect}, {faults:?}: {recovered:?}");
    is_decent(&world, dialect, faults);
}

/// One error that says what happened, and is not of our making.
fn is_clear(failed: &Failed, faults: &[VendorFault]) {
    let struck = |names: &[&str]| faults.iter().any(|fault| names.contains(&fault.name()));
    match failed {
        Failed::NoToken(error) => assert!(!error.message.is_empty(), "{faults:?}"),
        Failed::NoAnswer(sent) => {
            assert_eq!(*sent, RequestDelivery::MaybeSent, "{faults:?}");
            assert!(struck(&["lost_reply", "cut"]), "{faults:?}");
        }
        Failed::Status(status) => {
            let told = struck(&["status", "forbid", "revoke"]);
            assert!(told, "{faults:?}: {status}");
        }
    }
}

/// What the vendor saw.
fn is_decent(world: &World, dialect: &str, faults: &[VendorFault]) {
    let requests = world.sandbox.requests();
    let stolen = |change: Option<&str>| change == Some("ended_for_reuse");
    assert!(
        !requests.iter().any(|request| stolen(request.change)),
        "{dialect}, {faults:?}: taken for stolen"
    );
    // Without a fault it is a login and three renewals; each fault costs at most
    // two more.
    let most = 4 + 2 * faults.len();
    let asked = world.asked_for_tokens();
    assert!(asked <= most, "{dialect}, {faults:?}: asked {asked} times");
    let expired = |request: &&_| is_expired(request);
    let late = requests.iter().filter(expired).count();
    let lies = faults.iter().filter(|fault| fault.name() == "skew").count();
    assert!(late <= lies, "{dialect}, {faults:?}: {late} expired");
}

fn is_expired(request: &countersign_sandbox::RecordedRequest) -> bool {
    request.operation == TokenOperation::Guard && request.refusal == Some(Reason::TokenExpired)
}

async fn vendor(dialect: &str) -> Arc<Sandbox> {
    let setup = Sandbox::shipped(dialect).budget(None);
    let setup = setup.anonymous_per_minute(None).still();
    Arc::new(setup.start().await.unwrap())
}

#[tokio::test]
async fn each_alone() {
    for dialect in DIALECTS {
        let sandbox = vendor(dialect).await;
        for fault in faults() {
            story(&sandbox, &[fault]).await;
        }
    }
}

/// Every fourth of the pairs.
async fn pairs_in(dialect: &str) {
    let part = DIALECTS.iter().position(|name| *name == dialect).unwrap();
    let sandbox = vendor(dialect).await;
    let faults = faults();
    let pairs = faults
        .iter()
        .enumerate()
        .flat_map(|(at, one)| faults[at..].iter().map(move |other| [*one, *other]));
    for pair in pairs.skip(part).step_by(DIALECTS.len()) {
        story(&sandbox, &pair).await;
    }
}

#[tokio::test]
async fn pairs_in_apirone() {
    pairs_in("apirone").await;
}

#[tokio::test]
async fn pairs_in_b2binpay() {
    pairs_in("b2binpay").await;
}

#[tokio::test]
async fn pairs_in_mypopup() {
    pairs_in("mypopup").await;
}

#[tokio::test]
async fn pairs_in_mypopup_flat() {
    pairs_in("mypopup-flat").await;
}
