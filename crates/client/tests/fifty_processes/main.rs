//! Fifty processes on one profile: one login, and one rotation for each expiry,
//! although processes are killed (SIGKILL) all the time, some of them in the
//! middle of a refresh.
//!
//! The vendor is the sandbox, whose clock the test moves; the processes are told
//! of it. A process that is killed between asking and keeping the answer leaves a
//! note of what it asked, and the next one presents the same refresh token again.
//! The vendor then repeats the same successor. So it may be asked more often than
//! its session rotates, and it is the rotations that are counted.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "processes tell the test what they do")]

mod chance;
mod crew;
mod worker;

use std::time::Duration;

use countersign_domain::TokenOperation;
use countersign_sandbox::{RecordedRequest, Sandbox};

use crate::chance::Chance;
use crate::crew::Crew;

const PROCESSES: usize = 50;
const EXPIRIES: usize = 20;

/// The life of B2BINPAY's access tokens.
const LIFE: Duration = Duration::from_secs(180);

/// How long the vendor takes to answer: long enough to be killed in between.
const LATENCY: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn fifty_processes_share_one_session_while_they_are_killed() {
    let sandbox = Sandbox::shipped("b2binpay")
        .still()
        .budget(None)
        .latency(LATENCY)
        .start()
        .await
        .unwrap();
    let mut crew = Crew::assemble(&sandbox, PROCESSES).await;
    crew.all_call().await;
    crew.calls_are_answered().await;
    assert_eq!(
        changes(&sandbox.requests(), "opened"),
        1,
        "one login for all"
    );

    let mut chance = Chance::new(7);
    for expiry in 1..=EXPIRIES {
        // Every other time the token is still good, and is renewed beside its use.
        let span = match expiry % 2 {
            0 => LIFE + Duration::from_secs(1),
            _ => LIFE - Duration::from_secs(6),
        };
        crew.later(sandbox.advance(span)).await;
        crew.all_call().await;
        crew.kill_some(&mut chance, expiry % 3 == 0).await;
        crew.calls_are_answered().await;
        crew.wait_for("the rotation", || {
            changes(&sandbox.requests(), "rotated") >= expiry
        })
        .await;
        crew.settles().await;
    }
    let killed = crew.killed;
    let answered = crew.dismiss().await;

    let requests = sandbox.requests();
    let asked = |operation| {
        requests
            .iter()
            .filter(|it| it.operation == operation)
            .count()
    };
    println!(
        "{killed} killed, {answered} calls answered, {} logins, {} refreshes: {} rotations, {} \
         repeated",
        asked(TokenOperation::Login),
        asked(TokenOperation::Refresh),
        changes(&requests, "rotated"),
        changes(&requests, "replayed"),
    );
    assert!(killed >= PROCESSES / 4, "{killed} killed");
    assert_eq!(asked(TokenOperation::Login), 1);
    assert_eq!(changes(&requests, "rotated"), EXPIRIES);
    // Only who comes after a killed one repeats what that one asked.
    let repeated = changes(&requests, "replayed");
    assert!(repeated <= killed, "{repeated} repeated");
    assert_eq!(asked(TokenOperation::Refresh), EXPIRIES + repeated);
    let refused: Vec<_> = requests.iter().filter(|it| !it.is_granted()).collect();
    assert!(refused.is_empty(), "{refused:?}");
}

/// How often a session changed so.
fn changes(requests: &[RecordedRequest], change: &str) -> usize {
    let changed = |it: &&RecordedRequest| it.change == Some(change);
    requests.iter().filter(changed).count()
}
