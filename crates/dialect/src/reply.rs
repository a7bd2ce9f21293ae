//! Replies of the issuer: grants, logouts and refusals, from templates to bytes.

use bytes::Bytes;
use countersign_domain::Timestamp;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::form::ReplyForm;
use crate::hole_word::{HoleValue, HoleValues, HoleWord, whole_seconds};
use crate::pattern::TextPattern;
use crate::{Dialect, RequestedForm, TokenGrant, TokenRefusal};

impl Dialect {
    /// The reply to a login or refresh, with its signature if it has one.
    ///
    /// Tokens must not be cached, so the reply says so.
    pub fn write_grant(&self, asked: &RequestedForm, grant: &TokenGrant<'_>) -> Response<Bytes> {
        let Some(form) = self.form(asked) else {
            return empty(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let plain = GrantValues {
            grant,
            signature: None,
        };
        let signature = form
            .reply
            .signature
            .as_ref()
            .map(|s| s.over(&plain).unwrap_or_default());
        let mut response = reply(&form.reply, &GrantValues { grant, signature });
        // RFC 6749 section 5.1: "The authorization server MUST include the HTTP "Cache-Control"
        // response header field [RFC2616] with a value of "no-store" in any response containing
        // tokens, credentials, or other sensitive information, as well as the "Pragma" response
        // header field [RFC2616] with a value of "no-cache"." Pragma is not sent: RFC 9111
        // section 5.4 "deprecates Pragma", whose meaning in responses "was never specified", and
        // no vendor that is described here documents it.
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    /// The reply to a logout.
    pub fn write_done(&self, asked: &RequestedForm) -> Response<Bytes> {
        match self.form(asked) {
            Some(form) => reply(&form.reply, &EmptyValues),
            None => empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// The reply to a request that is refused, for any refusal of any operation.
    pub fn write_refusal(&self, refused: &TokenRefusal<'_>) -> Response<Bytes> {
        let Some(spelled) = self.refusals.spelled(refused.operation, refused.refusal) else {
            return empty(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let pointer = refused.pointer.or(spelled.pointer.as_deref());
        let values = RefusalValues {
            refused,
            pointer,
            status: spelled.status,
        };
        let mut response = empty(spelled.status);
        if let Some(body) = &spelled.body {
            let media = spelled.media.clone();
            media.map(|media| response.headers_mut().insert(CONTENT_TYPE, media));
            *response.body_mut() = body.write(&values).into();
        }
        fill(response.headers_mut(), &spelled.headers, &values);
        response
    }
}

fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

fn reply(form: &ReplyForm, values: &dyn HoleValues) -> Response<Bytes> {
    let mut response = empty(form.status);
    if let Some(body) = &form.body {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, form.media.clone());
        *response.body_mut() = body.write(values).into();
    }
    fill(response.headers_mut(), &form.headers, values);
    response
}

/// Adds headers. A header is left out if one of its holes has no value, or if its value
/// is not allowed in a header: no line break can get into one.
fn fill(headers: &mut HeaderMap, patterns: &[(HeaderName, TextPattern)], values: &dyn HoleValues) {
    for (name, pattern) in patterns {
        let value = pattern
            .write(values)
            .and_then(|text| HeaderValue::from_str(&text).ok());
        value.map(|value| headers.append(name.clone(), value));
    }
}

struct EmptyValues;

impl HoleValues for EmptyValues {
    fn datum(&self, _: &HoleWord) -> Option<HoleValue<'_>> {
        None
    }
}

struct GrantValues<'g, 'a> {
    grant: &'g TokenGrant<'a>,
    signature: Option<String>,
}

impl HoleValues for GrantValues<'_, '_> {
    fn datum(&self, word: &HoleWord) -> Option<HoleValue<'_>> {
        let grant = self.grant;
        Some(match word {
            HoleWord::Login => HoleValue::Text(grant.login),
            HoleWord::Secret => HoleValue::Text(grant.secret?.expose()),
            HoleWord::AccessToken => HoleValue::Text(grant.access_token),
            HoleWord::RefreshToken => HoleValue::Text(grant.refresh_token?),
            HoleWord::AccessExpiresAt => HoleValue::Time(grant.access_expires_at),
            HoleWord::RefreshExpiresAt => HoleValue::Time(grant.refresh_expires_at),
            HoleWord::Now => HoleValue::Time(grant.now),
            HoleWord::ClientId => HoleValue::Number(grant.client_id),
            HoleWord::Signature => HoleValue::Text(self.signature.as_deref()?),
            _ => return None,
        })
    }

    fn now(&self) -> Timestamp {
        self.grant.now
    }
}

struct RefusalValues<'r, 'a> {
    refused: &'r TokenRefusal<'a>,
    pointer: Option<&'r str>,
    status: StatusCode,
}

impl HoleValues for RefusalValues<'_, '_> {
    fn datum(&self, word: &HoleWord) -> Option<HoleValue<'_>> {
        Some(match word {
            HoleWord::Status => HoleValue::Number(self.status.as_u16().into()),
            HoleWord::Pointer => HoleValue::Text(self.pointer?),
            HoleWord::RetryAfter => HoleValue::Number(whole_seconds(self.refused.retry_after?)),
            HoleWord::Allow => HoleValue::Text(self.refused.allow?),
            _ => return None,
        })
    }
}
