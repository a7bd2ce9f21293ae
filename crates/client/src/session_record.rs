//! What is kept of a session: all that a restarted client, or another process,
//! needs to go on where this one stopped.
//!
//! Instants are of the client's own clock.

use countersign_dialect::{ExtraParts, Secret};
use countersign_domain::{Refusal, Timestamp, TokenOperation};

/// The state of a session on the client's side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionRecord {
    /// Goes up by one with each write: whoever writes says which one it read.
    pub serial: u64,
    /// The tokens at hand.
    pub tokens: Option<TokenSet>,
    /// Requests that were set aside of the access token's budget, by all
    /// processes together.
    pub spent: u32,
    /// Access tokens in a row that the vendor refused soon after it gave them:
    /// the more, the longer the next one is kept although it is refused.
    pub rejected: u32,
    /// What was asked of the vendor, until its outcome is known. Written before
    /// the request is sent.
    pub attempt: Option<RequestAttempt>,
    /// What went wrong last, until something goes right.
    pub failure: Option<RenewalFailure>,
}

/// Tokens at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSet {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token, if the vendor gave one.
    pub refresh_token: Option<Secret>,
    /// When the request that bought this access token was sent: its life counts
    /// from here.
    pub asked_at: Timestamp,
    /// When the access token can no longer be used, by the client's own clock and
    /// a little before its end.
    pub expires_at: Timestamp,
    /// When the access token ends, as the vendor told it, by its clock; `None` if
    /// an older release did not note that.
    pub stated_expires_at: Option<Timestamp>,
    /// When the refresh token can no longer be used, if the vendor tells.
    pub refresh_expires_at: Option<Timestamp>,
    /// When the refresh token ends, as the vendor told it, if it did.
    pub stated_refresh_expires_at: Option<Timestamp>,
    /// When the session began.
    pub logged_in_at: Timestamp,
    /// The numeric id of the account, if the vendor tells.
    pub client_id: Option<u64>,
    /// The login as the vendor repeats it.
    pub login: Option<String>,
    /// Further parts of the token, which go with it.
    pub extra: ExtraParts,
}

/// A request to the vendor whose outcome is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestAttempt {
    /// A login or a refresh.
    pub operation: TokenOperation,
    /// When it was sent for the first time with this refresh token.
    pub asked_at: Timestamp,
}

/// Why there are no fresh tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalFailure {
    /// What was asked for.
    pub operation: TokenOperation,
    /// The vendor's refusal; `None` if it did not answer, or not so that it could
    /// be understood.
    pub refusal: Option<Refusal>,
    /// The HTTP status, if there was one.
    pub status: Option<u16>,
    /// What happened, in words that hold no secret.
    pub detail: String,
    /// When it happened last.
    pub at: Timestamp,
    /// How often it happened in a row.
    pub times: u32,
    /// How many logins the vendor refused in a row with the same secret, also if
    /// something else went wrong in between.
    pub refused: u32,
    /// How many secrets the vendor refused in a row, each time another one than
    /// before.
    pub secrets: u32,
    /// Not to be tried again before.
    pub retry_at: Timestamp,
    /// Which secret it happened with (a fingerprint that tells nothing of it):
    /// another one is tried at once.
    pub secret: Option<[u8; 8]>,
}
