//! Replies as the client reads them: granted, done, or refused and why.
//!
//! A refusal is judged by what was asked: first by the status and the fields
//! that the file spells for it, then by the status alone. Where several fit,
//! the vendor's words decide, then the refusal of the operation's own
//! credential (a refused refresh leads to a login, a refused login ends).

use std::time::Duration;

use bytes::Bytes;
use countersign_domain::{Operation, Refusal, Timestamp};
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use jiff::fmt::rfc2822::DateTimeParser;

use crate::expiry::unverified;
use crate::form::{Constant, Form, Test};
use crate::json::{self, Json, Node, Rules};
use crate::refusals::{Known, own};
use crate::template::{Misfit, Reading, reply_bindings};
use crate::word::{Bindings, Datum, Values, Word};
use crate::{Asking, Dialect, Granted, RefusedBy, Secret, Understood, Unintelligible, Variant};

/// The largest reply that is looked at, in bytes.
const MAX_REPLY: usize = 1 << 20;

impl Dialect {
    /// What a reply means. A guarded reply is understood for its refusals.
    ///
    /// # Errors
    ///
    /// The reply is none that the dialect explains, or its signature is wrong.
    pub fn understand(
        &self,
        operation: Operation,
        variant: Variant,
        asking: &Asking<'_>,
        response: &Response<Bytes>,
        now: Timestamp,
    ) -> Result<Understood, Unintelligible> {
        let body = response.body();
        let tree = if body.len() > MAX_REPLY {
            None
        } else {
            json::parse(body, Rules::STRICT).ok()
        };
        let reply = Reply {
            operation,
            response,
            tree,
            now,
        };
        if operation == Operation::Guard {
            return Ok(self.unless_refused(&reply));
        }
        let (_, form) = self
            .form_of(operation, variant)
            .ok_or(Unintelligible::NoSuchOperation)?;
        if !reply.succeeds(form) {
            return self
                .refused(&reply)
                .map(Understood::Refused)
                .ok_or_else(|| {
                    Unintelligible::Body("it is no success and no refusal that is known".to_owned())
                });
        }
        if operation == Operation::Logout {
            return Ok(self.unless_refused(&reply));
        }
        match self.granted(form, asking, &reply) {
            Err(Unintelligible::Body(why)) => self
                .refused(&reply)
                .map(Understood::Refused)
                .ok_or(Unintelligible::Body(why)),
            told => told.map(Understood::Granted),
        }
    }

    /// Some vendors refuse with HTTP 200: a success is what nothing refuses.
    fn unless_refused(&self, reply: &Reply<'_>) -> Understood {
        let refused = self.refused(reply).map(Understood::Refused);
        refused.unwrap_or(Understood::Done)
    }

    fn granted(
        &self,
        form: &Form,
        asking: &Asking<'_>,
        reply: &Reply<'_>,
    ) -> Result<Granted, Unintelligible> {
        let bindings = reply.bindings(form)?;
        if let Some(signature) = &form.reply.signature {
            let found = bindings.text(&Word::Signature).unwrap_or_default();
            if !signature.is_over(
                &Signed {
                    asking,
                    bindings: &bindings,
                },
                found,
            ) {
                return Err(Unintelligible::Signature);
            }
        }
        let text = |word: Word| bindings.text(&word).filter(|text| !text.is_empty());
        let access_token = text(Word::AccessToken)
            .ok_or_else(|| Unintelligible::Body("it has no access token".to_owned()))?;
        let refresh_token = text(Word::RefreshToken);
        if !std::iter::once(access_token)
            .chain(refresh_token)
            .all(is_printable)
        {
            return Err(Unintelligible::Body(
                "its tokens have characters that no header carries".to_owned(),
            ));
        }
        let (access_expires_at, access_life) =
            self.access_end(access_token, &bindings, reply.now)?;
        let refresh_expires_at = bindings.time(&Word::RefreshExpiresAt);
        let refresh_life = bindings.life(&Word::RefreshExpiresAt);
        let beside = self.expiry.refresh.filter(|_| refresh_expires_at.is_none());
        Ok(Granted {
            access_token: Secret::from(access_token),
            refresh_token: refresh_token.map(Secret::from),
            access_expires_at,
            refresh_expires_at: refresh_expires_at
                .or_else(|| beside?.end(refresh_token?, reply.now)),
            access_life,
            refresh_life: refresh_life.or_else(|| beside?.life()),
            now: bindings.time(&Word::Now),
            date: date(reply.response.headers()),
            iat: unverified(access_token, "iat"),
            exp: unverified(access_token, "exp"),
            client_id: bindings.number(&Word::ClientId),
            login: text(Word::Login).map(str::to_owned),
            extra: bindings.extra(),
        })
    }

    /// From the reply, or else as the file says; with the life, if that is what
    /// is told.
    fn access_end(
        &self,
        token: &str,
        bindings: &Bindings,
        now: Timestamp,
    ) -> Result<(Timestamp, Option<Duration>), Unintelligible> {
        let word = &Word::AccessExpiresAt;
        let told = bindings.time(word).map(|end| (end, bindings.life(word)));
        let stated = || {
            let source = self.expiry.access?;
            Some((source.end(token, now)?, source.life()))
        };
        let sliding = || self.expiry.sliding.map(|span| (now + span, Some(span)));
        told.or_else(stated)
            .or_else(sliding)
            .ok_or_else(|| Unintelligible::Expiry("neither a field nor the token does".to_owned()))
    }

    /// What the reply refuses; `None` if it is a success, or nothing known.
    fn refused(&self, reply: &Reply<'_>) -> Option<RefusedBy> {
        let status = reply.response.status();
        let here = self
            .refusals
            .known
            .iter()
            .filter(|known| known.operation == reply.operation && known.status == status);
        let judged = here.filter_map(|known| {
            let (score, bindings) = self.likeness(known, reply)?;
            (score.fields > 0 || !status.is_success()).then_some((score, known.refusal, bindings))
        });
        // The first of several equals in the order of the vocabulary, which begins
        // with the refusals of the operations' own credentials.
        let best = judged.reduce(|best, next| if next.0 > best.0 { next } else { best });
        match best {
            Some((_, refusal, bindings)) => Some(reply.refusal(refusal, bindings.as_ref())),
            None if status.is_success() => None,
            None => {
                let bindings = self.errors(reply);
                Some(reply.refusal(by_status(reply.operation, status)?, bindings.as_ref()))
            }
        }
    }

    /// How well a reply fits a refusal; `None` if a field says another one.
    fn likeness(&self, known: &Known, reply: &Reply<'_>) -> Option<(Likeness, Option<Bindings>)> {
        let shape = known.shape.as_ref().or(self.refusals.shape.as_ref());
        let tree = reply.tree.as_ref();
        let read = shape
            .zip(tree)
            .map(|(shape, tree)| reply_bindings(shape, tree, reply.now));
        let bindings = read.and_then(Result::ok);
        let mut score = Likeness {
            fields: 0,
            detail: false,
        };
        for (name, value) in &known.fields {
            let found = bindings
                .as_ref()
                .and_then(|b| b.text(&Word::Field(name.clone())));
            match found {
                Some(found) if &**name == "detail" => score.detail = found == value,
                Some(found) if found == value => score.fields += 1,
                Some(_) => return None,
                None => (),
            }
        }
        if known.shape.is_some() && bindings.is_none() {
            return None;
        }
        Some((score, bindings))
    }

    fn errors(&self, reply: &Reply<'_>) -> Option<Bindings> {
        let (shape, tree) = self.refusals.shape.as_ref().zip(reply.tree.as_ref())?;
        reply_bindings(shape, tree, reply.now).ok()
    }
}

/// How well a reply fits, the weightiest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Likeness {
    fields: usize,
    detail: bool,
}

struct Reply<'r> {
    operation: Operation,
    response: &'r Response<Bytes>,
    tree: Option<Node<'r>>,
    now: Timestamp,
}

impl Reply<'_> {
    fn succeeds(&self, form: &Form) -> bool {
        let status = self.response.status();
        let good = if form.reply.status_stated {
            status == form.reply.status
        } else {
            status.is_success()
        };
        good && form.reply.success.iter().all(|test| self.passes(test))
    }

    fn passes(&self, test: &Test) -> bool {
        let found = self.tree.as_ref().and_then(|tree| tree.at(&test.pointer));
        match (found.map(|node| &node.value), &test.equals) {
            (Some(Json::Text(found)), Constant::Text(wanted)) => found == wanted,
            (Some(Json::Number(found)), Constant::Number(wanted)) => *found == wanted.to_string(),
            (Some(Json::Bool(found)), Constant::Bool(wanted)) => found == wanted,
            _ => false,
        }
    }

    fn bindings(&self, form: &Form) -> Result<Bindings, Unintelligible> {
        let mut bindings = Bindings::new(self.now);
        if let Some(template) = &form.reply.body {
            let tree = self.tree.as_ref();
            let tree = tree.ok_or_else(|| Unintelligible::Body("it is not JSON".to_owned()))?;
            let told =
                |misfit: Misfit| Unintelligible::Body(format!("it lacks {}", misfit.pointer));
            template
                .read(tree, Reading::REPLY, &mut bindings)
                .map_err(told)?;
        }
        for (name, pattern) in &form.reply.headers {
            let value = self
                .response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok());
            let fits = match value {
                Some(value) => pattern.read(value, &mut bindings),
                None => pattern.is_optional(),
            };
            if !fits && pattern.as_fixed().is_none() {
                return Err(Unintelligible::Body(format!("it lacks the header {name}")));
            }
        }
        Ok(bindings)
    }

    fn refusal(&self, refusal: Refusal, bindings: Option<&Bindings>) -> RefusedBy {
        let text = |word: Word| {
            bindings
                .and_then(|bindings| bindings.text(&word))
                .map(str::to_owned)
        };
        RefusedBy {
            refusal,
            status: self.response.status().as_u16(),
            retry_after: retry_after(self.response.headers(), self.now),
            code: text(Word::Field("code".into())),
            detail: text(Word::Field("detail".into())),
            pointer: text(Word::Pointer),
        }
    }
}

/// Whether a token is of the characters that RFC 6749 appendix A.12 knows.
fn is_printable(token: &str) -> bool {
    token.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// RFC 9110 section 6.6.1.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    instant_in(headers.get(DATE)?.to_str().ok()?)
}

fn instant_in(text: &str) -> Option<Timestamp> {
    let date = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp::from_seconds(date.as_second()))
}

/// RFC 9110 section 10.2.3: seconds, or a date, which is one of the vendor's
/// clock.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let now = date(headers).unwrap_or(now);
    Some(instant_in(text)?.since(now))
}

/// What a status means by itself (RFC 9110 section 15).
fn by_status(operation: Operation, status: StatusCode) -> Option<Refusal> {
    Some(match status.as_u16() {
        401 => own(operation),
        403 => Refusal::Forbidden,
        404 => Refusal::NotFound,
        405 => Refusal::MethodNotAllowed,
        413 => Refusal::TooLarge,
        429 => Refusal::Throttled,
        502 => Refusal::BadGateway,
        503 => Refusal::Unavailable,
        504 => Refusal::GatewayTimeout,
        400..=499 => Refusal::Malformed,
        500..=599 => Refusal::Internal,
        _ => return None,
    })
}

/// What a signature covers: what was asked with, and the literal texts of the
/// reply.
struct Signed<'s, 'a> {
    asking: &'s Asking<'a>,
    bindings: &'s Bindings,
}

impl Values for Signed<'_, '_> {
    fn datum(&self, word: &Word) -> Option<Datum<'_>> {
        let asked = match word {
            Word::Login | Word::Secret | Word::Extra(_) => self.asking.datum(word),
            _ => None,
        };
        asked.or_else(|| self.bindings.text(word).map(Datum::Text))
    }
}
