//! Which profile a command means.

use std::path::PathBuf;

use countersign_client::profile::{Places, ProfilesFault};
use countersign_client::{Profile, Profiles};

use super::failure::failure;
use crate::exit::Failure;

/// How a command finds the profiles.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ProfilesArgs {
    /// The file of profiles [default: COUNTERSIGN_PROFILES, else countersign/profiles.toml in the
    /// user's configuration directory]
    #[arg(long, value_name = "FILE")]
    profiles: Option<PathBuf>,
}

impl ProfilesArgs {
    /// The file that they are in.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        self.profiles.clone().or_else(|| Places::of_user().profiles)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Result<Profiles, Failure> {
        let found = Profiles::find(self.profiles.as_deref(), &Places::of_user());
        found.map_err(|fault| match fault {
            ProfilesFault::Mistakes(mistakes) => Failure::mistakes(&mistakes, "the profiles"),
            other => Failure::usage(other),
        })
    }

    /// The one with this name.
    pub(super) fn named(&self, name: &str) -> Result<Profile, Failure> {
        let all = self.all()?;
        all.profile(name).cloned().map_err(|it| failure(&it))
    }

    /// Those with these names; all of them, if there are none.
    pub(super) fn some(&self, names: &[String]) -> Result<Vec<Profile>, Failure> {
        let all = self.all()?;
        if names.is_empty() {
            return Ok(all.iter().cloned().collect());
        }
        let named = names.iter().map(|name| all.profile(name).cloned());
        named.collect::<Result<_, _>>().map_err(|it| failure(&it))
    }
}
