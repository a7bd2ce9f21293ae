//! `countersign dialect`: shows wire formats, and checks your own dialect files.

mod check;
mod show;

pub(crate) use self::check::file_of;

use std::path::{Path, PathBuf};

use countersign_client::NamedFile;
use countersign_dialect::document::did_you_mean;
use countersign_dialect::{Dialect, REFERENCE};
use serde_json::json;

use crate::exit::Failure;
use crate::output::Output;
use crate::table::Table;

/// Look at dialects, and check dialect files
#[derive(Debug, clap::Subcommand)]
pub(crate) enum DialectCommand {
    /// List the dialects that come with the program
    #[command(after_help = "Example:\n  countersign dialect list --json")]
    List,
    /// Show a dialect's endpoints, its lifetimes and its refusals
    #[command(after_help = "Examples:
  countersign dialect show apirone
  countersign dialect show ./dialects/acme/dialect.toml
  countersign dialect show mypopup --source > dialect.toml")]
    Show {
        /// The name of a dialect that comes with the program, or a file
        #[arg(value_name = "NAME|FILE")]
        dialect: String,
        /// Print the file itself
        #[arg(long)]
        source: bool,
    },
    /// Print the reference of dialect files: every key, placeholder and codec
    #[command(after_help = "Example:\n  countersign dialect reference | less")]
    Reference,
    /// Report every mistake in a dialect file, and try the examples beside it
    #[command(after_help = "Examples:
  countersign dialect check ./dialects/acme
  countersign dialect check acme.toml --json

A mistake is reported as FILE:LINE:COLUMN: PLACE: MESSAGE, and the exit code is 64. If there is \
none, but an exchange in examples/*.http beside the file does not run as recorded, it is 1.")]
    Check {
        /// The file, or a directory with a dialect.toml
        #[arg(value_name = "FILE|DIR")]
        path: PathBuf,
    },
}

/// Runs `countersign dialect …`.
pub(crate) fn run(command: &DialectCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        DialectCommand::List => list(output),
        DialectCommand::Show { dialect, source } => show::run(dialect, *source, output),
        DialectCommand::Reference => output.text(REFERENCE),
        DialectCommand::Check { path } => check::run(path, output),
    }
}

/// The dialect with this name or in this file.
pub(crate) fn load(name: &str) -> Result<Dialect, Failure> {
    let (text, origin) = source_of(name)?;
    let dialect = Dialect::compile(&text, &origin);
    dialect.map_err(|it| Failure::mistakes(&it, "the dialect file"))
}

/// The source of a dialect, and how messages name it.
fn source_of(name: &str) -> Result<(String, String), Failure> {
    if let Some(source) = Dialect::shipped(name) {
        return Ok((source.to_owned(), name.to_owned()));
    }
    let file = file_of(Path::new(name));
    NamedFile::open(&file)
        .and_then(|it| it.text(NamedFile::LARGEST_TEXT))
        .map(|source| (source.to_string(), file.display().to_string()))
        .map_err(|error| {
            let names: Vec<_> = Dialect::SHIPPED.iter().map(|(name, _)| *name).collect();
            let (meant, known) = (did_you_mean(name, names.iter().copied()), names.join(", "));
            Failure::usage(format!(
                "{name:?} is neither a dialect that comes with the program nor a file that can be \
                 read ({error})"
            ))
            .with_help(match meant {
                Some(meant) => format!("{meant} There are {known}, and files of yours"),
                None => format!("name a file, or one of {known}"),
            })
        })
}

fn list(output: &mut Output) -> Result<(), Failure> {
    let mut table = Table::new(["NAME", "TITLE", "OPERATIONS", "SERVES"]);
    let mut items = Vec::new();
    for (name, source) in Dialect::SHIPPED {
        let dialect = Dialect::compile(source, name).map_err(Failure::bug)?;
        let (operations, serves) = (operations(&dialect), serves(&dialect));
        table.row([
            name,
            dialect.title(),
            &operations.join(" "),
            &serves.join(" "),
        ]);
        items.push(json!({
            "name": name,
            "title": dialect.title(),
            "operations": operations,
            "serves": serves,
        }));
    }
    output.document(&json!({ "items": items }), &table.text())
}

/// The names of the operations, each once, in the order of a session's life.
fn operations(dialect: &Dialect) -> Vec<&'static str> {
    let mut found: Vec<_> = dialect.operations().map(|info| info.operation).collect();
    found.sort_unstable();
    found.dedup();
    found.iter().map(|operation| operation.name()).collect()
}

/// For which sides the file is complete.
fn serves(dialect: &Dialect) -> Vec<&'static str> {
    let serves = dialect.serves();
    let sides = [(serves.issuer, "issuer"), (serves.client, "client")];
    sides
        .into_iter()
        .filter_map(|(serves, side)| serves.then_some(side))
        .collect()
}
