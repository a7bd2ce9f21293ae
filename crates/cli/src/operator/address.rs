//! Where the admin API is and which key opens it: what the command line says,
//! else what the environment says, else what the data directory says.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use countersign_client::NamedFile;
use countersign_dialect::Secret;
use countersign_outbound::TrustedRoots;
use countersign_transport::is_loopback_host;
use http::Uri;

use crate::admin_key_file;
use crate::exit::Failure;

/// How an operator command finds its server.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// The server's data directory; takes precedence over the environment [default: ./countersign-data]
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
}

/// The help that all operator commands share.
pub(crate) const FINDING: &str = "\
The server is found by COUNTERSIGN_ADMIN_URL and COUNTERSIGN_ADMIN_KEY_FILE, or by the files \
admin.url and admin.key in its data directory. Over https its certificate must be signed by an \
authority that the system trusts, or by one in the PEM file COUNTERSIGN_ADMIN_CA_FILE.";

/// An admin API that can be asked.
#[derive(Debug)]
pub(crate) struct Address {
    /// The URL, without a slash at its end.
    pub(crate) url: String,
    /// Who says so.
    pub(crate) source: String,
    /// The admin key.
    pub(crate) key: Secret,
    /// The file it came from.
    pub(crate) key_file: PathBuf,
    /// Whose certificates are believed, over https.
    pub(crate) roots: TrustedRoots,
}

const DEFAULT_DATA: &str = "countersign-data";

impl ServerArgs {
    /// Finds URL and key.
    pub(crate) fn address(&self) -> Result<Address, Failure> {
        let data = self.directory();
        let (url, source) = match self.variable("COUNTERSIGN_ADMIN_URL")? {
            Some(url) => (url, "COUNTERSIGN_ADMIN_URL".to_owned()),
            None => published(data)?,
        };
        let key_file = match self.variable("COUNTERSIGN_ADMIN_KEY_FILE")? {
            Some(file) => PathBuf::from(file),
            None => data.join("admin.key"),
        };
        Ok(Address {
            url: check_url(&url, &source)?,
            source,
            key: key(&key_file)?,
            key_file,
            roots: roots()?,
        })
    }

    /// The data directory.
    pub(crate) fn directory(&self) -> &Path {
        self.data.as_deref().unwrap_or(Path::new(DEFAULT_DATA))
    }

    /// A variable, unless the command line names a data directory.
    fn variable(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.data {
            Some(_) => Ok(None),
            None => environment(name),
        }
    }
}

/// A variable of the environment; an empty one is not set.
#[expect(
    clippy::disallowed_methods,
    reason = "where a server or sandbox is belongs to the configuration of what asks it"
)]
pub(crate) fn environment(name: &str) -> Result<Option<String>, Failure> {
    match std::env::var(name) {
        Ok(value) if value.trim().is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Failure::usage(format!("{name} is not UTF-8")))
        }
    }
}

/// The URL that a server writes into its data directory once it serves.
fn published(data: &Path) -> Result<(String, String), Failure> {
    let file = data.join("admin.url");
    match NamedFile::open(&file).and_then(|it| it.text(NamedFile::LARGEST_SECRET)) {
        Ok(text) => Ok((text.trim().to_owned(), file.display().to_string())),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Failure::unavailable(format!(
            "no server is known here: there is no {}",
            file.display()
        ))
        .with_help(
            "start one with `countersign serve`, name its data directory with --data, or set \
             COUNTERSIGN_ADMIN_URL and COUNTERSIGN_ADMIN_KEY_FILE",
        )),
        Err(error) => Err(unreadable(&file, &error)),
    }
}

const EXAMPLE: &str = "write the URL of the admin API, such as http://127.0.0.1:8081";

/// Over plain HTTP the key must not leave the machine.
fn check_url(text: &str, source: &str) -> Result<String, Failure> {
    let wrong = |why: &str| Failure::usage(format!("{text:?} (from {source}) {why}"));
    let Ok(uri) = text.trim().parse::<Uri>() else {
        return Err(wrong("is not a URL").with_help(EXAMPLE));
    };
    match (uri.scheme_str(), uri.host()) {
        (Some("http"), Some(host)) if !is_loopback_host(host) => Err(wrong(
            "is not on this machine, and plain HTTP would expose the admin key to eavesdroppers",
        )
        .with_help("write https, or use a tunnel to its loopback address")),
        (Some("http" | "https"), Some(_)) => Ok(text.trim().trim_end_matches('/').to_owned()),
        _ => Err(wrong("is not an http or https URL").with_help(EXAMPLE)),
    }
}

fn roots() -> Result<TrustedRoots, Failure> {
    let Some(file) = environment("COUNTERSIGN_ADMIN_CA_FILE")? else {
        return Ok(TrustedRoots::System);
    };
    let file = PathBuf::from(file);
    let pem = NamedFile::open(&file).and_then(|it| it.bytes(NamedFile::LARGEST_TEXT));
    let pem = pem.map_err(|error| unreadable(&file, &error))?;
    Ok(TrustedRoots::Pem(pem.to_vec()))
}

fn key(file: &Path) -> Result<Secret, Failure> {
    admin_key_file::read(file)?.ok_or_else(|| unreadable(file, &ErrorKind::NotFound.into()))
}

fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("{} cannot be read: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_goes_over_plain_http_to_this_machine_only() {
        for good in [
            "http://127.0.0.1:8081",
            "http://127.0.0.1:8081/",
            "http://localhost:1",
            "http://[::1]:8081",
            " http://127.9.9.9\n",
            "https://127.0.0.1",
            "https://admin.example.com:8443/",
        ] {
            let url = check_url(good, "test").unwrap();
            assert!(!url.ends_with('/') && url == url.trim(), "{url:?}");
        }
        for bad in [
            "",
            "127.0.0.1:8081",
            "https://",
            "http://192.0.2.1:8081",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "ftp://127.0.0.1",
            "http://",
            "http://a b",
        ] {
            assert!(check_url(bad, "test").is_err(), "{bad:?}");
        }
    }
}
