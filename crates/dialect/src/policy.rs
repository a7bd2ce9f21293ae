//! What a dialect states besides its wire format: which sides it is for, which lifetimes
//! and limits its vendor has, and how a client should react to its refusals.

use std::time::Duration;

use countersign_domain::Refusal;

use crate::Variant;

/// A side for which a dialect file is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialectSide {
    /// An issuer can answer in it.
    pub issuer: bool,
    /// A client can call in it.
    pub client: bool,
}

/// The vendor's lifetimes and limits: the defaults of an api with this dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorPreset {
    /// The lifetime of an access token.
    pub access: Duration,
    /// The lifetime of a refresh token.
    pub refresh: Duration,
    /// The lifetime of a session, however often it is refreshed.
    pub absolute: Duration,
    /// How many requests one access token may make; `None` for any number.
    pub budget: Option<u32>,
    /// How many unauthenticated requests one address may make within a minute.
    pub anonymous_per_minute: Option<u32>,
    /// How often one account may log in within a minute.
    pub logins_per_minute: Option<u32>,
    /// After how many wrong secrets in a row a login is locked.
    pub lock_after: Option<u32>,
}

/// The lifetimes that `[preset]` states. Those that it does not state are, in a
/// [`VendorPreset`], this program's defaults and not the vendor's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PresetLifetimes {
    /// The lifetime of an access token.
    pub access: Option<Duration>,
    /// The lifetime of a refresh token.
    pub refresh: Option<Duration>,
    /// The lifetime of a session, however often it is refreshed.
    pub absolute: Option<Duration>,
}

/// The presets of a dialect: the general one, and those of variants that differ.
#[derive(Debug)]
pub(crate) struct VendorPresets {
    pub(crate) usual: VendorPreset,
    pub(crate) own: Vec<(Variant, VendorPreset)>,
}

/// What a client does when the reply to a refresh was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostRefresh {
    /// It sends the same refresh token again.
    Retry,
    /// It logs in again: this vendor punishes a second use of a refresh token.
    Login,
}

/// How a client should behave where vendors differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPolicy {
    /// What to do after a lost refresh.
    pub lost_refresh: LostRefresh,
    /// The refusals of a guarded request after which a new access token may help.
    pub expired: Vec<Refusal>,
    /// Each use of an access token extends its life to this long after the use; it has no
    /// fixed expiry time.
    pub sliding: Option<Duration>,
}
