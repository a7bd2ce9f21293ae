//! How a client learns when a token expires, if the reply does not say so.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_domain::Timestamp;

use crate::document::duration_text;
use crate::json::{self, Json, JsonRules};

/// Where expiry times come from if the reply has no field for them.
#[derive(Debug, Default)]
pub(crate) struct ExpirySource {
    pub(crate) access: Option<ExpiryFallback>,
    pub(crate) refresh: Option<ExpiryFallback>,
    /// Each use of an access token extends its life to this long after the use.
    pub(crate) sliding: Option<Duration>,
}

impl ExpirySource {
    /// The lines of the section, for people.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let source = |source: ExpiryFallback| match source {
            ExpiryFallback::Jwt => "as the token says, a JWT".to_owned(),
            ExpiryFallback::After(life) => format!("{} after the reply", duration_text(life)),
        };
        let sliding = |life| format!("{} after its last use", duration_text(life));
        let lines = [
            ("access ends", self.access.map(source)),
            ("refresh ends", self.refresh.map(source)),
            ("access ends", self.sliding.map(sliding)),
        ];
        let lines = lines.into_iter();
        lines
            .filter_map(|(name, line)| Some((name, line?)))
            .collect()
    }
}

/// A source other than the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExpiryFallback {
    /// The `exp` of the token itself, unverified: it only serves as a hint for timing.
    Jwt,
    /// So long after the reply.
    After(Duration),
}

impl ExpiryFallback {
    /// When a token expires.
    pub(crate) fn end(self, token: &str, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Jwt => unverified(token, "exp"),
            Self::After(span) => Some(now + span),
        }
    }

    /// How long a token lives from the reply on, if a lifetime is stated.
    pub(crate) fn life(self) -> Option<Duration> {
        match self {
            Self::Jwt => None,
            Self::After(span) => Some(span),
        }
    }
}

/// Whether a time lies before there were any such tokens (2001): such a number is not a
/// time since 1970.
pub(crate) fn is_before_tokens(instant: Timestamp) -> bool {
    instant < Timestamp::from_seconds(1_000_000_000)
}

/// A time among the claims of a JWT (RFC 7519 section 4.1), without verifying it.
pub(crate) fn unverified(token: &str, claim: &str) -> Option<Timestamp> {
    let mut parts = token.split('.');
    let claims = parts.nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims = json::parse(&claims, JsonRules::STRICT).ok()?;
    match &claims.member(claim)?.value {
        Json::Number(seconds) => Some(Timestamp::from_seconds(
            seconds.split('.').next()?.parse().ok()?,
        )),
        _ => None,
    }
}
