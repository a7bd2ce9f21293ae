//! `countersign version`, and `--version`: the versions of the program and of its parts.

use serde_json::json;

use crate::exit::Failure;
use crate::output::Output;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit, as far as the build could know it.
const COMMIT: Option<&str> = option_env!("COUNTERSIGN_COMMIT");
/// The day of the commit, or of `SOURCE_DATE_EPOCH`.
const DATE: Option<&str> = option_env!("COUNTERSIGN_DATE");
const TARGET: &str = env!("COUNTERSIGN_TARGET");

/// What can be built in or left out.
fn features() -> Vec<&'static str> {
    let keyring = cfg!(feature = "keyring").then_some("keyring");
    keyring.into_iter().collect()
}

/// Prints it.
pub(crate) fn run(output: &mut Output) -> Result<(), Failure> {
    let features = features();
    let document = json!({
        "version": VERSION,
        "commit": COMMIT,
        "date": DATE,
        "features": features,
        "target": TARGET,
        "debug": cfg!(debug_assertions),
    });
    let built = [COMMIT, DATE].into_iter().flatten().collect::<Vec<_>>();
    let mut text = format!("countersign {VERSION}");
    if !built.is_empty() {
        text.push_str(&format!(" ({})", built.join(" ")));
    }
    let with = match features.as_slice() {
        [] => "none".to_owned(),
        some => some.join(", "),
    };
    let build = if cfg!(debug_assertions) {
        ", a debug build"
    } else {
        ""
    };
    text.push_str(&format!("\nfeatures: {with}\ntarget: {TARGET}{build}\n"));
    output.document(&document, &text)
}
