//! What a command prints: text for people, or with `--json` exactly one JSON
//! document.
//!
//! A reader that went away (`| head`) is not a failure: what is left is not
//! printed, and the command goes on.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;
use serde_json::json;

use crate::exit::Failure;

/// How much is said beside the output, on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// Errors, and questions that have to be answered.
    Quiet,
    /// Hints and warnings, too.
    Normal,
    /// What is asked and answered, too, without secrets.
    Verbose,
}

/// Standard output and standard error.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    json: bool,
    verbosity: Verbosity,
}

impl Output {
    /// Prints for people, or JSON.
    pub(crate) fn new(json: bool, verbosity: Verbosity) -> Self {
        Self { json, verbosity }
    }

    /// How much is said beside it.
    pub(crate) fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Whether it prints JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a text as it is; with `--json` as the member `text` of a document.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.document(&json!({ "text": text }), text)
    }

    /// Prints `document` with `--json`, and `text` otherwise.
    pub(crate) fn document(
        &mut self,
        document: &impl Serialize,
        text: &str,
    ) -> Result<(), Failure> {
        if self.json {
            let document = serde_json::to_string_pretty(document).map_err(Failure::bug)?;
            return print(&document);
        }
        print(text)
    }

    /// Prints one line of a stream of JSON documents, a line each.
    pub(crate) fn line(&mut self, document: &impl Serialize) -> Result<(), Failure> {
        print(&serde_json::to_string(document).map_err(Failure::bug)?)
    }

    /// Says something beside the output, on standard error: a hint. With `--json` and
    /// with `--quiet` it is left out.
    pub(crate) fn aside(&self, text: &str) {
        if !self.json && self.verbosity != Verbosity::Quiet {
            self.complain(text);
        }
    }

    /// Says what went wrong and what to do about it, in colour on a terminal that wants
    /// it.
    pub(crate) fn error(&self, message: &str, help: Option<&str>) {
        const ERROR: &str = "\u{1b}[1;31merror:\u{1b}[0m";
        const HELP: &str = "\u{1b}[1;32mhelp:\u{1b}[0m";
        let mut stderr = anstream::stderr().lock();
        // If that fails there is nobody to tell.
        let _ = writeln!(stderr, "{ERROR} {message}");
        if let Some(help) = help {
            let _ = writeln!(stderr, "{HELP} {help}");
        }
    }

    /// Writes a line to standard error. If that fails there is nobody to tell.
    pub(crate) fn complain(&self, line: &str) {
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = write(&mut stdout, text);
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::failed(format!(
            "the output cannot be written: {error}"
        ))),
        _ => Ok(()),
    }
}

fn write(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}
