//! `countersign dialect check`: every mistake in a dialect file, with its
//! place.

use std::fs;
use std::path::{Path, PathBuf};

use countersign_dialect::{Dialect, Mistake, Mistakes};
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::output::Output;

/// Compiles the file and says what is wrong with it.
pub(super) fn run(path: &Path, output: &mut Output) -> Result<(), Failure> {
    let file = file_of(path);
    let origin = file.display().to_string();
    let source = fs::read_to_string(&file)
        .map_err(|error| Failure::usage(format!("{origin} cannot be read: {error}")))?;
    let dialect = Dialect::compile(&source, &origin).map_err(|it| mistaken(&it))?;
    output.document(
        &json!({ "file": origin, "valid": true, "name": dialect.name() }),
        &format!("{origin} is valid: the dialect {}", dialect.name()),
    )
}

/// The dialect file that a path names: a directory has one in it.
pub(super) fn file_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join("dialect.toml")
    } else {
        path.to_owned()
    }
}

/// The failure that these mistakes are, all of them.
pub(super) fn mistaken(mistakes: &Mistakes) -> Failure {
    let number = mistakes.0.len();
    let noun = if number == 1 { "mistake" } else { "mistakes" };
    let failure = Failure::usage(format!("{mistakes}\n{number} {noun} in the dialect file"));
    let listed: Vec<_> = mistakes.0.iter().map(document).collect();
    failure.with_details(json!({ "mistakes": listed }))
}

fn document(mistake: &Mistake) -> Value {
    json!({
        "file": mistake.origin,
        "line": mistake.line,
        "column": mistake.column,
        "pointer": mistake.pointer,
        "message": mistake.message,
        "help": mistake.help,
    })
}
