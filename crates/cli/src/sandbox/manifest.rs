//! The manifest of a sandbox as `ctl` reads it: its address and its key.

use std::path::Path;

use countersign_client::NamedFile;
use serde_json::Value;

use crate::exit::Failure;

/// The members of a manifest that `ctl` needs.
pub(super) struct Control {
    /// Where the control endpoints are: `http://ADDRESS`.
    pub(super) url: String,
    /// What opens them.
    pub(super) key: String,
}

impl Control {
    /// Reads a manifest.
    pub(super) fn read(file: &Path) -> Result<Self, Failure> {
        let shown = file.display();
        let text = NamedFile::open(file)
            .and_then(|it| it.text(NamedFile::LARGEST_TEXT))
            .map_err(|error| {
                Failure::unavailable(format!("the manifest {shown} cannot be read ({error})"))
                    .with_help("is the sandbox running?")
            })?;
        let manifest: Value = serde_json::from_str(&text)
            .map_err(|error| Failure::usage(format!("{shown} is not a manifest: {error}")))?;
        let member = |name: &str| {
            let text = manifest[name].as_str().map(str::to_owned);
            let missing = || Failure::usage(format!("{shown} is not a manifest: it has no {name}"));
            text.ok_or_else(missing)
        };
        Ok(Self {
            url: member("control")?,
            key: member("control_key")?,
        })
    }
}
