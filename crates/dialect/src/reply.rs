//! Replies of the issuer: grants, logouts and refusals, from templates to
//! bytes.

use bytes::Bytes;
use countersign_domain::Timestamp;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::form::ReplyForm;
use crate::pattern::Pattern;
use crate::word::{Datum, Values, Word, whole_seconds};
use crate::{Asked, Dialect, Grant, Refused};

impl Dialect {
    /// The reply to a login or refresh. A reply signature is computed here.
    ///
    /// Tokens must not be cached (RFC 6749 section 5.1), so the reply says so.
    pub fn grant(&self, asked: &Asked, grant: &Grant<'_>) -> Response<Bytes> {
        let Some(form) = self.form(asked) else {
            return empty(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let plain = Granting {
            grant,
            signature: None,
        };
        let signature = form
            .reply
            .signature
            .as_ref()
            .map(|s| s.over(&plain).unwrap_or_default());
        let mut response = reply(&form.reply, &Granting { grant, signature });
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    /// The reply to a logout.
    pub fn done(&self, asked: &Asked) -> Response<Bytes> {
        match self.form(asked) {
            Some(form) => reply(&form.reply, &Nothing),
            None => empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// The reply to what is refused: any refusal, on any operation.
    pub fn refuse(&self, refused: &Refused<'_>) -> Response<Bytes> {
        let Some(spelled) = self.refusals.spelled(refused.operation, refused.refusal) else {
            return empty(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let pointer = refused.pointer.or(spelled.pointer.as_deref());
        let values = Refusing {
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

fn reply(form: &ReplyForm, values: &dyn Values) -> Response<Bytes> {
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

/// Adds headers. One whose hole has no value is left out, and so is one whose
/// value cannot stand in a header: a line break cannot get into one.
fn fill(headers: &mut HeaderMap, patterns: &[(HeaderName, Pattern)], values: &dyn Values) {
    for (name, pattern) in patterns {
        let value = pattern
            .write(values)
            .and_then(|text| HeaderValue::from_str(&text).ok());
        value.map(|value| headers.append(name.clone(), value));
    }
}

struct Nothing;

impl Values for Nothing {
    fn datum(&self, _: &Word) -> Option<Datum<'_>> {
        None
    }
}

struct Granting<'g, 'a> {
    grant: &'g Grant<'a>,
    signature: Option<String>,
}

impl Values for Granting<'_, '_> {
    fn datum(&self, word: &Word) -> Option<Datum<'_>> {
        let grant = self.grant;
        Some(match word {
            Word::Login => Datum::Text(grant.login),
            Word::Secret => Datum::Text(grant.secret?.expose()),
            Word::AccessToken => Datum::Text(grant.access_token),
            Word::RefreshToken => Datum::Text(grant.refresh_token?),
            Word::AccessExpiresAt => Datum::Time(grant.access_expires_at),
            Word::RefreshExpiresAt => Datum::Time(grant.refresh_expires_at),
            Word::Now => Datum::Time(grant.now),
            Word::ClientId => Datum::Number(grant.client_id),
            Word::Signature => Datum::Text(self.signature.as_deref()?),
            _ => return None,
        })
    }

    fn now(&self) -> Timestamp {
        self.grant.now
    }
}

struct Refusing<'r, 'a> {
    refused: &'r Refused<'a>,
    pointer: Option<&'r str>,
    status: StatusCode,
}

impl Values for Refusing<'_, '_> {
    fn datum(&self, word: &Word) -> Option<Datum<'_>> {
        Some(match word {
            Word::Status => Datum::Number(self.status.as_u16().into()),
            Word::Pointer => Datum::Text(self.pointer?),
            Word::RetryAfter => Datum::Number(whole_seconds(self.refused.retry_after?)),
            Word::Allow => Datum::Text(self.refused.allow?),
            _ => return None,
        })
    }
}
