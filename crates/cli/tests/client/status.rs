//! `countersign status`.

use countersign_domain::TokenOperation;

use crate::stage::{DIALECTS, Stage};

#[test]
fn it_tells_where_everything_is_and_nothing_secret() {
    for dialect in DIALECTS {
        let stage = Stage::speaking(dialect);
        let before = stage.run(&["status"]).code(0);
        assert!(
            before.stdout.contains("none: the next use logs in"),
            "{}",
            before.stdout
        );
        stage.run(&["login", "pay"]).code(0);
        let after = stage.run(&["status", "pay"]).code(0);
        stage.assert_discreet(&after);
        let secret = stage.file("secret").display().to_string();
        let told = stage.json(&["status"]);
        let store = told["items"][0]["store"]["file"].as_str().unwrap();
        let key = stage.file(".config/countersign/store.key");
        for part in [
            &*secret,
            store,
            &format!("encrypted under the key in {}", key.display()),
            "ends in ",
            "used until",
            stage.sandbox.url(),
            stage.sandbox.login(),
        ] {
            assert!(
                after.stdout.contains(part),
                "{dialect} lacks {part}: {}",
                after.stdout
            );
        }
        assert_eq!(stage.asked(TokenOperation::Login), 1);
    }
}

#[test]
fn a_program_is_told_the_times_that_are_left() {
    let stage = Stage::speaking("mypopup");
    stage.run(&["login", "pay"]).code(0);
    let told = stage.json(&["status"]);
    let status = &told["items"][0];
    let session = &status["session"];
    let seconds = |name: &str| session[name].as_u64().unwrap();
    assert!(
        (3_500..=3_600).contains(&seconds("access_seconds_left")),
        "{session}"
    );
    assert!(
        (604_000..=604_800).contains(&seconds("refresh_seconds_left")),
        "{session}"
    );
    assert_eq!(session["client_id"], stage.sandbox.client_id());
    assert_eq!(status["store"]["encrypted"], true);
    assert_eq!(status["paused"], false);
    assert_eq!(status["trouble"], serde_json::Value::Null);
}

#[test]
fn each_place_of_a_secret_is_told_by_its_name() {
    let stage = Stage::start();
    for (written, told) in [
        ("secret_env = 'PAY_SECRET'", "in the variable PAY_SECRET"),
        (
            "secret_command = ['pass', 'planted']",
            "printed by the command pass\n",
        ),
        ("store = 'memory'", "not kept: a login asks for it"),
    ] {
        stage.profiles(&stage.profile(stage.sandbox.url(), written));
        let ran = stage.run(&["status"]).code(0);
        assert!(ran.stdout.contains(told), "{}", ran.stdout);
        assert!(!ran.stdout.contains("planted"), "{}", ran.stdout);
    }
}

#[test]
fn what_is_kept_and_cannot_be_read_is_told_for_each_and_is_1() {
    let stage = Stage::start();
    stage.run(&["login", "pay"]).code(0);
    let other = "store_key_env = 'OTHER_KEY'\nsecret_file = '~/secret'";
    stage.profiles(&stage.profile(stage.sandbox.url(), other));
    let run = |words: &[&str]| {
        let mut command = stage.command(words);
        crate::run::finish(command.env("OTHER_KEY", "07".repeat(32)))
    };
    let ran = run(&["status", "--json"]).code(1);
    let status = &ran.json()["items"][0];
    assert_eq!(status["error"]["details"]["kind"], "store", "{status}");
    run(&["token", "pay"]).code(1);
    assert_eq!(
        stage.asked(TokenOperation::Login),
        1,
        "nothing is done without the store"
    );
}
