//! The client's side: what is asked, and what an answer means.

use std::time::Duration;

use countersign_domain::{Refusal, Timestamp};

use crate::{Extra, Secret};

/// What a client has to ask with. An operation takes what its form needs; a
/// value that is not there is left out of the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asking<'a> {
    /// The login.
    pub login: Option<&'a str>,
    /// The secret of the login.
    pub secret: Option<&'a Secret>,
    /// The access token at hand.
    pub access_token: Option<&'a Secret>,
    /// The refresh token at hand.
    pub refresh_token: Option<&'a Secret>,
    /// Further parts.
    pub extra: Option<&'a Extra>,
}

/// What a vendor answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Understood {
    /// Fresh tokens.
    Granted(Granted),
    /// It is done; there is nothing to keep.
    Done,
    /// No.
    Refused(RefusedBy),
}

/// Fresh tokens, as a client reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token; `None` where the vendor has none, or the one at hand
    /// stays.
    pub refresh_token: Option<Secret>,
    /// When the access token ends.
    pub access_expires_at: Timestamp,
    /// When the refresh token ends, if the vendor tells.
    pub refresh_expires_at: Option<Timestamp>,
    /// The vendor's clock, if it tells.
    pub now: Option<Timestamp>,
    /// The numeric id of the account, if the vendor tells.
    pub client_id: Option<u64>,
    /// The login, if the vendor repeats it.
    pub login: Option<String>,
    /// Further parts of the token.
    pub extra: Extra,
}

/// A vendor's refusal, as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedBy {
    /// What it means.
    pub refusal: Refusal,
    /// The HTTP status.
    pub status: u16,
    /// When to come back.
    pub retry_after: Option<Duration>,
    /// The vendor's own code.
    pub code: Option<String>,
    /// The vendor's own words.
    pub detail: Option<String>,
    /// The field at fault.
    pub pointer: Option<String>,
}

/// An answer that the dialect does not explain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unintelligible {
    /// The body is not what the dialect says.
    #[error("the reply is not of the dialect: {0}")]
    Body(String),
    /// The reply's signature is wrong: it may not be the vendor's.
    #[error("the signature of the reply is wrong")]
    Signature,
    /// The end of the access token cannot be told.
    #[error("the reply does not tell when the access token ends: {0}")]
    Expiry(String),
    /// The dialect has no such operation in this variant.
    #[error("the dialect has no such operation")]
    NoSuchOperation,
}
