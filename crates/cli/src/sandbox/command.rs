//! Runs a command beside a sandbox of its own: the command finds the sandbox in its environment,
//! and its exit status becomes ours.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use countersign_sandbox::Sandbox;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::files::Files;
use crate::exit::Failure;

/// What a shell adds to the number of a signal that ended a command.
const SIGNALLED: u8 = 128;

/// Runs a command to its end and gives its exit code. SIGTERM and SIGHUP are passed
/// to it, and so are SIGINT and SIGQUIT unless a terminal sends it those itself.
pub(super) async fn run(
    command: &[OsString],
    sandbox: &Sandbox,
    files: &Files,
) -> Result<u8, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::usage("there is no command to run"));
    };
    let mut passed = ForwardedSignals::listen()?;
    let mut child = Command::new(program)
        .args(arguments)
        .envs(variables(sandbox, files))
        .spawn()
        .map_err(|error| Failure::usage(format!("{} cannot be run: {error}", program.display())))?;
    loop {
        tokio::select! {
            status = child.wait() => return Ok(code(status.map_err(Failure::failed)?)),
            signal = passed.next() => passed.on(&child, signal),
        }
    }
}

/// Where a command finds the sandbox: the files that `countersign` reads, and for
/// clients of another kind what is in them.
fn variables(sandbox: &Sandbox, files: &Files) -> Vec<(&'static str, OsString)> {
    let dialect = sandbox.dialect();
    let texts = [
        ("COUNTERSIGN_SANDBOX_URL", sandbox.url()),
        ("COUNTERSIGN_SANDBOX_LOGIN", sandbox.login()),
        ("COUNTERSIGN_SANDBOX_SECRET", sandbox.secret().expose()),
        ("COUNTERSIGN_SANDBOX_DIALECT", dialect.name()),
    ];
    let files = [
        ("COUNTERSIGN_SANDBOX", &files.manifest),
        ("COUNTERSIGN_PROFILES", &files.profiles),
    ];
    let files = files
        .into_iter()
        .filter_map(|(name, file)| Some((name, file.clone()?.into_os_string())));
    let texts = texts.into_iter().map(|(name, text)| (name, text.into()));
    texts.chain(files).collect()
}

/// As a shell tells it: 128 and the number of the signal that ended the command.
fn code(status: ExitStatus) -> u8 {
    let by_signal = status.signal().and_then(|it| u8::try_from(it).ok());
    match (status.code(), by_signal) {
        (Some(code), _) => u8::try_from(code).unwrap_or(crate::exit::FAILED),
        (None, Some(signal)) => SIGNALLED.saturating_add(signal),
        (None, None) => crate::exit::FAILED,
    }
}

/// The signals that are the command's business.
struct ForwardedSignals {
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
    /// A terminal sends what is typed to every process of its foreground group.
    typed: bool,
}

impl ForwardedSignals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::bug);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
            quit: listen(SignalKind::quit())?,
            typed: io::stdin().is_terminal(),
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hang_up.recv() => Signal::HUP,
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.quit.recv() => Signal::QUIT,
        }
    }

    fn on(&self, child: &Child, signal: Signal) {
        let from_terminal = self.typed && matches!(signal, Signal::INT | Signal::QUIT);
        let pid = child.id().and_then(|id| i32::try_from(id).ok());
        if let (Some(pid), false) = (pid.and_then(Pid::from_raw), from_terminal) {
            // One that has just ended needs none.
            let _sent = kill_process(pid, signal);
        }
    }
}
