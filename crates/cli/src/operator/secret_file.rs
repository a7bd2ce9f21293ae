//! A secret that the operator chose, from a file or standard input: on the
//! command line it would stay in the shell's history and be seen by others.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use countersign_dialect::Secret;

use crate::exit::Failure;

/// More than any secret has; a file with more is the wrong one.
const MOST: u64 = 4_096;

/// The secret in the first line of `file`, or of standard input for `-`.
pub(crate) fn read(file: &Path) -> Result<Secret, Failure> {
    let name = if file == Path::new("-") {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    };
    let text = text(file).map_err(|error| {
        Failure::usage(format!("the secret cannot be read from {name}: {error}"))
    })?;
    let line = text.expose();
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() || line.contains('\n') {
        return Err(Failure::usage(format!(
            "{name} must hold the secret alone, in one line"
        )));
    }
    Ok(Secret::from(line))
}

fn text(file: &Path) -> io::Result<Secret> {
    let mut text = String::new();
    let source: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(file)?)
    };
    source.take(MOST + 1).read_to_string(&mut text)?;
    let text = Secret::from(text);
    if text.expose().len() as u64 > MOST {
        return Err(io::Error::other("it is too long"));
    }
    Ok(text)
}
