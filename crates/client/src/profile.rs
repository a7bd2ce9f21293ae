//! Profiles: how one API is called, as a person writes it in `profiles.toml`.
//!
//! A profile names where secrets are and holds none.

mod parse;
mod token_source;
mod user_paths;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_dialect::document::did_you_mean;
use countersign_dialect::{Dialect, Mistake, Mistakes, Secret, Variant};
use countersign_outbound::{ProxyRules, ServerUrl};
use http::Method;

use crate::{Error, ErrorKind};

pub use user_paths::UserPaths;

/// How one API is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name, which is also the beginning of that of its files.
    pub name: String,
    /// The file that it stands in; `None` if it was not read from one.
    pub origin: Option<PathBuf>,
    /// What is spoken.
    pub dialect: Arc<Dialect>,
    /// Which form of it.
    pub variant: Variant,
    /// Where the API is. It is `https`, or on this machine, but for
    /// `danger_plain_http`.
    pub url: ServerUrl,
    /// Where the token endpoints are: at `url`, unless the profile says otherwise.
    pub auth_url: ServerUrl,
    /// Whether secrets and tokens may go over plain HTTP to another machine.
    pub danger_plain_http: bool,
    /// Who logs in.
    pub login: String,
    /// Where the login's secret is.
    pub secret: SecretPlace,
    /// Further parts of the credential, by the dialect's names for them.
    pub extra: BTreeMap<String, ExtraPart>,
    /// Where the session is kept.
    pub storage: SessionStorage,
    /// Requests that one access token may make: what the profile says, or else
    /// the dialect.
    pub budget: Option<u32>,
    /// A PEM file with the authorities to trust, instead of the system's.
    pub roots: Option<PathBuf>,
    /// Through which proxy the API is reached; `None` for what the environment says.
    pub proxy: Option<ProxyRules>,
    /// Whether the secret may be sent as static key when no token can be had.
    pub static_key: bool,
    /// What may be called through a sidecar; everything if it is empty.
    pub allow: Vec<AllowedRequest>,
    /// A file with the key that a sidecar asks its callers for.
    pub key_file: Option<PathBuf>,
    /// Where a sidecar listens, as it is written.
    pub listen: Option<String>,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    /// In a file.
    File(PathBuf),
    /// In a variable of the environment.
    Env(String),
    /// On the standard output of a command, whose first word is the program.
    Command(Vec<String>),
    /// Nowhere: `countersign login` asks a person for it, and the session goes on
    /// as long as its refresh tokens do.
    Asked,
}

/// A further part of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtraPart {
    /// As it stands in the file of profiles.
    Literal(Secret),
    /// Kept elsewhere, as the secret is.
    Kept(SecretPlace),
}

/// Where a session is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionStorage {
    /// In memory, and no longer than the process.
    Memory,
    /// In a sealed file, with all processes of the user.
    File {
        /// The file.
        path: PathBuf,
        /// Where the key that seals it is.
        key: KeyPlace,
    },
}

/// Where the key is that seals what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// In the user's own key file, which is made when it is first needed.
    Own(PathBuf),
    /// In a file that is there.
    File(PathBuf),
    /// In a variable of the environment.
    Env(String),
    /// In the keyring of the user's desktop.
    Keyring,
}

/// What may be called through a sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedRequest {
    /// The method; `None` for all.
    pub method: Option<Method>,
    /// The pattern of paths.
    pub path: String,
}

/// The profiles of a file. What is wrong with one of them does not stop the
/// others.
#[derive(Clone, Debug)]
pub struct Profiles {
    origin: String,
    profiles: BTreeMap<String, Result<Profile, Mistakes>>,
    /// What is wrong with the file and concerns no profile.
    stray: Vec<Mistake>,
}

/// Why there are no profiles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfilesFault {
    /// Nobody says where they are.
    #[error(
        "no file of profiles is named and there is no home to look in: use --profiles FILE or \
         COUNTERSIGN_PROFILES"
    )]
    Nowhere,
    /// There is no such file.
    #[error(
        "there is no {0}: write one, or name another with --profiles FILE or COUNTERSIGN_PROFILES.\n\
         {SAMPLE}"
    )]
    Missing(String),
    /// The file cannot be read.
    #[error("{file} cannot be read: {why}")]
    Unreadable {
        /// The file.
        file: String,
        /// The system's words.
        why: String,
    },
    /// Others could send the secrets of this user to a server of theirs.
    #[error("others can write {0}: run `chmod go-w {0}`, and look at what it says")]
    Exposed(String),
    /// It cannot be used as it is written.
    #[error("{0}")]
    Mistakes(Mistakes),
}

/// What somebody who has no profiles yet can begin with.
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
        Self::new(ErrorKind::Setup, fault.to_string())
    }
}

impl Profiles {
    /// Those of the file that is named on the command line, else of the one that
    /// the user's environment names, else of the one in the user's configuration.
    pub fn find(named: Option<&Path>, places: &UserPaths) -> Result<Self, ProfilesFault> {
        let path = named.or(places.profiles.as_deref());
        Self::load(path.ok_or(ProfilesFault::Nowhere)?, places)
    }

    /// Those of a file, which nobody else may be able to write.
    pub fn load(path: &Path, places: &UserPaths) -> Result<Self, ProfilesFault> {
        let origin = path.display().to_string();
        let text = private_text(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => ProfilesFault::Missing(origin.clone()),
            _ => ProfilesFault::Unreadable {
                file: origin.clone(),
                why: error.to_string(),
            },
        })?;
        let text = text.ok_or_else(|| ProfilesFault::Exposed(origin.clone()))?;
        let base = path.parent().unwrap_or(Path::new(""));
        let mut read =
            Self::parse(&text, &origin, base, places).map_err(ProfilesFault::Mistakes)?;
        let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        for profile in read.profiles.values_mut().flatten() {
            profile.origin = Some(whole.clone());
        }
        Ok(read)
    }

    /// Those of a text; `origin` names it in messages, and a file that it names
    /// is looked for from `base` on. A mistake in the text, or in a dialect file
    /// that it names, is that of a profile, where it stands in one.
    ///
    /// # Errors
    ///
    /// There is no telling where a profile begins.
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
    /// There is none, or it cannot be used as it is written.
    pub fn profile(&self, name: &str) -> Result<&Profile, Error> {
        let unusable = |mistakes: &Mistakes| {
            let message =
                format!("the profile {name} cannot be used as it is written:\n{mistakes}");
            Error::new(ErrorKind::Setup, message)
        };
        let found = self.profiles.get(name).ok_or_else(|| {
            let known = self.profiles.keys().map(String::as_str);
            let meant = did_you_mean(name, known).unwrap_or_else(|| match self.profiles.len() {
                0 => "it has none".to_owned(),
                _ => format!("it has {}", self.names().collect::<Vec<_>>().join(", ")),
            });
            let message = format!("there is no profile {name:?} in {} ({meant})", self.origin);
            Error::new(ErrorKind::Setup, message)
        })?;
        found.as_ref().map_err(unusable)
    }

    /// Their names, sorted, with those that cannot be used.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.profiles.keys().map(String::as_str)
    }

    /// All that can be used, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.values().flatten()
    }

    /// Those that cannot be used, by name, and why.
    pub fn faults(&self) -> impl Iterator<Item = (&str, &Mistakes)> {
        let all = self.profiles.iter();
        all.filter_map(|(name, it)| Some((name.as_str(), it.as_ref().err()?)))
    }

    /// What is wrong with the file and stands in no profile.
    pub fn stray(&self) -> &[Mistake] {
        &self.stray
    }
}

/// `None` if others can write the file. What is no UTF-8 is replaced, and found by
/// who reads the text.
fn private_text(path: &Path) -> std::io::Result<Option<String>> {
    let mut file = File::open(path)?;
    if file.metadata()?.permissions().mode() & 0o022 != 0 {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests;
