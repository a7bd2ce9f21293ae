//! The stored state of a session: all that a restarted client, or another process,
//! needs to continue where this one stopped.
//!
//! All instants are by the client's own clock, unless they say otherwise.

use countersign_dialect::{ExtraParts, Secret};
use countersign_domain::{Refusal, Timestamp, TokenOperation};

/// The state of a session on the client's side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionRecord {
    /// Goes up by one with each write: a writer says which one it has read.
    pub serial: u64,
    /// The tokens at hand.
    pub tokens: Option<TokenSet>,
    /// Requests that were set aside of the access token's budget, by all
    /// processes together.
    pub spent: u32,
    /// Access tokens in a row that the vendor refused soon after it granted them. The
    /// more there were, the longer the next one is used although it is refused.
    pub rejected: u32,
    /// The request that was sent to the vendor, until its outcome is known. It is
    /// written before the request is sent.
    pub attempt: Option<RequestAttempt>,
    /// The last failure, until something succeeds.
    pub failure: Option<RenewalFailure>,
}

/// The tokens at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSet {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token, if the vendor granted one.
    pub refresh_token: Option<Secret>,
    /// When the request that brought this access token was sent: its life counts from
    /// here.
    pub asked_at: Timestamp,
    /// Until when the access token is used: a little less than its life.
    pub expires_at: Timestamp,
    /// When the access token expires according to the vendor, by the vendor's clock;
    /// `None` if an older release did not record that.
    pub stated_expires_at: Option<Timestamp>,
    /// Until when the refresh token is used, if the vendor says when it expires.
    pub refresh_expires_at: Option<Timestamp>,
    /// When the refresh token expires according to the vendor, if it says so.
    pub stated_refresh_expires_at: Option<Timestamp>,
    /// When the session began.
    pub logged_in_at: Timestamp,
    /// The numeric id of the account, if the vendor states it.
    pub client_id: Option<u64>,
    /// The login as the vendor's reply states it.
    pub login: Option<String>,
    /// Extra parts of the token, which are presented with it.
    pub extra: ExtraParts,
}

/// A request to the vendor whose outcome is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestAttempt {
    /// A login or a refresh.
    pub operation: TokenOperation,
    /// When it was first sent with this refresh token.
    pub asked_at: Timestamp,
}

/// Why a request for tokens failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalFailure {
    /// What was requested.
    pub operation: TokenOperation,
    /// The vendor's refusal; `None` if there was no reply, or one that the dialect
    /// does not explain.
    pub refusal: Option<Refusal>,
    /// The HTTP status, if there was one.
    pub status: Option<u16>,
    /// What happened, in words that contain no secret.
    pub detail: String,
    /// What to do about it, if there is something to do.
    pub help: Option<String>,
    /// When it happened last.
    pub at: Timestamp,
    /// How often it happened in a row.
    pub times: u32,
    /// How many logins in a row the vendor refused with the same secret, even if
    /// something else failed in between.
    pub refused: u32,
    /// How many secrets in a row the vendor refused, each another one than before.
    pub secrets: u32,
    /// No request is sent before this instant.
    pub retry_at: Timestamp,
    /// A fingerprint of the secret that was used, which does not reveal it: another
    /// secret is tried at once.
    pub secret: Option<[u8; 8]>,
}
