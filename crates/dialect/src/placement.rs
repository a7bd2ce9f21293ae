//! Credentials outside a body: headers, HTTP Basic, the query.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign_domain::{Reason, TokenOperation};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::RequestReadError;
use crate::form::BasicForm;
use crate::hole_word::{HoleBindings, HoleWord};
use crate::json::Json;
use crate::media;
use crate::pattern::{PatternPart, TextPattern};

/// Where and why reading failed; the caller adds the operation.
pub(crate) struct ReadStop {
    pub(crate) reason: Reason,
    pub(crate) pointer: Option<String>,
    pub(crate) detail: String,
}

impl ReadStop {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            pointer: None,
            detail: detail.into(),
        }
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(Reason::RequestMalformed, detail)
    }

    pub(crate) fn at_operation(self, operation: TokenOperation) -> RequestReadError {
        let Self {
            reason,
            pointer,
            detail,
        } = self;
        RequestReadError {
            operation,
            reason,
            pointer,
            detail,
        }
    }
}

/// How to report that a header or parameter is missing; nothing to report if it is
/// optional.
fn absent(pattern: &TextPattern) -> Result<(), ReadStop> {
    if pattern.is_optional() {
        return Ok(());
    }
    let reason = if has_token(pattern) {
        Reason::TokenMissing
    } else {
        Reason::FieldMissing
    };
    Err(ReadStop::new(
        reason,
        "a credential or fixed value is missing",
    ))
}

/// How to report that it exists and cannot be read. A text that cannot be a token is a
/// bad token, so that a logout with it gets the same answer as with any other bad token.
fn unreadable(pattern: &TextPattern, detail: String) -> ReadStop {
    let reason = if has_token(pattern) {
        Reason::TokenMalformed
    } else {
        Reason::RequestMalformed
    };
    ReadStop::new(reason, detail)
}

fn has_token(pattern: &TextPattern) -> bool {
    pattern
        .holes()
        .any(|hole| matches!(hole.word, HoleWord::AccessToken | HoleWord::RefreshToken))
}

/// The value of a header that is sent once; `None` if it is not sent.
pub(crate) fn only<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h HeaderValue>, ()> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        Err(())
    } else {
        Ok(first)
    }
}

/// Reads a header that has a credential or must have a fixed value.
pub(crate) fn header(
    headers: &HeaderMap,
    name: &HeaderName,
    pattern: &TextPattern,
    bindings: &mut HoleBindings,
) -> Result<(), ReadStop> {
    let value =
        only(headers, name).map_err(|()| unreadable(pattern, format!("{name} is sent twice")))?;
    let Some(value) = value else {
        return absent(pattern);
    };
    if let Some(fixed) = pattern.as_fixed() {
        let other = || ReadStop::malformed(format!("{name} is not what it must be"));
        return (value == fixed).then_some(()).ok_or_else(other);
    }
    let text = value
        .to_str()
        .map_err(|_| unreadable(pattern, format!("{name} is not ASCII")))?;
    let text = match name == AUTHORIZATION {
        true => with_scheme(text, pattern),
        false => Some(Cow::Borrowed(text)),
    };
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return absent(pattern);
    };
    let fits = pattern.bind(&text, bindings);
    let token = |word| bindings.text(&word).is_none_or(is_token68);
    if fits && token(HoleWord::AccessToken) && token(HoleWord::RefreshToken) {
        return Ok(());
    }
    let detail = format!("{name} is not of the form it must have");
    Err(unreadable(pattern, detail))
}

/// The value with the scheme spelled as in the pattern, since letter case does not matter
/// in schemes (RFC 9110 section 11.1); `None` for another scheme.
pub(crate) fn with_scheme<'t>(text: &'t str, pattern: &TextPattern) -> Option<Cow<'t, str>> {
    let Some(PatternPart::Text(fixed)) = pattern.0.first() else {
        return Some(Cow::Borrowed(text));
    };
    let Some((scheme, _)) = fixed.split_once(' ') else {
        return Some(Cow::Borrowed(text));
    };
    let (found, rest) = scheme_and_rest(text).unwrap_or((text, ""));
    found
        .eq_ignore_ascii_case(scheme)
        .then(|| Cow::Owned(format!("{scheme} {rest}")))
}

/// The scheme and what follows the one or more spaces behind it (RFC 9110
/// section 11.4).
fn scheme_and_rest(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(' ')?;
    Some((scheme, rest.trim_start_matches(' ')))
}

/// HTTP Basic (RFC 7617). Another scheme counts as no credential.
pub(crate) fn basic(
    headers: &HeaderMap,
    form: &BasicForm,
    bindings: &mut HoleBindings,
) -> Result<(), ReadStop> {
    let missing = || ReadStop::new(Reason::FieldMissing, "no Basic credentials are sent");
    let twice = |()| ReadStop::malformed("authorization is sent twice");
    let value = only(headers, &AUTHORIZATION)
        .map_err(twice)?
        .ok_or_else(missing)?;
    let broken = || ReadStop::malformed("the Basic credentials cannot be read");
    let (scheme, coded) = value
        .to_str()
        .ok()
        .and_then(scheme_and_rest)
        .ok_or_else(broken)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(missing());
    }
    let pair = STANDARD
        .decode(coded)
        .ok()
        .and_then(|pair| String::from_utf8(pair).ok());
    let pair = zeroize::Zeroizing::new(pair.ok_or_else(broken)?);
    let (left, right) = pair.split_once(':').ok_or_else(broken)?;
    if left.is_empty() || right.is_empty() {
        return Err(missing());
    }
    let plain = |text| match form.encoded {
        true => media::decode(text).ok_or_else(broken),
        false => Ok(Cow::Borrowed(text)),
    };
    let (left, right) = (plain(left)?, plain(right)?);
    let fits = form.user.bind(&left, bindings) && form.password.bind(&right, bindings);
    if fits { Ok(()) } else { Err(broken()) }
}

/// Reads the fields of a query.
pub(crate) fn query(
    text: &str,
    fields: &[(String, TextPattern)],
    bindings: &mut HoleBindings,
) -> Result<(), ReadStop> {
    if fields.is_empty() {
        return Ok(());
    }
    let node = media::urlencoded(text.as_bytes()).map_err(ReadStop::malformed)?;
    for (name, pattern) in fields {
        let is_fixed = pattern.as_fixed().is_some();
        match node.member(name).map(|node| &node.value) {
            Some(Json::Text(value)) if is_fixed || !value.is_empty() => {
                if !pattern.bind(value, bindings) {
                    return Err(ReadStop::malformed(format!(
                        "the query's {name} cannot be read"
                    )));
                }
            }
            _ => absent(pattern)?,
        }
    }
    Ok(())
}

/// The characters of a bearer token (RFC 6750 section 2.1, `b64token`).
pub(crate) fn is_token68(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !body.is_empty() && body.bytes().all(plain)
}
