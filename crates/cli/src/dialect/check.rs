//! `countersign dialect check`: reports every mistake in a dialect file, with its place, and every
//! recorded exchange that the file does not reproduce.

use std::fs;
use std::path::{Path, PathBuf};

use countersign_client::NamedFile;
use countersign_dialect::{Dialect, Mistakes, examples};
use serde_json::json;

use crate::exit::Failure;
use crate::output::Output;

/// Compiles the file and says what is wrong with it; then runs the examples
/// beside it.
pub(super) fn run(path: &Path, output: &mut Output) -> Result<(), Failure> {
    let file = file_of(path);
    let origin = file.display().to_string();
    let source = NamedFile::open(&file)
        .and_then(|it| it.text(NamedFile::LARGEST_TEXT))
        .map_err(|error| unreadable(&file, &error))?;
    let dialect = Dialect::compile(&source, &origin);
    let dialect = dialect.map_err(|it| Failure::mistakes(&it, "the dialect file"))?;
    let run = run_examples(&dialect, &file)?;
    let name = dialect.name();
    let examples = match run {
        0 => "there are no examples beside it".to_owned(),
        1 => "1 recorded exchange runs in it".to_owned(),
        many => format!("{many} recorded exchanges run in it"),
    };
    output.document(
        &json!({ "file": origin, "valid": true, "name": name, "examples": run }),
        &format!("{origin} is valid: the dialect {name}; {examples}"),
    )
}

/// Runs the exchanges in `examples/*.http` beside the file, and counts them.
fn run_examples(dialect: &Dialect, file: &Path) -> Result<usize, Failure> {
    let mut run = 0;
    let mut wrong = Vec::new();
    for path in example_files(file)? {
        let text = NamedFile::open(&path)
            .and_then(|it| it.text(NamedFile::LARGEST_TEXT))
            .map_err(|error| unreadable(&path, &error))?;
        let origin = path.display().to_string();
        match examples::check(dialect, &text, &origin) {
            Ok(()) => run += examples::parse(&text, &origin).map_or(0, |it| it.len()),
            Err(mistakes) => wrong.extend(mistakes.0),
        }
    }
    if wrong.is_empty() {
        return Ok(run);
    }
    Err(
        Failure::failed("the file is valid, but not all of its examples run in it")
            .with_mistakes("examples", &Mistakes(wrong)),
    )
}

/// The example files beside a dialect file, in the order of their names.
fn example_files(file: &Path) -> Result<Vec<PathBuf>, Failure> {
    let directory = file.with_file_name("examples");
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&directory).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.map_err(|error| unreadable(&directory, &error))?;
    let mut files: Vec<_> = entries.iter().map(fs::DirEntry::path).collect();
    files.retain(|path| path.extension().is_some_and(|it| it == "http"));
    files.sort();
    Ok(files)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("{} cannot be read: {error}", path.display()))
}

/// The dialect file that a path names: a directory has one in it.
pub(crate) fn file_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join("dialect.toml")
    } else {
        path.to_owned()
    }
}
