//! The manifest of a sandbox: where it is and what opens it, for tests in any
//! language and for `ctl`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::exit::Failure;
use crate::serve::data::write_private;

/// A manifest that stands in a file as long as its sandbox serves.
pub(super) struct Published {
    file: PathBuf,
    text: String,
}

impl Published {
    /// Writes it, for its owner only; that of an earlier sandbox is replaced.
    pub(super) fn write(file: &Path, manifest: &Value) -> Result<Self, Failure> {
        let text = format!("{manifest:#}\n");
        write_private(file, &text)?;
        Ok(Self {
            file: file.to_owned(),
            text,
        })
    }

    /// Where it is.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Takes it away, unless another sandbox has written its own there.
    pub(super) fn withdraw(self) {
        if fs::read_to_string(&self.file).is_ok_and(|text| text == self.text) {
            // One that stays leads nowhere.
            let _gone = fs::remove_file(&self.file);
        }
    }
}

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
        let text = fs::read_to_string(file).map_err(|error| {
            Failure::unavailable(format!(
                "the manifest {shown} cannot be read ({error}): is the sandbox running?"
            ))
        })?;
        let manifest: Value = serde_json::from_str(&text)
            .map_err(|error| Failure::usage(format!("{shown} is no manifest: {error}")))?;
        let member = |name: &str| {
            let text = manifest[name].as_str().map(str::to_owned);
            let missing = || Failure::usage(format!("{shown} is no manifest: it has no {name}"));
            text.ok_or_else(missing)
        };
        Ok(Self {
            url: member("control")?,
            key: member("control_key")?,
        })
    }
}
