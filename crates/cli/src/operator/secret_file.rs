//! A secret that the operator chose, from a file or standard input: on the
//! command line it would stay in the shell's history and be seen by others.

use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use countersign_client::NamedFile;
use countersign_dialect::Secret;

use crate::command_log;
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
        // What names no file may be the secret itself, which is not repeated.
        if file != Path::new("-") && file.symlink_metadata().is_err() {
            return Failure::usage("there is no such file to read the secret from").with_help(
                "name the file that holds it, or `-` for standard input; the secret itself does \
                 not belong on the command line",
            );
        }
        Failure::usage(format!("the secret cannot be read from {name}: {error}"))
    })?;
    let line = text.expose();
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() || line.contains('\n') {
        return Err(Failure::usage(format!(
            "{name} must contain only the secret, in one line"
        )));
    }
    Ok(Secret::from(line))
}

/// A file with a secret is its owner's alone.
fn warn_if_exposed(path: &Path, file: &Metadata) {
    if file.is_file() && file.permissions().mode() & 0o077 != 0 {
        let path = path.display();
        command_log::warn(&format!(
            "others can read the secret file {path}: run `chmod 600 {path}`"
        ));
    }
}

fn text(file: &Path) -> io::Result<Secret> {
    if !["-", "/dev/stdin"].map(Path::new).contains(&file) {
        let opened = NamedFile::open(file)?;
        warn_if_exposed(file, opened.metadata());
        let text = opened.text(MOST)?;
        return Ok(Secret::from(text.as_str()));
    }
    let mut text = String::new();
    io::stdin().take(MOST + 1).read_to_string(&mut text)?;
    let text = Secret::from(text);
    if text.expose().len() as u64 > MOST {
        return Err(io::Error::other("it is too long"));
    }
    Ok(text)
}
