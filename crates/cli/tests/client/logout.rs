//! `countersign logout`.

use countersign_domain::TokenOperation;

use crate::stage::Stage;

#[test]
fn a_session_is_ended_with_the_vendor_and_forgotten() {
    for dialect in ["mypopup", "apirone"] {
        let stage = Stage::speaking(dialect);
        stage.run(&["login", "pay"]).code(0);
        let ran = stage.run(&["logout", "pay"]).code(0);
        assert!(
            ran.stdout.contains("the vendor has ended the session"),
            "{}",
            ran.stdout
        );
        stage.assert_discreet(&ran);
        let status = stage.json(&["status"]);
        assert!(status["items"][0]["session"].is_null(), "{status}");
        assert_eq!(stage.asked(TokenOperation::Logout), 1);
        stage.run(&["token", "pay"]).code(0);
        assert_eq!(stage.asked(TokenOperation::Login), 2);
    }
}

#[test]
fn where_the_vendor_knows_no_logout_that_is_said() {
    let stage = Stage::start();
    stage.run(&["login", "pay"]).code(0);
    assert_eq!(stage.json(&["logout", "pay"])["outcome"], "forgotten");
    assert_eq!(stage.json(&["logout", "pay"])["outcome"], "not_logged_in");
}

#[test]
fn tokens_are_kept_as_long_as_the_vendor_cannot_be_told() {
    let stage = Stage::speaking("mypopup");
    stage.run(&["login", "pay"]).code(0);
    stage.answers(TokenOperation::Logout, 503, 9);
    stage.run(&["logout", "pay"]).code(69);
    stage.sandbox.clear_faults();
    assert_eq!(stage.json(&["logout", "pay"])["outcome"], "done");
}
