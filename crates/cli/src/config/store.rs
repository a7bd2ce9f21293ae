//! `[store]`: where the data is stored.

use std::path::PathBuf;
use std::time::Duration;

use super::kinds::{directory, span};
use super::setting::{SettingsTable, settings};

/// `[store]`.
#[derive(Debug)]
pub(crate) struct StoreSection {
    /// The data directory.
    pub(crate) data: PathBuf,
    /// By how much the system's clock may be ahead of the store's at startup before a
    /// warning is logged.
    pub(crate) clock_gap: Duration,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            data: PathBuf::from("./countersign-data"),
            clock_gap: Duration::from_secs(30 * 86_400),
        }
    }
}

/// The keys of `[store]`.
pub(super) fn store_settings() -> SettingsTable<StoreSection> {
    settings! { StoreSection, Stays:
        /// created with mode 0700 if it is missing
        data = directory(), at(data), flag("--data", |over| over.data.is_some());
        /// at startup, warn if the system clock is further ahead of the last change than this
        clock_gap = span(), at(clock_gap);
    }
}
