//! Which profile a command is for.

use std::path::PathBuf;

use countersign_client::profile::{ProfilesFault, UserPaths};
use countersign_client::{Profile, Profiles};
use countersign_dialect::Mistakes;

use super::failure::failure;
use crate::command_log;
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
        self.profiles
            .clone()
            .or_else(|| UserPaths::of_current_user().profiles)
    }

    /// All of them, whether they can be used or not.
    pub(crate) fn all(&self) -> Result<Profiles, Failure> {
        let found = Profiles::find(self.profiles.as_deref(), &UserPaths::of_current_user());
        found.map_err(|fault| match fault {
            ProfilesFault::Mistakes(mistakes) => Failure::mistakes(&mistakes, "the profiles"),
            other => {
                let help = other.help();
                Failure::usage(other).with_help_of(help)
            }
        })
    }

    /// The one with this name. Who uses it learns of mistakes in others.
    pub(super) fn named(&self, name: &str) -> Result<Profile, Failure> {
        let all = self.all()?;
        let profile = one(&all, name)?.clone();
        warn_of_mistakes(&all, |other| other != name);
        Ok(profile)
    }

    /// Those with these names; all of them, if there are none.
    pub(super) fn some(&self, names: &[String]) -> Result<SelectedProfiles, Failure> {
        let all = self.all()?;
        let profiles = match names.is_empty() {
            true => all.iter().cloned().collect(),
            false => {
                let named = names.iter().map(|name| one(&all, name).cloned());
                named.collect::<Result<Vec<_>, _>>()?
            }
        };
        let is_whole = names.is_empty();
        // Without names what is wrong is among what is shown.
        warn_of_mistakes(&all, |other| {
            !is_whole && !names.iter().any(|it| it == other)
        });
        let faults = all.faults().filter(|_| is_whole);
        Ok(SelectedProfiles {
            profiles,
            faults: faults
                .map(|(name, it)| (name.to_owned(), it.clone()))
                .collect(),
            known: all.names().map(str::to_owned).collect(),
            is_whole,
        })
    }
}

/// Profiles that a command is about.
pub(super) struct SelectedProfiles {
    pub(super) profiles: Vec<Profile>,
    /// Those that it would be about, could they be used.
    pub(super) faults: Vec<(String, Mistakes)>,
    /// The names of all profiles of the file.
    pub(super) known: Vec<String>,
    /// Whether it is about all profiles of the file.
    pub(super) is_whole: bool,
}

impl SelectedProfiles {
    /// What is wrong with those that cannot be used.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        let all = self.faults.iter().flat_map(|(_, mistakes)| &mistakes.0);
        let all: Vec<_> = all.cloned().collect();
        match all.is_empty() {
            true => Ok(()),
            false => Err(Failure::mistakes(&Mistakes(all), "the profiles")),
        }
    }
}

/// A profile that can be used.
pub(crate) fn one<'p>(all: &'p Profiles, name: &str) -> Result<&'p Profile, Failure> {
    let fault = all.faults().find(|(faulty, _)| *faulty == name);
    if let Some((_, mistakes)) = fault {
        return Err(Failure::mistakes(mistakes, &format!("the profile {name}")));
    }
    all.profile(name).map_err(|it| failure(&it))
}

fn warn_of_mistakes(all: &Profiles, concerns: impl Fn(&str) -> bool) {
    for (name, mistakes) in all.faults().filter(|(name, _)| concerns(name)) {
        let first = mistakes.0.first().map(ToString::to_string);
        let more = match mistakes.0.len() {
            0 | 1 => String::new(),
            number => format!(" (and {} more)", number - 1),
        };
        let first = first.unwrap_or_default();
        command_log::warn(&format!(
            "the profile {name} cannot be used as it is written: {first}{more}"
        ));
    }
    for mistake in all.stray() {
        command_log::warn(&mistake.to_string());
    }
}
