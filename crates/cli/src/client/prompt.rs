//! Asks for a secret on the terminal, without echo.
//!
//! The terminal is that of the process, `/dev/tty`: standard input and output stay free for other
//! uses. Echo is turned off with rustix, which the program links anyway (for the terminal's
//! width).

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};

use countersign_dialect::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::exit::Failure;

/// The terminal to ask on. None where nobody sits at one: standard input says
/// so, since a job of cron or a pipe may still have a terminal far up.
pub(super) fn terminal() -> Option<File> {
    let mut open = OpenOptions::new();
    let terminal = open.read(true).write(true).open("/dev/tty").ok()?;
    io::stdin().is_terminal().then_some(terminal)
}

/// Asks for a secret. What is typed is not shown, from before the question on.
pub(super) async fn secret(terminal: &File, question: &str) -> Result<Secret, Failure> {
    let line = read_secret(terminal, question)
        .await
        .map_err(|error| Failure::failed(format!("the secret cannot be asked for: {error}")))?;
    let secret = line.expose().trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(Failure::usage("no secret was given"));
    }
    Ok(Secret::from(secret))
}

/// Who breaks it off finds the terminal as it was.
async fn read_secret(mut terminal: &File, question: &str) -> io::Result<Secret> {
    let mut broken_off = signal(SignalKind::interrupt())?;
    let unseen = HiddenInput::new(terminal)?;
    write!(terminal, "{question}: ")?;
    let line = tokio::select! {
        line = typed(terminal.try_clone()?) => line,
        _ = broken_off.recv() => Err(io::Error::other("it was broken off")),
    };
    drop(unseen);
    // The end of the line that was typed was not shown either.
    writeln!(terminal)?;
    line
}

/// A line, read in a thread that the process need not wait for.
async fn typed(terminal: File) -> io::Result<Secret> {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(terminal).read_line(&mut line);
        let line = Secret::from(line);
        // Nobody waits any more if it was broken off.
        let _ = tell.send(read.map(|_| line));
    });
    told.await.map_err(io::Error::other)?
}

/// A terminal that does not show what is typed, until this is dropped.
struct HiddenInput<'t> {
    terminal: &'t File,
    before: Termios,
}

impl<'t> HiddenInput<'t> {
    fn new(terminal: &'t File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &unseen)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for HiddenInput<'_> {
    fn drop(&mut self) {
        // If that fails, nothing else would work either.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}
