//! The prompt for a secret: on a terminal only, and unseen.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use countersign_domain::TokenOperation;

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

/// A shell's line on a terminal of its own, in the home of the stage.
struct Terminal {
    child: Child,
    screen: Vec<u8>,
}

impl Terminal {
    fn run(stage: &Stage, line: &str) -> Self {
        let command = stage.command(&[]);
        let mut script = Command::new("script");
        script.args(["-qec", line, "/dev/null"]);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        let script = script.stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = script.spawn();
        Self {
            child: child.expect("script is needed: it comes with util-linux"),
            screen: Vec::new(),
        }
    }

    /// Waits until this is asked.
    fn wait_for(&mut self, question: &str) {
        let shown = self.child.stdout.as_mut().unwrap();
        while !self.screen.ends_with(question.as_bytes()) {
            let mut byte = [0];
            let read = shown.read(&mut byte).unwrap();
            assert_eq!(read, 1, "{}", String::from_utf8_lossy(&self.screen));
            self.screen.extend(byte);
        }
    }

    fn type_in(&mut self, text: &str) {
        let keys = self.child.stdin.as_mut().unwrap();
        keys.write_all(text.as_bytes()).unwrap();
    }

    /// All that was on the screen, and whether it went well.
    fn end(mut self) -> (String, bool) {
        let shown = self.child.stdout.as_mut().unwrap();
        shown.read_to_end(&mut self.screen).unwrap();
        let ended = self.child.wait().unwrap();
        (String::from_utf8(self.screen).unwrap(), ended.success())
    }
}

const BINARY: &str = env!("CARGO_BIN_EXE_countersign");

#[test]
fn what_is_typed_on_a_terminal_is_not_seen_and_logs_in() {
    let stage = stage();
    let mut terminal = Terminal::run(&stage, &format!("{BINARY} login pay"));
    terminal.wait_for(": ");
    let secret = stage.sandbox.secret().expose();
    terminal.type_in(&format!("{secret}\n"));
    let (screen, well) = terminal.end();
    assert!(well && screen.contains("Logged in to pay"), "{screen}");
    assert!(!screen.contains(secret), "{screen}");
    stage.run(&["token", "pay"]).code(0);
    assert_eq!(stage.asked(TokenOperation::Login), 1);
}

#[test]
fn who_breaks_the_question_off_finds_the_terminal_as_it_was() {
    let stage = stage();
    let line = format!("trap : INT; {BINARY} login pay; stty -a");
    let mut terminal = Terminal::run(&stage, &line);
    terminal.wait_for(": ");
    terminal.type_in("half a sec\u{3}");
    let (screen, _) = terminal.end();
    assert!(screen.contains("it was broken off"), "{screen}");
    assert!(
        screen.contains(" echo ") && !screen.contains("half"),
        "{screen}"
    );
    assert_eq!(stage.sandbox.requests(), []);
}

#[test]
fn on_a_terminal_an_error_has_its_own_line_and_the_colour_that_it_wants() {
    let stage = Stage::start();
    for (setting, begins) in [
        ("", "\u{1b}[1;31merror:\u{1b}[0m "),
        ("NO_COLOR=1 ", "error: "),
    ] {
        let line = format!("{setting}{BINARY} request pay GET /token/");
        let (screen, well) = Terminal::run(&stage, &line).end();
        assert!(!well && screen.contains('{'), "{screen}");
        let told = screen
            .lines()
            .find(|line| line.contains("the answer is 405"));
        assert!(
            told.is_some_and(|line| line.starts_with(begins)),
            "{screen:?}"
        );
    }
    let ran = stage.run(&["request", "pay", "GET", "/token/"]).code(1);
    assert!(
        !ran.stdout.ends_with('\n'),
        "what is read by programs stays as it is"
    );
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
}
