//! The paths of a user's files: the XDG base directories, and the variables that
//! override them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::environment;

/// The variable that names the profiles file.
const PROFILES: &str = "COUNTERSIGN_PROFILES";

/// The paths of a user's files. One is `None` if it is unknown, for example for a
/// service without a home directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserPaths {
    /// The user's home directory, which `~/` stands for.
    pub home: Option<PathBuf>,
    /// The profiles file.
    pub profiles: Option<PathBuf>,
    /// The directory of the user's configuration.
    pub config: Option<PathBuf>,
    /// The directory of what the program stores between its runs.
    pub state: Option<PathBuf>,
}

impl UserPaths {
    /// The paths of the user who runs this process.
    pub fn of_current_user() -> Self {
        Self::from_variables(environment::variable)
    }

    /// The paths according to the variables `COUNTERSIGN_PROFILES`,
    /// `XDG_CONFIG_HOME`, `XDG_STATE_HOME` and `HOME`.
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name: &str| variable(name).map(PathBuf::from);
        // XDG Base Directory Specification, "Basics": "All paths set in these
        // environment variables must be absolute. If an implementation encounters a
        // relative path in any of these variables it should consider the path invalid
        // and ignore it."
        let absolute = |name: &str| path(name).filter(|it| it.is_absolute());
        let home = absolute("HOME");
        let base = |name: &str, usual: &str| {
            let base = absolute(name).or_else(|| Some(home.as_ref()?.join(usual)))?;
            Some(base.join("countersign"))
        };
        let config = base("XDG_CONFIG_HOME", ".config");
        let usual = config.as_ref().map(|it| it.join("profiles.toml"));
        Self {
            profiles: path(PROFILES).or(usual),
            state: base("XDG_STATE_HOME", ".local/state"),
            config,
            home,
        }
    }

    /// Resolves a path as a person writes it: `~/` is the home directory, and a
    /// relative path begins at `base`.
    pub(super) fn path(&self, written: &str, base: &Path) -> PathBuf {
        let at_home = written.strip_prefix("~/").zip(self.home.as_ref());
        at_home.map_or_else(|| base.join(written), |(rest, home)| home.join(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(environment: &[(&str, &str)]) -> UserPaths {
        UserPaths::from_variables(|name| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.into())
        })
    }

    fn path(text: &str) -> Option<PathBuf> {
        Some(text.into())
    }

    #[test]
    fn a_home_is_enough() {
        let places = places(&[("HOME", "/home/ann")]);
        assert_eq!(
            places.profiles,
            path("/home/ann/.config/countersign/profiles.toml")
        );
        assert_eq!(places.config, path("/home/ann/.config/countersign"));
        assert_eq!(places.state, path("/home/ann/.local/state/countersign"));
    }

    #[test]
    fn directories_of_xdg_go_before_the_home_unless_they_are_relative() {
        let places = places(&[
            ("HOME", "/home/ann"),
            ("XDG_CONFIG_HOME", "/etc/ann"),
            ("XDG_STATE_HOME", "state"),
        ]);
        assert_eq!(places.config, path("/etc/ann/countersign"));
        assert_eq!(places.state, path("/home/ann/.local/state/countersign"));
    }

    #[test]
    fn a_service_without_a_home_names_its_profiles() {
        let places = places(&[("COUNTERSIGN_PROFILES", "p.toml")]);
        assert_eq!(places.profiles, path("p.toml"));
        assert_eq!((places.config, places.state), (None, None));
    }

    #[test]
    fn a_tilde_is_the_home_and_a_relative_path_begins_at_the_file() {
        let places = places(&[("HOME", "/home/ann")]);
        for (written, meant) in [
            ("~/secret", "/home/ann/secret"),
            ("secret", "/etc/app/secret"),
            ("/run/secret", "/run/secret"),
            ("~ann/secret", "/etc/app/~ann/secret"),
        ] {
            let base = Path::new("/etc/app");
            assert_eq!(places.path(written, base), Path::new(meant), "{written}");
        }
    }
}
