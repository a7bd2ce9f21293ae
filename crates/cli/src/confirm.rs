//! Asks before something is done that cannot be undone.

use std::io::{self, IsTerminal, Write};

use crate::exit::Failure;

/// Goes on if `yes` was said on the command line, or is said now on a
/// terminal. Without one, nobody can be asked.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("nobody can be asked to confirm").with_help("say --yes"));
    }
    // The question goes beside the output, so that it can be seen where the
    // output is redirected.
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(Failure::failed)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::failed("nothing was done")),
    }
}
