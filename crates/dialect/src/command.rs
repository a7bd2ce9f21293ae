//! What passes between the issuer and a dialect: commands in, grants and refusals out.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use countersign_domain::{Reason, Refusal, Timestamp, TokenOperation};

use crate::Secret;

/// Extra parts of a credential or token, by the names that the dialect gives them.
pub type ExtraParts = BTreeMap<String, Secret>;

/// One of several generations of an API that are served together (B2BINPAY v2 and v3).
///
/// It is an index into one dialect; to store it, use [`crate::Dialect::variant_name`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Variant(pub(crate) u8);

/// The form of the operation in which a peer sent its request: a reply needs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestedForm {
    /// The operation.
    pub operation: TokenOperation,
    /// The variant, which also selects the forms of the tokens.
    pub variant: Variant,
    pub(crate) form: u8,
}

/// A parsed request of a token endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenCommand {
    /// Exchange a login and secret for tokens.
    Login {
        /// Which form was used.
        asked: RequestedForm,
        /// The login, in the spelling in which it is looked up; never empty.
        login: String,
        /// The secret; never empty.
        secret: Secret,
        /// Extra parts of the credential.
        extra: ExtraParts,
    },
    /// Exchange a refresh token for its successor.
    Refresh {
        /// Which form was used.
        asked: RequestedForm,
        /// The refresh token; never empty.
        refresh_token: Secret,
        /// Login and secret, if the dialect requires them beside the token.
        credential: Option<(String, Secret)>,
        /// Extra parts of the credential.
        extra: ExtraParts,
    },
    /// Revoke what an access token belongs to.
    Logout {
        /// Which form was used.
        asked: RequestedForm,
        /// The access token; never empty.
        access_token: Secret,
    },
}

/// Why a request could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestReadError {
    /// The operation, if it could be determined.
    pub operation: TokenOperation,
    /// The cause.
    pub reason: Reason,
    /// The JSON pointer of the field that is at fault.
    pub pointer: Option<String>,
    /// The cause in words, for the log. It contains no value of the request.
    pub detail: String,
}

impl RequestReadError {
    /// The refusal that the peer receives.
    pub fn refusal(&self) -> Refusal {
        self.reason.refusal(self.operation)
    }
}

/// What is served at a path for a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundEndpoint {
    /// The dialect does not serve the path.
    NotMine,
    /// The dialect serves the path, but not with this method.
    WrongMethod {
        /// The operation at this path.
        operation: TokenOperation,
        /// The value of the `Allow` header (RFC 9110 section 10.2.1).
        allow: String,
    },
    /// An operation; the first one at the path, if the fields of the request decide
    /// between several.
    Operation(TokenOperation),
}

/// An operation that a dialect serves, for lists.
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
    /// Whether the path is also served with, or without, a slash at its end.
    pub slash_optional: bool,
}

/// New tokens, to be written in a reply. Its `Debug` leaves the tokens out.
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
    /// When the access token expires.
    pub access_expires_at: Timestamp,
    /// When the refresh token expires.
    pub refresh_expires_at: Timestamp,
    /// The time of the reply, from which relative expiry times are counted.
    pub now: Timestamp,
    /// The secret of a login, if the signature of a reply needs it. Without it the
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

/// A refusal, to be written in a reply.
#[derive(Clone, Copy, Debug)]
pub struct TokenRefusal<'a> {
    /// The operation that is refused.
    pub operation: TokenOperation,
    /// The refusal.
    pub refusal: Refusal,
    /// The field that is at fault.
    pub pointer: Option<&'a str>,
    /// How long to wait before the next attempt. Written in whole seconds, rounded up.
    pub retry_after: Option<Duration>,
    /// The methods that are allowed, for `method_not_allowed`.
    pub allow: Option<&'a str>,
}

impl<'a> TokenRefusal<'a> {
    /// A refusal without any details.
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
