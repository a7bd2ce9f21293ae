//! The forms of tokens: JWT header and claims, or opaque text.

use countersign_domain::{Algorithm, Timestamp};

/// The form of one kind of token.
#[derive(Debug)]
pub enum TokenForm {
    /// A JWT: the caller signs `header.claims` with the form's algorithm.
    Jwt(JwtForm),
    /// Text without structure.
    Opaque(OpaqueForm),
}

/// What the claims of a token are made of.
#[derive(Clone, Copy, Debug)]
pub struct Claims<'a> {
    /// The sealed claim that names the session, base64url.
    pub session: &'a str,
    /// When the token was made.
    pub issued_at: Timestamp,
    /// When the access token of the pair ends.
    pub access_expires_at: Timestamp,
    /// When the refresh token of the pair ends.
    pub refresh_expires_at: Timestamp,
    /// The id of the token.
    pub jti: [u8; 16],
    /// The numeric id of the account.
    pub client_id: u64,
    /// The login that the session began with.
    pub login: &'a str,
}

/// What is taken from the claims of a token that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimsRead {
    /// The sealed claim.
    pub session: String,
    /// The token's own end, whole seconds.
    pub expires_at: Timestamp,
}

/// The form of a JWT.
#[derive(Debug)]
pub struct JwtForm {
    pub(crate) algorithm: Algorithm,
}

impl JwtForm {
    /// The one algorithm of this form.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The JSON text of the JOSE header; `kid` is used where the form has one.
    pub fn header(&self, kid: &str) -> String {
        kid.to_owned()
    }

    /// The JSON text of the claims.
    pub fn claims(&self, claims: &Claims<'_>) -> String {
        claims.session.to_owned()
    }

    /// Reads claims back, strictly.
    ///
    /// # Errors
    ///
    /// In words, without any value: not UTF-8 or JSON, a member twice, no
    /// session, or an `exp`, `iat` or `nbf` that is no integer in range.
    pub fn read_claims(&self, claims: &[u8]) -> Result<ClaimsRead, String> {
        Err(format!("{} bytes", claims.len()))
    }
}

/// The form of an opaque token: the sealed claim in another alphabet.
#[derive(Debug)]
pub struct OpaqueForm;

impl OpaqueForm {
    /// The token that carries this sealed claim (base64url).
    pub fn token(&self, session: &str) -> String {
        session.to_owned()
    }

    /// The sealed claim (base64url) in a token; `None` if it is not of the
    /// form.
    pub fn session(&self, token: &str) -> Option<String> {
        Some(token.to_owned())
    }
}
