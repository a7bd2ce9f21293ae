//! The prompt for a secret: on a terminal only, and unseen.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use countersign_domain::Operation;

use crate::stage::Stage;

/// A vendor, and a profile that names no secret.
fn stage() -> Stage {
    let stage = Stage::start();
    stage.profiles(&stage.profile(stage.sandbox.url(), ""));
    stage
}

#[test]
fn without_a_terminal_nobody_is_asked_and_it_is_said_how_to_give_a_secret() {
    let stage = stage();
    let ran = stage.run(&["login", "pay"]).code(64);
    for key in ["secret_file", "secret_env", "secret_command"] {
        assert!(ran.stderr.contains(key), "{}", ran.stderr);
    }
    stage.run(&["token", "pay"]).code(64);
    assert_eq!(stage.sandbox.requests(), []);
}

/// The binary on a terminal of its own.
fn on_a_terminal(stage: &Stage) -> Child {
    let binary = env!("CARGO_BIN_EXE_countersign");
    Command::new("script")
        .args(["-qec", &format!("{binary} login pay"), "/dev/null"])
        .env("HOME", stage.file(""))
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_STATE_HOME")
        .env_remove("COUNTERSIGN_PROFILES")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script is needed: it comes with util-linux")
}

#[test]
fn what_is_typed_on_a_terminal_is_not_seen_and_logs_in() {
    let stage = stage();
    let mut child = on_a_terminal(&stage);
    let (mut typed, mut shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut screen = Vec::new();
    while !screen.ends_with(b": ") {
        let mut byte = [0];
        assert_eq!(
            shown.read(&mut byte).unwrap(),
            1,
            "{}",
            String::from_utf8_lossy(&screen)
        );
        screen.extend(byte);
    }
    writeln!(typed, "{}", stage.sandbox.secret().expose()).unwrap();
    shown.read_to_end(&mut screen).unwrap();
    let screen = String::from_utf8(screen).unwrap();
    assert!(child.wait().unwrap().success(), "{screen}");
    assert!(screen.contains("Logged in to pay"), "{screen}");
    assert!(
        !screen.contains(stage.sandbox.secret().expose()),
        "{screen}"
    );
    stage.run(&["token", "pay"]).code(0);
    assert_eq!(stage.asked(Operation::Login), 1);
}
