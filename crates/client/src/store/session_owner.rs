//! Who owns the session in a file, and how that file is named.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

/// Who owns the session in a file. It is readable, and authenticated, at the head of
/// the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionOwner {
    /// The name of the profile.
    pub profile: String,
    /// The file that contains the profile; empty if that is not known.
    pub profiles: String,
    /// Where the API is.
    pub url: String,
    /// Where the token endpoints are.
    pub auth_url: String,
    /// The login.
    pub login: String,
    /// The name of the dialect.
    pub dialect: String,
    /// Its variant.
    pub variant: String,
}

/// The suffix of every session file.
pub(super) const SUFFIX: &str = ".session";

impl SessionOwner {
    /// The owner that consists of a few words: profile, URL and login.
    pub(super) fn from_words(words: &[&str]) -> Self {
        let word = |index: usize| words.get(index).map_or("", |it| it).to_owned();
        let rest = words.get(2..).unwrap_or_default();
        Self {
            profile: word(0),
            url: word(1),
            auth_url: word(1),
            login: rest.join("\n"),
            ..Self::default()
        }
    }

    /// What tells one session from another. The dialect is not part of it: a dialect
    /// with another name speaks to the same vendor.
    fn identity(&self) -> [&str; 4] {
        [&self.profile, &self.auth_url, &self.url, &self.login]
    }

    /// Whether both own the same session.
    pub fn is_same_session(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    /// The file of the session in a directory, named after the profile, for people,
    /// and a hash of the owner.
    pub fn file(&self, directory: &Path) -> PathBuf {
        let mut text = Context::new(&SHA256);
        text.update(b"countersign session file");
        text.update(&in_lengths(&self.identity()));
        let hash = hex::encode(text.finish().as_ref().get(..8).unwrap_or_default());
        directory.join(format!("{}.{hash}{SUFFIX}", self.profile))
    }

    /// The file in which older releases stored the session, whatever its URL and
    /// login.
    pub(crate) fn former_file(&self, directory: &Path) -> PathBuf {
        directory.join(format!("{}{SUFFIX}", self.profile))
    }

    /// The owner as the first format authenticates it.
    pub(super) fn first_format_owner(&self) -> Vec<u8> {
        in_lengths(&[&self.profile, &self.auth_url, &self.login])
    }
}

/// Each word, with its length before it.
fn in_lengths(words: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in words {
        bytes.extend_from_slice(&(word.len() as u64).to_be_bytes());
        bytes.extend_from_slice(word.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> SessionOwner {
        SessionOwner::from_words(&["pay", "https://api.example", "ann"])
    }

    #[test]
    fn the_name_of_a_file_tells_profile_url_and_login_apart() {
        let directory = Path::new("/state");
        let file = |owner: &SessionOwner| owner.file(directory).display().to_string();
        let one = file(&owner());
        assert!(
            one.starts_with("/state/pay.") && one.ends_with(".session"),
            "{one}"
        );
        let changes: [fn(&mut SessionOwner); 4] = [
            |it| it.profile = "gift".into(),
            |it| it.url = "https://api.test".into(),
            |it| it.auth_url = "https://id.example".into(),
            |it| it.login = "bob".into(),
        ];
        for change in changes {
            let mut other = owner();
            change(&mut other);
            assert_ne!(file(&other), one);
            assert!(!other.is_same_session(&owner()));
        }
        let renamed = SessionOwner {
            dialect: "another".into(),
            profiles: "/elsewhere".into(),
            ..owner()
        };
        assert_eq!(file(&renamed), one);
    }

    #[test]
    fn no_word_runs_into_the_next() {
        let moved = SessionOwner::from_words(&["pay", "https://api.examplea", "nn"]);
        let directory = Path::new("/state");
        assert_ne!(moved.file(directory), owner().file(directory));
        assert_ne!(moved.first_format_owner(), owner().first_format_owner());
    }
}
