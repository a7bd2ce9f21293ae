//! `countersign token`.

use std::collections::BTreeSet;

use countersign_domain::TokenOperation;
use countersign_sandbox::VendorFault;

use crate::stage::{DIALECTS, Stage};

#[test]
fn the_token_stands_alone_and_is_asked_for_once() {
    for dialect in DIALECTS {
        let stage = Stage::speaking(dialect);
        let mut told = BTreeSet::new();
        for _ in 0..3 {
            let ran = stage.run(&["token", "pay"]).code(0);
            assert!(ran.stderr.is_empty(), "{}", ran.stderr);
            told.insert(ran.stdout);
        }
        let told: Vec<_> = told.into_iter().collect();
        assert_eq!(told.len(), 1, "{dialect}");
        assert!(
            told[0].starts_with("eyJ") && told[0].ends_with('\n'),
            "{told:?}"
        );
        assert_eq!(stage.asked(TokenOperation::Login), 1);
    }
}

#[test]
fn a_program_is_told_how_to_send_it_and_how_long() {
    let stage = Stage::start();
    let told = stage.json(&["token", "pay"]);
    let token = told["token"].as_str().unwrap();
    assert_eq!(told["type"], "Bearer");
    assert_eq!(told["headers"]["authorization"], format!("Bearer {token}"));
    assert!(told["expires_at"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn who_says_how_many_requests_it_makes_has_them_to_itself() {
    let stage = Stage::start();
    let budget = stage.json(&["status", "pay"])["items"][0]["budget"].clone();
    assert_eq!(budget, 40);
    let token = |uses: &str| stage.run(&["token", "pay", "--uses", uses]).code(0).stdout;
    let first = token("20");
    assert_eq!(first, token("15"));
    assert_eq!(
        stage.json(&["status", "pay"])["items"][0]["session"]["spent"],
        35
    );
    assert_ne!(first, token("10"), "only 5 of 40 are left");
    assert_eq!(stage.asked(TokenOperation::Login), 1);
    assert_eq!(stage.asked(TokenOperation::Refresh), 1);
}

#[test]
fn more_requests_than_a_token_can_make_are_a_mistake() {
    let stage = Stage::start();
    for uses in ["0", "-1", "many", "41"] {
        stage
            .run(&["token", "pay", &format!("--uses={uses}")])
            .code(64);
    }
}

#[test]
fn a_refresh_whose_reply_is_lost_is_made_again_at_once() {
    let stage = Stage::start();
    let token = || stage.run(&["token", "pay", "--uses", "30"]).code(0).stdout;
    let first = token();
    let lost = VendorFault::lost_reply().on(TokenOperation::Refresh);
    stage.sandbox.fault(lost);
    assert_ne!(first, token(), "only 10 of 40 were left");
    assert_eq!(stage.asked(TokenOperation::Refresh), 2);
    assert_eq!(stage.sessions(), 1, "nobody logged in again");
}

#[test]
fn with_v_what_the_token_cost_is_shown_and_not_the_token() {
    let stage = Stage::start();
    let ran = stage.run(&["token", "pay", "-v"]).code(0);
    assert!(ran.stderr.contains("* login\n> POST "), "{}", ran.stderr);
    assert!(!ran.stderr.contains("eyJ"), "{}", ran.stderr);
    let fresh = stage.run(&["token", "pay", "-v"]).code(0);
    assert!(!fresh.stderr.contains("\n> "), "{}", fresh.stderr);
    let told = stage.json(&["token", "pay", "-v"]);
    assert_eq!(told["exchanges"], serde_json::json!([]));
    assert!(stage.json(&["token", "pay"]).get("exchanges").is_none());
}
