//! Why a stored session is not to be had, and what to do about it.

/// A stored session cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("{file} cannot be {what}: {why}")]
    Io {
        /// The file.
        file: String,
        /// What was tried: "read", "written", "locked".
        what: &'static str,
        /// The system's message.
        why: String,
    },
    /// Another key sealed the file. It is left unchanged.
    #[error(
        "{file} cannot be opened with this key: it is sealed with another key, and is left unchanged"
    )]
    Sealed {
        /// The file.
        file: String,
    },
    /// The file is not as it was written. The next process that locks it sets it
    /// aside.
    #[error("{file} is damaged: {why}; the next use sets it aside and logs in again")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// Others could read or change it.
    #[error("others can read or change {file}")]
    Exposed {
        /// The file.
        file: String,
        /// What to do.
        help: String,
    },
    /// There is no key to seal the file with.
    #[error("{why}")]
    Key {
        /// What is wrong with it.
        why: String,
        /// What to do.
        help: Option<String>,
    },
}

impl StoreError {
    pub(crate) fn key(why: impl Into<String>) -> Self {
        let why = why.into();
        Self::Key { why, help: None }
    }

    pub(crate) fn key_with_help(why: impl Into<String>, help: impl Into<String>) -> Self {
        let (why, help) = (why.into(), Some(help.into()));
        Self::Key { why, help }
    }

    /// What to do about it, if there is something to do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Sealed { .. } => {
                Some("bring back the key, or remove the file to log in again".to_owned())
            }
            Self::Exposed { help, .. } => Some(help.clone()),
            Self::Key { help, .. } => help.clone(),
            Self::Io { .. } | Self::Damaged { .. } => None,
        }
    }
}
