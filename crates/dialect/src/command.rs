//! What crosses the issuer's side: commands in, grants and refusals out.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use countersign_domain::{Reason, Refusal, Timestamp, TokenOperation};

use crate::Secret;

/// Credential parts, or token parts, beyond the usual ones, by the name that
/// the dialect gives them.
pub type ExtraParts = BTreeMap<String, Secret>;

/// A form of the token endpoints that lives on together (B2BINPAY v2 and v3).
///
/// It is an index into one dialect; store it by [`crate::Dialect::variant_name`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Variant(pub(crate) u8);

/// Which form of which operation a peer asked in: what a reply needs to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AskedForm {
    /// The operation.
    pub operation: TokenOperation,
    /// The variant, which also selects the forms of the tokens.
    pub variant: Variant,
    pub(crate) form: u8,
}

/// A request of a token endpoint, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenCommand {
    /// Trade a login and secret for tokens.
    Login {
        /// Which form was used.
        asked: AskedForm,
        /// The login, folded as the dialect states; never empty.
        login: String,
        /// The secret; never empty.
        secret: Secret,
        /// Further parts of the credential.
        extra: ExtraParts,
    },
    /// Trade a refresh token for its successor.
    Refresh {
        /// Which form was used.
        asked: AskedForm,
        /// The refresh token; never empty.
        refresh_token: Secret,
        /// Login and secret, where the dialect wants them beside the token.
        credential: Option<(String, Secret)>,
        /// Further parts of the credential.
        extra: ExtraParts,
    },
    /// Revoke what an access token belongs to.
    Logout {
        /// Which form was used.
        asked: AskedForm,
        /// The access token; never empty.
        access_token: Secret,
    },
}

/// Why a request could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadRequest {
    /// The operation, as far as it could be told.
    pub operation: TokenOperation,
    /// The cause.
    pub reason: Reason,
    /// The JSON pointer of the field at fault.
    pub pointer: Option<String>,
    /// The cause in words, for the log; holds no value from the request.
    pub detail: String,
}

impl UnreadRequest {
    /// What the peer is told.
    pub fn refusal(&self) -> Refusal {
        self.reason.refusal(self.operation)
    }
}

/// What a path and method lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundEndpoint {
    /// The path is not one of this dialect's.
    NotMine,
    /// The path is, the method is not.
    WrongMethod {
        /// The operation at the path.
        operation: TokenOperation,
        /// The value of the `Allow` header (RFC 9110 section 10.2.1).
        allow: String,
    },
    /// An operation; the first at the path where its fields decide.
    Operation(TokenOperation),
}

/// An operation that a dialect serves, for listings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationInfo {
    /// The operation.
    pub operation: TokenOperation,
    /// The variant.
    pub variant: Variant,
    /// The method.
    pub method: http::Method,
    /// The path, as the dialect writes it.
    pub path: String,
    /// Whether the path is also served with or without its trailing slash.
    pub slash_optional: bool,
}

/// Fresh tokens, to be spelled. Its `Debug` leaves the tokens out.
#[derive(Clone, Copy)]
pub struct TokenGrant<'a> {
    /// The login that the session began with.
    pub login: &'a str,
    /// The numeric id of the account.
    pub client_id: u64,
    /// The access token.
    pub access_token: &'a str,
    /// The refresh token, if the variant has one.
    pub refresh_token: Option<&'a str>,
    /// When the access token ends.
    pub access_expires_at: Timestamp,
    /// When the refresh token ends.
    pub refresh_expires_at: Timestamp,
    /// The instant of the reply: what relative expiries count from.
    pub now: Timestamp,
    /// The secret of a login, where a reply signature needs it; without it the
    /// signature is empty.
    pub secret: Option<&'a Secret>,
}

impl fmt::Debug for TokenGrant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenGrant")
            .field("login", &self.login)
            .field("client_id", &self.client_id)
            .field("access_expires_at", &self.access_expires_at)
            .field("refresh_expires_at", &self.refresh_expires_at)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// A refusal, to be spelled.
#[derive(Clone, Copy, Debug)]
pub struct TokenRefusal<'a> {
    /// What was asked for.
    pub operation: TokenOperation,
    /// The refusal.
    pub refusal: Refusal,
    /// The field at fault.
    pub pointer: Option<&'a str>,
    /// When to come back; whole seconds on the wire, rounded up.
    pub retry_after: Option<Duration>,
    /// The methods that are served, for `method_not_allowed`.
    pub allow: Option<&'a str>,
}

impl<'a> TokenRefusal<'a> {
    /// A refusal with nothing beside it.
    pub const fn new(operation: TokenOperation, refusal: Refusal) -> TokenRefusal<'a> {
        TokenRefusal {
            operation,
            refusal,
            pointer: None,
            retry_after: None,
            allow: None,
        }
    }
}
