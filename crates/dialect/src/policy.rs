//! What a dialect says beside its wire format: for whom it is, which lifetimes
//! and limits its vendor has, and how a client should take its refusals.

use std::time::Duration;

use countersign_domain::Refusal;

use crate::Variant;

/// For which side a dialect file is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialectSide {
    /// An issuer can answer in it.
    pub issuer: bool,
    /// A client can call in it.
    pub client: bool,
}

/// The vendor's lifetimes and limits: defaults for an api that speaks the
/// dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorPreset {
    /// The life of an access token.
    pub access: Duration,
    /// The life of a refresh token.
    pub refresh: Duration,
    /// The life of a session, however often it is refreshed.
    pub absolute: Duration,
    /// Requests that one access token may make; `None` for any number.
    pub budget: Option<u32>,
    /// Unauthenticated requests a minute from one address.
    pub anonymous_per_minute: Option<u32>,
    /// Logins a minute of one account.
    pub logins_per_minute: Option<u32>,
    /// Wrong secrets in a row after which a login is locked.
    pub lock_after: Option<u32>,
}

/// The lives that `[preset]` states. Where it states none, those of a [`VendorPreset`]
/// are this program's own, and no vendor's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatedLives {
    /// The life of an access token.
    pub access: Option<Duration>,
    /// The life of a refresh token.
    pub refresh: Option<Duration>,
    /// The life of a session, however often it is refreshed.
    pub absolute: Option<Duration>,
}

/// The presets of a dialect: the usual one, and those of variants that differ.
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
    /// It logs in again: this vendor punishes a second use.
    Login,
}

/// How a client of the vendor behaves where vendors differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPolicy {
    /// What to do after a lost refresh.
    pub lost_refresh: LostRefresh,
    /// The refusals of a guarded request that a fresh access token may cure.
    pub expired: Vec<Refusal>,
    /// The access token lives on by this much with each use, instead of to a
    /// fixed end.
    pub sliding: Option<Duration>,
}
