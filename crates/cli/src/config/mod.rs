//! The configuration file: `countersign config check|example|explain`, and the settings
//! that the server reads from it.
//!
//! Every mistake is reported at once, with its line. [`setting`] is how a setting is
//! declared; each table has its declarations in a file of its name.

mod api;
mod example;
mod explain;
mod guard;
mod kinds;
mod limits;
mod overrides;
mod read;
mod routes;
mod server;
mod setting;
mod settings;
mod store;
mod upstream;
mod warnings;

use std::path::{Path, PathBuf};

use countersign_client::NamedFile;
use serde_json::json;

use crate::exit::Failure;
use crate::output::Output;

pub(crate) use api::ApiSection;
pub(crate) use example::toml_literal;
pub(crate) use guard::GuardSection;
pub(crate) use overrides::Overrides;
pub(crate) use read::read;
use read::read_under;
pub(crate) use server::{LogFormat, ServerSection, TlsSection};
pub(crate) use setting::KeptValues;
pub(crate) use settings::Settings;
pub(crate) use store::StoreSection;
use warnings::{Warning, warnings};

/// Look at a configuration file without starting anything
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ConfigCommand {
    /// Report every mistake in a configuration file
    #[command(
        after_help = "Examples:\n  countersign config check countersign.toml\n  \
                            countersign config check --json countersign.toml"
    )]
    Check {
        /// The file
        file: PathBuf,
    },
    /// Print every key with its effective value, and where that comes from
    #[command(
        after_help = "Examples:\n  countersign config explain countersign.toml\n  \
                            countersign config explain countersign.toml --listen 0.0.0.0:8080 --json"
    )]
    Explain {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        over: Overrides,
    },
    /// Print a configuration file with every key, its default and what it does
    #[command(after_help = "Example:\n  countersign config example > countersign.toml")]
    Example,
}

/// Runs `countersign config …`.
pub(crate) fn run(command: &ConfigCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        ConfigCommand::Example => output.text(&example::example().map_err(Failure::bug)?),
        ConfigCommand::Explain { file, over } => explain::run(file, over, output),
        ConfigCommand::Check { file } => {
            let settings = load(file, &Overrides::default())?;
            let apis: Vec<_> = settings
                .apis
                .iter()
                .map(|api| api.name().as_str())
                .collect();
            let warnings = warnings(&settings);
            let mut text = format!("{} is valid: {}", file.display(), count(&apis));
            for Warning { sentence, help } in &warnings {
                text.push_str(&format!("\nwarning: {sentence}\nhelp: {help}"));
            }
            let listed: Vec<_> = warnings
                .iter()
                .map(|it| json!({ "message": it.sentence, "help": it.help }))
                .collect();
            output.document(
                &json!({
                    "file": file, "valid": true, "apis": apis, "warnings": listed,
                }),
                &text,
            )
        }
    }
}

/// Reads a configuration file and the dialect files that it names; options of the
/// command line override it.
pub(crate) fn load(file: &Path, over: &Overrides) -> Result<Settings, Failure> {
    let source = source_of(file)?;
    let base = file.parent().unwrap_or(Path::new("."));
    read_under(&source, &file.display().to_string(), base, over)
        .map_err(|it| Failure::mistakes(&it, "the configuration"))
}

fn source_of(file: &Path) -> Result<String, Failure> {
    let read = NamedFile::open(file).and_then(|it| it.text(NamedFile::LARGEST_TEXT));
    read.map(|it| it.to_string()).map_err(|error| {
        Failure::usage(format!(
            "the configuration {} cannot be read: {error}",
            file.display()
        ))
    })
}

fn count(apis: &[&str]) -> String {
    match apis {
        [] => "it configures no api yet".to_owned(),
        [one] => format!("it configures the api {one}"),
        many => format!("it configures the apis {}", many.join(", ")),
    }
}

#[cfg(test)]
mod tests;
