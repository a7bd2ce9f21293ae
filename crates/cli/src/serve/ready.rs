//! What a node says once its listeners are bound: where it is, the admin key if
//! it is new, and for a demo `curl` lines and `demo.json`.

use countersign_dialect::Secret;
use serde_json::{Value, json};

use super::data::DataDirectory;
use super::listeners::{Listeners, url};
use super::opening::Opened;
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
        opened: &Opened,
    ) -> Result<(String, Option<String>), Failure> {
        let mut text = format!("API    {}\nadmin  {}\n", self.listen, self.admin);
        if let Some(probes) = &self.probes {
            text.push_str(&format!("probes {probes}\n"));
        }
        if self.key_is_new {
            text.push_str(&format!(
                "admin key, shown this once and kept in {}:\n  {}\n",
                directory.admin_key_file().display(),
                self.admin_key.expose()
            ));
        }
        let Some(demo) = &opened.demo else {
            return Ok((text, None));
        };
        text.push('\n');
        text.push_str(&demo.curl_lines(&self.listen, &opened.loaded.apis));
        let manifest = demo.manifest(&self.listen, &self.admin, &self.admin_key);
        let manifest = serde_json::to_string_pretty(&manifest).map_err(Failure::bug)?;
        Ok((text, Some(manifest)))
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
