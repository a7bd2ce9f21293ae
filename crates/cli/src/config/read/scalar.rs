//! Values of one word.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_dialect::document::TomlValue;

/// An address and port.
pub(super) fn address(value: Option<TomlValue<'_>>) -> Option<SocketAddr> {
    let value = value?;
    let parsed = value.text()?.parse().ok();
    if parsed.is_none() {
        value.blame("is no address and port like 127.0.0.1:8080", None);
    }
    parsed
}

/// A number of things.
pub(super) fn number(value: Option<TomlValue<'_>>, least: i64, most: i64) -> Option<usize> {
    usize::try_from(value?.integer(least, most)?).ok()
}

/// A number of things, of which there is at least one.
pub(super) fn count(value: Option<TomlValue<'_>>) -> Option<NonZeroU32> {
    let most = i64::from(u32::MAX);
    NonZeroU32::new(u32::try_from(value?.integer(1, most)?).ok()?)
}

/// A span of time, not nothing.
pub(super) fn positive(value: &TomlValue<'_>) -> Option<Duration> {
    let span = value.duration()?;
    if span.is_zero() {
        value.blame("must be more than nothing", None);
        return None;
    }
    Some(span)
}

/// A file, from `base` on unless its path is absolute.
pub(super) fn file(value: &TomlValue<'_>, base: &Path) -> Option<PathBuf> {
    match value.text()? {
        "" => {
            value.blame("names no file", None);
            None
        }
        text => Some(base.join(text)),
    }
}
