//! What a node prints once its listeners are bound: its addresses, the admin key if it is new, and
//! for a demo `curl` commands and `demo.json`.

use std::io::IsTerminal;

use countersign_dialect::Secret;
use serde_json::{Value, json};

use super::data::DataDirectory;
use super::demo;
use super::listeners::{Listeners, url};
use super::opening::OpenedNode;
use crate::config::ServerSection;
use crate::exit::Failure;

/// Where a node is and what opens its admin API.
pub(crate) struct Ready {
    /// The API's URL.
    pub(crate) listen: String,
    /// The admin API's URL.
    pub(crate) admin: String,
    /// The URL of the probes, if they have one of their own.
    pub(crate) probes: Option<String>,
    /// The admin API's key.
    pub(crate) admin_key: Secret,
    /// Whether the key was made at this start, and so is to be shown.
    pub(crate) key_is_new: bool,
}

impl Ready {
    /// Where these listeners are.
    pub(super) fn at(
        listeners: &Listeners,
        server: &ServerSection,
        admin_key: Secret,
    ) -> Result<Self, Failure> {
        let probes = listeners.probes.as_ref().map(|it| url(it, false));
        Ok(Self {
            listen: url(&listeners.api, server.tls.is_some())?,
            admin: url(&listeners.admin, server.admin_tls.is_some())?,
            probes: probes.transpose()?,
            admin_key,
            key_is_new: false,
        })
    }

    /// The text for people, and the text of `demo.json` if this is a demo.
    pub(crate) fn words(
        &self,
        directory: &DataDirectory,
        opened: &OpenedNode,
    ) -> Result<(String, Option<String>), Failure> {
        let mut text = format!("API    {}\nadmin  {}\n", self.listen, self.admin);
        if let Some(probes) = &self.probes {
            text.push_str(&format!("probes {probes}\n"));
        }
        if self.key_is_new {
            text.push_str(&self.new_key(directory, std::io::stdout().is_terminal()));
        }
        let Some(demo) = &opened.demo else {
            return Ok((text, None));
        };
        text.push('\n');
        text.push_str(demo::NOTICE);
        text.push('\n');
        text.push_str(&demo.curl_lines(&self.listen, &opened.loaded.apis));
        let manifest = demo.manifest(&self.listen, &self.admin, &self.admin_key);
        let manifest = serde_json::to_string_pretty(&manifest).map_err(Failure::bug)?;
        Ok((text, Some(manifest)))
    }

    /// What is said of a new admin key. It is shown to a person only: what is not a
    /// terminal may be a file or a journal that others read.
    fn new_key(&self, directory: &DataDirectory, on_a_terminal: bool) -> String {
        let file = directory.admin_key_file();
        let file = file.display();
        match on_a_terminal {
            true => format!(
                "admin key, shown this once and kept in {file}:\n  {}\n",
                self.admin_key.expose()
            ),
            false => format!("The admin key is new, and is kept in {file}.\n"),
        }
    }

    /// The same for `--json`, without any secret.
    pub(crate) fn document(&self, directory: &DataDirectory) -> Value {
        json!({
            "listen": self.listen,
            "admin": self.admin,
            "probes": self.probes,
            "admin_key_file": directory.admin_key_file(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_admin_key_is_shown_on_a_terminal_only() {
        let place = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(&place.path().join("data")).unwrap();
        let ready = Ready {
            listen: String::new(),
            admin: String::new(),
            probes: None,
            admin_key: Secret::from("planted-key"),
            key_is_new: true,
        };
        assert!(ready.new_key(&directory, true).contains("planted-key"));
        let told = ready.new_key(&directory, false);
        assert!(
            !told.contains("planted-key") && told.contains("admin.key"),
            "{told}"
        );
    }
}
