//! The forms of tokens: JWT header and claims, or opaque text.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_domain::{Algorithm, Timestamp, TokenKind};

use crate::hole_word::{HoleBindings, HoleValue, HoleValues, HoleWord};
use crate::json::{self, Json, JsonNode, JsonRules};
use crate::template::{JsonTemplate, MisfitReason, ReadingMode, TemplateMisfit};

/// The token forms of one variant.
#[derive(Debug, Default)]
pub(crate) struct VariantTokens {
    pub(crate) access: Option<TokenForm>,
    pub(crate) refresh: Option<TokenForm>,
}

/// The form of one token.
#[derive(Debug)]
pub enum TokenForm {
    /// A JWT: the caller signs `header.claims` with the algorithm of the form.
    Jwt(JwtForm),
    /// A text without structure.
    Opaque(OpaqueForm),
}

impl TokenForm {
    /// Whether tokens of the two forms look the same from outside: by algorithm and
    /// header.
    pub(crate) fn looks_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Jwt(one), Self::Jwt(other)) => {
                one.algorithm == other.algorithm && one.header("") == other.header("")
            }
            (Self::Opaque(_), Self::Opaque(_)) => true,
            _ => false,
        }
    }
}

/// The values for the claims of a token. Its `Debug` leaves the sealed claim out.
#[derive(Clone, Copy)]
pub struct TokenClaims<'a> {
    /// The sealed claim that names the session, base64url.
    pub session: &'a str,
    /// When the token was made.
    pub issued_at: Timestamp,
    /// When the access token of the pair expires.
    pub access_expires_at: Timestamp,
    /// When the refresh token of the pair expires.
    pub refresh_expires_at: Timestamp,
    /// The id of the token.
    pub jti: [u8; 16],
    /// The numeric id of the account.
    pub client_id: u64,
    /// The login that the session began with.
    pub login: &'a str,
}

/// The values in the claims of a token that came back. Its `Debug` leaves the sealed
/// claim out.
#[derive(Clone, PartialEq, Eq)]
pub struct ParsedClaims {
    /// The sealed claim.
    pub session: String,
    /// The expiry time of the token itself, in whole seconds.
    pub expires_at: Timestamp,
}

impl fmt::Debug for TokenClaims<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenClaims")
            .field("login", &self.login)
            .field("client_id", &self.client_id)
            .field("issued_at", &self.issued_at)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ParsedClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParsedClaims")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The form of a JWT.
#[derive(Debug)]
pub struct JwtForm {
    pub(crate) algorithm: Algorithm,
    pub(crate) header: JsonTemplate,
    pub(crate) claims: JsonTemplate,
    pub(crate) kind: TokenKind,
}

impl JwtForm {
    /// The one algorithm of this form.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The JSON text of the JOSE header; `kid` is used if the form has one.
    pub fn header(&self, kid: &str) -> String {
        self.header.write(&JoseHeader {
            alg: self.algorithm.name(),
            kid,
        })
    }

    /// The JSON text of the claims.
    pub fn claims(&self, claims: &TokenClaims<'_>) -> String {
        self.claims.write(claims)
    }

    /// Reads claims back, strictly. The caller has verified the signature; the fixed
    /// members are checked all the same.
    ///
    /// # Errors
    ///
    /// A sentence without any value: the text is not UTF-8 or JSON, a member occurs
    /// twice, there is no session, or `exp`, `iat` or `nbf` is not an integer in range.
    pub fn read_claims(&self, claims: &[u8]) -> Result<ParsedClaims, String> {
        // RFC 7519 section 4: "The Claim Names within a JWT Claims Set MUST be unique; JWT
        // parsers MUST either reject JWTs with duplicate Claim Names or use a JSON parser that
        // returns only the lexically last duplicate member name".
        let node = json::parse(claims, JsonRules::STRICT).map_err(|fault| fault.to_string())?;
        for name in ["exp", "iat", "nbf"] {
            if node
                .member(name)
                .is_some_and(|found| !is_numeric_date(found))
            {
                return Err(format!("`{name}` is not an integer in range"));
            }
        }
        let mut bindings = HoleBindings::new(Timestamp::default());
        self.claims
            .bind(&node, ReadingMode::REQUEST, &mut bindings)
            .map_err(describe_misfit)?;
        let end = match self.kind {
            TokenKind::Access => HoleWord::AccessExpiresAt,
            TokenKind::Refresh => HoleWord::RefreshExpiresAt,
        };
        match (bindings.text(&HoleWord::Session), bindings.time(&end)) {
            (Some(session), Some(expires_at)) => Ok(ParsedClaims {
                session: session.to_owned(),
                expires_at,
            }),
            _ => Err("no session or no end".to_owned()),
        }
    }
}

/// RFC 7519 section 2 allows fractions and any number; ours are whole seconds
/// up to the year 9999.
fn is_numeric_date(node: &JsonNode<'_>) -> bool {
    let Json::Number(text) = &node.value else {
        return false;
    };
    text.parse::<u64>()
        .is_ok_and(|seconds| seconds <= 253_402_300_799)
}

fn describe_misfit(
    TemplateMisfit {
        because, pointer, ..
    }: TemplateMisfit,
) -> String {
    match because {
        MisfitReason::WrongType => format!("`{pointer}` is of the wrong type"),
        MisfitReason::Missing | MisfitReason::ConstantMissing => format!("`{pointer}` is missing"),
        MisfitReason::ConstantDiffers => format!("`{pointer}` has another value"),
    }
}

struct JoseHeader<'a> {
    alg: &'a str,
    kid: &'a str,
}

impl HoleValues for JoseHeader<'_> {
    fn datum(&self, word: &HoleWord) -> Option<HoleValue<'_>> {
        match word {
            HoleWord::Alg => Some(HoleValue::Text(self.alg)),
            HoleWord::Kid => Some(HoleValue::Text(self.kid)),
            _ => None,
        }
    }
}

impl HoleValues for TokenClaims<'_> {
    fn datum(&self, word: &HoleWord) -> Option<HoleValue<'_>> {
        Some(match word {
            HoleWord::Session => HoleValue::Text(self.session),
            HoleWord::IssuedAt => HoleValue::Time(self.issued_at),
            HoleWord::AccessExpiresAt => HoleValue::Time(self.access_expires_at),
            HoleWord::RefreshExpiresAt => HoleValue::Time(self.refresh_expires_at),
            HoleWord::Jti => HoleValue::Bytes(self.jti),
            HoleWord::ClientId => HoleValue::Number(self.client_id),
            HoleWord::Login => HoleValue::Text(self.login),
            _ => return None,
        })
    }

    fn now(&self) -> Timestamp {
        self.issued_at
    }
}

/// The form of an opaque token: the sealed claim as lower-case hex.
#[derive(Debug)]
pub struct OpaqueForm;

impl OpaqueForm {
    /// The token that contains this sealed claim (base64url); `None` if it is not
    /// base64url.
    pub fn token(&self, session: &str) -> Option<String> {
        URL_SAFE_NO_PAD.decode(session).ok().map(hex::encode)
    }

    /// The sealed claim (base64url) in a token; `None` if it is not lower-case
    /// hex.
    pub fn session(&self, token: &str) -> Option<String> {
        let canonical = !token.bytes().any(|byte| byte.is_ascii_uppercase());
        canonical
            .then(|| hex::decode(token).ok())
            .flatten()
            .map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
    }
}
