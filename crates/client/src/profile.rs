//! Profiles: how one API is called, as a person writes it in `profiles.toml`.
//!
//! A profile says where secrets are and contains none.

mod parse;
mod stale_session;
mod token_source;
mod user_paths;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_dialect::document::did_you_mean;
use countersign_dialect::{Dialect, Mistake, Mistakes, Secret, Variant};
use countersign_outbound::{ProxyRules, ServerUrl};
use http::Method;

use crate::warnings::warn;
use crate::{Error, ErrorKind, NamedFile};

pub use stale_session::StaleSession;
pub use user_paths::UserPaths;

/// How one API is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name, with which the names of its files begin.
    pub name: String,
    /// The file that contains it; `None` if it was not read from a file.
    pub origin: Option<PathBuf>,
    /// The dialect of the API.
    pub dialect: Arc<Dialect>,
    /// The variant of the dialect.
    pub variant: Variant,
    /// Where the API is: an `https` URL, or one on this machine, unless
    /// `danger_plain_http` is set.
    pub url: ServerUrl,
    /// Where the token endpoints are: at `url`, unless the profile says otherwise.
    pub auth_url: ServerUrl,
    /// Whether secrets and tokens may go over plain HTTP to another machine.
    pub danger_plain_http: bool,
    /// The login.
    pub login: String,
    /// Where the login's secret is.
    pub secret: SecretPlace,
    /// Extra parts of the credential, by the names that the dialect gives them.
    pub extra: BTreeMap<String, ExtraPart>,
    /// Where the session is stored.
    pub storage: SessionStorage,
    /// How many requests one access token may make, according to the profile or else
    /// the dialect.
    pub budget: Option<u32>,
    /// A PEM file with the authorities to trust, instead of the system's.
    pub roots: Option<PathBuf>,
    /// The proxy to the API; `None` for the one that the environment names.
    pub proxy: Option<ProxyRules>,
    /// Whether the secret may be sent as static key when no token can be obtained.
    pub static_key: bool,
    /// Which requests a sidecar forwards; all if it is empty.
    pub allow: Vec<AllowedRequest>,
    /// A file with the key that callers of a sidecar must present.
    pub key_file: Option<PathBuf>,
    /// The address on which a sidecar listens, as it is written.
    pub listen: Option<String>,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    /// In a file.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
    /// On the standard output of a command, whose first word is the program.
    Command(Vec<String>),
    /// Nowhere: `countersign login` asks a person for it, and the session lasts as
    /// long as its refresh tokens do.
    Asked,
}

/// An extra part of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtraPart {
    /// The value itself.
    Literal(Secret),
    /// Stored elsewhere, like the secret.
    Kept(SecretPlace),
}

impl Profile {
    /// Whether its text has secrets in it, as far as can be known: parts of the credential
    /// that are written out, or the login at a proxy.
    fn holds_secrets(&self) -> bool {
        let mut extra = self.extra.values();
        extra.any(|part| matches!(part, ExtraPart::Literal(_)))
            || self.proxy.as_ref().is_some_and(ProxyRules::has_login)
    }
}

/// Where a session is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionStorage {
    /// In memory, until the process ends.
    Memory,
    /// In a sealed file, which all processes of the user share.
    File {
        /// The file.
        path: PathBuf,
        /// Where the key is that seals it.
        key: KeyPlace,
    },
}

/// Where the key is that seals session files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// In the user's own key file, which is created when it is first needed.
    Own(PathBuf),
    /// In an existing file.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
    /// In the keyring of the user's desktop.
    Keyring,
}

/// Which requests a sidecar forwards; all if it is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedRequest {
    /// The method; `None` for all.
    pub method: Option<Method>,
    /// The path pattern.
    pub path: String,
}

/// The profiles of a file. Mistakes in one of them do not affect the others.
#[derive(Clone, Debug)]
pub struct Profiles {
    origin: String,
    profiles: BTreeMap<String, Result<Profile, Mistakes>>,
    /// Mistakes that are in no profile.
    stray: Vec<Mistake>,
}

/// Why no profiles can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfilesFault {
    /// No profiles file is named, and there is none to look for.
    #[error("no profiles file is named, and there is no home directory to look for one")]
    Nowhere,
    /// There is no such file.
    #[error("the file of profiles, {0}, does not exist")]
    Missing(String),
    /// The file cannot be read.
    #[error("{file} cannot be read: {why}")]
    Unreadable {
        /// The file.
        file: String,
        /// The system's message.
        why: String,
    },
    /// Others can write the file, and could have it send the user's secrets to a
    /// server of theirs.
    #[error("others can write {0}")]
    Exposed(String),
    /// It has mistakes.
    #[error("{0}")]
    Mistakes(Mistakes),
}

impl ProfilesFault {
    /// What to do about it, if there is something to do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Nowhere => Some("use --profiles FILE or COUNTERSIGN_PROFILES".to_owned()),
            Self::Missing(_) => Some(format!(
                "create it, or name another file with --profiles FILE or \
                 COUNTERSIGN_PROFILES.\n{SAMPLE}"
            )),
            Self::Exposed(file) => Some(format!("run `chmod go-w {file}`, and check its content")),
            Self::Unreadable { .. } | Self::Mistakes(_) => None,
        }
    }
}

/// An example for a user who has no profiles yet.
const SAMPLE: &str = "A file with one profile looks like this (a dialect is one of `countersign \
dialect list`, or a file):\n
[pay]
dialect = \"b2binpay\"
url = \"https://api.b2binpay.com\"
login = \"your-login\"
secret_file = \"pay.secret\"    # beside this file, with mode 0600
";

impl From<ProfilesFault> for Error {
    fn from(fault: ProfilesFault) -> Self {
        Self::new(ErrorKind::Setup, fault.to_string()).with_help_of(fault.help())
    }
}

impl Profiles {
    /// Reads the file that is named on the command line, or else the one that the
    /// user's environment names, or else the one in the user's configuration
    /// directory.
    ///
    /// # Errors
    ///
    /// There is no such file, it cannot be read, or others can write it; or it is not
    /// possible to say where a profile begins.
    pub fn find(named: Option<&Path>, places: &UserPaths) -> Result<Self, ProfilesFault> {
        let path = named.or(places.profiles.as_deref());
        Self::load(path.ok_or(ProfilesFault::Nowhere)?, places)
    }

    /// Reads a file, which nobody else may be able to write.
    ///
    /// # Errors
    ///
    /// The file does not exist, cannot be read, or can be written by others; or it is
    /// not possible to say where a profile begins.
    pub fn load(path: &Path, places: &UserPaths) -> Result<Self, ProfilesFault> {
        let origin = path.display().to_string();
        let text = private_text(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => ProfilesFault::Missing(origin.clone()),
            _ => ProfilesFault::Unreadable {
                file: origin.clone(),
                why: error.to_string(),
            },
        })?;
        let (text, is_readable) = text.ok_or_else(|| ProfilesFault::Exposed(origin.clone()))?;
        let base = path.parent().unwrap_or(Path::new(""));
        let mut read =
            Self::parse(&text, &origin, base, places).map_err(ProfilesFault::Mistakes)?;
        let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        for profile in read.profiles.values_mut().flatten() {
            profile.origin = Some(whole.clone());
        }
        if is_readable && read.iter().any(Profile::holds_secrets) {
            warn(&format!(
                "others can read {origin}, which contains secrets: run `chmod 600 {origin}`"
            ));
        }
        Ok(read)
    }

    /// Reads a text. `origin` names it in messages, and paths of files are relative
    /// to `base`. A mistake in the text, or in a dialect file that it names, affects
    /// only the profile that it is in.
    ///
    /// # Errors
    ///
    /// It is not possible to say where a profile begins.
    pub fn parse(
        text: &str,
        origin: &str,
        base: &Path,
        places: &UserPaths,
    ) -> Result<Self, Mistakes> {
        let read = parse::profiles(text, origin, base, places)?;
        Ok(Self {
            origin: origin.to_owned(),
            profiles: read.profiles,
            stray: read.stray,
        })
    }

    /// The profile with this name.
    ///
    /// # Errors
    ///
    /// There is no such profile, or it has mistakes.
    pub fn profile(&self, name: &str) -> Result<&Profile, Error> {
        let unusable = |mistakes: &Mistakes| {
            let message =
                format!("the profile {name} cannot be used as it is written:\n{mistakes}");
            Error::new(ErrorKind::Setup, message)
        };
        let found = self.profiles.get(name).ok_or_else(|| {
            let known = self.profiles.keys().map(String::as_str);
            let help = did_you_mean(name, known).unwrap_or_else(|| match self.profiles.len() {
                0 => "the file has none yet".to_owned(),
                _ => format!("it has {}", self.names().collect::<Vec<_>>().join(", ")),
            });
            let message = format!("there is no profile {name:?} in {}", self.origin);
            Error::new(ErrorKind::Setup, message).with_help(help)
        })?;
        found.as_ref().map_err(unusable)
    }

    /// The names of all profiles, sorted, with those that cannot be used.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.profiles.keys().map(String::as_str)
    }

    /// The profiles that can be used, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.values().flatten()
    }

    /// The profiles that cannot be used, by name, and why.
    pub fn faults(&self) -> impl Iterator<Item = (&str, &Mistakes)> {
        let all = self.profiles.iter();
        all.filter_map(|(name, it)| Some((name.as_str(), it.as_ref().err()?)))
    }

    /// The mistakes that are in no profile.
    pub fn stray(&self) -> &[Mistake] {
        &self.stray
    }
}

/// Reads a file, and whether others can read it, too; `None` if others can write it.
/// What is not UTF-8 is replaced, which the parser notices.
fn private_text(path: &Path) -> std::io::Result<Option<(String, bool)>> {
    let file = NamedFile::open(path)?;
    let mode = file.metadata().permissions().mode();
    // The null device has nothing to protect.
    let mode = if path == Path::new("/dev/null") {
        0
    } else {
        mode
    };
    if mode & 0o022 != 0 {
        return Ok(None);
    }
    let bytes = file.bytes(NamedFile::LARGEST_TEXT)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Some((text, mode & 0o044 != 0)))
}

#[cfg(test)]
mod tests;
