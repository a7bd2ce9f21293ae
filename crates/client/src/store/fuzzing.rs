//! What the fuzz targets reach of the stores. No part of the interface: it changes
//! without notice.

use super::record_json;
use super::seal::{SealKey, claimed_owner, is_first_format};
use super::session_owner::SessionOwner;
use crate::SessionRecord;

/// The key of the files that the targets open.
fn key() -> SealKey {
    SealKey::from_bytes(&[7; 32])
}

/// Opens a session file, in every way in which one is looked at. Gives what is in it.
pub fn open_file(file: &[u8]) -> Option<Vec<u8>> {
    let _ = (is_first_format(file), key().sealed_first_format(file));
    let claimed = claimed_owner(file);
    let opened = key().open_any(file).ok();
    let owner = claimed.unwrap_or_default();
    let own = key().open(&owner, file).ok();
    own.or(opened.map(|(_, plain)| plain))
        .map(|plain| plain.to_vec())
}

/// A session file that holds `plain`.
pub fn sealed_file(profile: &str, plain: &[u8]) -> Option<Vec<u8>> {
    let owner = SessionOwner {
        profile: profile.to_owned(),
        ..SessionOwner::default()
    };
    key().seal(&owner, plain).ok()
}

/// The record in what a session file holds.
pub fn record(plain: &[u8]) -> Option<SessionRecord> {
    record_json::decode(plain)
}

/// A record as a session file holds it.
pub fn plain(record: &SessionRecord) -> Option<Vec<u8>> {
    record_json::encode(record).ok().map(|plain| plain.to_vec())
}
