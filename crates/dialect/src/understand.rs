//! Replies as the client reads them: granted, done, or refused and why.
//!
//! A refusal is judged by what was asked: first by the status and the fields
//! that the file spells for it, then by the status alone. Where several fit,
//! the vendor's words decide, then the refusal of the operation's own
//! credential (a refused refresh leads to a login, a refused login ends). Under a
//! status of success, what `success` denies is a refusal.
//!
//! What is not of the dialect is not a refusal, whatever its status, but for what
//! passes by itself: gateways spell their own 429 and 503.

use std::time::Duration;

use bytes::Bytes;
use countersign_domain::{Refusal, Timestamp, TokenOperation};
use http::header::{DATE, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderName, Response, StatusCode};

use crate::coding::decoded;
use crate::cookies;
use crate::expiry::{is_before_tokens, unverified};
use crate::foreign::{self, ReplyHead};
use crate::form::{ConstantValue, OperationForm, SuccessTest};
use crate::json::{self, Json, JsonNode, JsonRules};
use crate::pattern::TextPattern;
use crate::refusals::{KnownRefusal, own};
use crate::template::{ReadingMode, reply_bindings};
use crate::word::{HoleBindings, HoleValue, HoleValues, HoleWord};
use crate::{
    ClientValues, Dialect, GrantedTokens, RefusedBy, Secret, UnderstoodReply, UnintelligibleReply,
    Variant,
};

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
        operation: TokenOperation,
        variant: Variant,
        asking: &ClientValues<'_>,
        response: &Response<Bytes>,
        now: Timestamp,
    ) -> Result<UnderstoodReply, UnintelligibleReply> {
        let body = decoded(response.headers(), response.body(), MAX_REPLY);
        let (tree, unread) = match body.as_deref().map(without_mark) {
            Ok(text) => tree(text),
            Err(why) => (None, Some(why.clone())),
        };
        let reply = Reply {
            operation,
            response,
            tree,
            unread: unread.as_ref(),
            now,
        };
        if operation == TokenOperation::Guard {
            return Ok(self.unless_refused(&reply));
        }
        let (_, form) = self
            .form_of(operation, variant)
            .ok_or(UnintelligibleReply::NoSuchOperation)?;
        if !reply.succeeds(form) {
            return self.no_success(form, &reply);
        }
        if operation == TokenOperation::Logout {
            return Ok(self.unless_refused(&reply));
        }
        match self.granted(form, asking, &reply) {
            Err(fault @ UnintelligibleReply::Body { .. }) => {
                let found = self.refused(&reply, Succeeded::No).ok_or(fault)?;
                Ok(UnderstoodReply::Refused(found.by))
            }
            told => told.map(UnderstoodReply::Granted),
        }
    }

    /// Some vendors refuse with HTTP 200: a success is what nothing refuses.
    fn unless_refused(&self, reply: &Reply<'_>) -> UnderstoodReply {
        let found = self.refused(reply, Succeeded::AsFarAsIsKnown);
        found.map_or(UnderstoodReply::Done, |it| UnderstoodReply::Refused(it.by))
    }

    /// What a reply means that is not a success.
    fn no_success(
        &self,
        form: &OperationForm,
        reply: &Reply<'_>,
    ) -> Result<UnderstoodReply, UnintelligibleReply> {
        let foreign = self.is_foreign(form, reply);
        match self.refused(reply, Succeeded::No) {
            Some(found) if found.recognised || found.passes || !foreign => {
                Ok(UnderstoodReply::Refused(found.by))
            }
            Some(_) => Err(UnintelligibleReply::Foreign {
                head: reply.head(),
                standard: self.refusals.standard,
            }),
            None if reply.response.status().is_redirection() => {
                Err(UnintelligibleReply::Redirect {
                    status: reply.response.status().as_u16(),
                    to: foreign::target(reply.response.headers()),
                })
            }
            None if self.denies(form, reply) && reply.operation == TokenOperation::Logout => {
                Err(reply.fault(self.denial(reply)))
            }
            None if self.denies(form, reply) => {
                let refusal = own(reply.operation);
                let bindings = self.errors(reply);
                Ok(UnderstoodReply::Refused(
                    reply.refusal(refusal, bindings.as_ref()),
                ))
            }
            None if foreign => Err(UnintelligibleReply::Foreign {
                head: reply.head(),
                standard: false,
            }),
            None => Err(reply.fault(match reply.unread {
                Some(why) => why,
                None => "it is not a success and no refusal that is known",
            })),
        }
    }

    /// Whether a reply says no and not why, or in words that are not listed. One with
    /// a code that is not listed explains nothing, and neither does one with tokens.
    fn denies(&self, form: &OperationForm, reply: &Reply<'_>) -> bool {
        let refusal = own(reply.operation);
        let mut here = self
            .refusals
            .known
            .iter()
            .filter(|it| it.operation == reply.operation && it.stated && !it.fields.is_empty());
        let fits = match here.clone().find(|it| it.refusal == refusal) {
            Some(known) => self.likeness(known, reply).is_some(),
            None => here.all(|known| self.likeness(known, reply).is_some()),
        };
        let granting = form.reply.has(&HoleWord::AccessToken);
        fits && reply.denies(form) && !(granting && reply.bindings(form).is_ok())
    }

    /// A logout that was denied in words that are not listed. These are not a refusal of
    /// the token: who takes them for one holds the session for ended, and it may live.
    fn denial(&self, reply: &Reply<'_>) -> String {
        let bindings = self.errors(reply);
        let words = bindings
            .as_ref()
            .and_then(|it| it.text(&HoleWord::Field("detail".into())));
        match words {
            Some(words) => format!("it says no in words that are not a refusal: {words:?}"),
            None => "it says no, and not why".to_owned(),
        }
    }

    /// Whether the body is none that the dialect has for this operation. One that
    /// is empty, or coded in a way that is not read, does not tell.
    fn is_foreign(&self, form: &OperationForm, reply: &Reply<'_>) -> bool {
        if reply.response.body().is_empty() || reply.unread.is_some() {
            return false;
        }
        let status = reply.response.status();
        let known = self.refusals.known.iter();
        let own = known.filter(|it| it.operation == reply.operation);
        // A line of the file that names a status and no words takes any body.
        let by_status = own
            .clone()
            .any(|it| it.stated && it.status == status && it.fields.is_empty());
        let shapes = own
            .filter_map(|it| it.shape.as_ref())
            .chain(&self.refusals.shape);
        let mut shapes = shapes.chain(&form.reply.body).peekable();
        match &reply.tree {
            _ if shapes.peek().is_none() => reply.head().is_html(),
            _ if by_status && self.refusals.standard => reply.head().is_html(),
            Some(tree) => !foreign::is_kin(tree, shapes),
            None => true,
        }
    }

    fn granted(
        &self,
        form: &OperationForm,
        asking: &ClientValues<'_>,
        reply: &Reply<'_>,
    ) -> Result<GrantedTokens, UnintelligibleReply> {
        let bindings = reply.bindings(form)?;
        if let Some(signature) = &form.reply.signature {
            let found = bindings.text(&HoleWord::Signature).unwrap_or_default();
            if !signature.is_over(
                &Signed {
                    asking,
                    bindings: &bindings,
                },
                found,
            ) {
                return Err(UnintelligibleReply::Signature(reply.head()));
            }
        }
        let text = |word: HoleWord| bindings.text(&word).filter(|text| !text.is_empty());
        let access_token =
            text(HoleWord::AccessToken).ok_or_else(|| reply.fault("it has no access token"))?;
        let refresh_token = text(HoleWord::RefreshToken);
        if !std::iter::once(access_token)
            .chain(refresh_token)
            .all(is_printable)
        {
            return Err(reply.fault("its tokens have characters that no header carries"));
        }
        if let Some(why) = reply.misread_end(&bindings, access_token) {
            let head = reply.head();
            return Err(UnintelligibleReply::Expiry { head, why });
        }
        let (access_expires_at, access_life) = self.access_end(access_token, &bindings, reply)?;
        let refresh_expires_at = bindings.time(&HoleWord::RefreshExpiresAt);
        let refresh_life = bindings.life(&HoleWord::RefreshExpiresAt);
        let beside = self.expiry.refresh.filter(|_| refresh_expires_at.is_none());
        Ok(GrantedTokens {
            access_token: Secret::from(access_token),
            refresh_token: refresh_token.map(Secret::from),
            access_expires_at,
            refresh_expires_at: refresh_expires_at
                .or_else(|| beside?.end(refresh_token?, reply.now)),
            access_life,
            refresh_life: refresh_life.or_else(|| beside?.life()),
            now: bindings.time(&HoleWord::Now),
            date: date(reply.response.headers()),
            iat: unverified(access_token, "iat"),
            exp: unverified(access_token, "exp"),
            client_id: bindings.number(&HoleWord::ClientId),
            login: text(HoleWord::Login).map(str::to_owned),
            extra: bindings.extra(),
        })
    }

    /// From the reply, or else as the file says; with the life, if that is what
    /// is told.
    fn access_end(
        &self,
        token: &str,
        bindings: &HoleBindings,
        reply: &Reply<'_>,
    ) -> Result<(Timestamp, Option<Duration>), UnintelligibleReply> {
        let (word, now) = (&HoleWord::AccessExpiresAt, reply.now);
        let told = bindings.time(word).map(|end| (end, bindings.life(word)));
        let stated = || {
            let source = self.expiry.access?;
            Some((source.end(token, now)?, source.life()))
        };
        let sliding = || self.expiry.sliding.map(|span| (now + span, Some(span)));
        told.or_else(stated)
            .or_else(sliding)
            .ok_or_else(|| UnintelligibleReply::Expiry {
                head: reply.head(),
                why: "neither a field nor the token does".to_owned(),
            })
    }

    /// What the reply refuses; `None` if it is a success, or nothing known.
    fn refused(&self, reply: &Reply<'_>, succeeded: Succeeded) -> Option<Found> {
        let status = reply.response.status();
        // A vendor whose every status is a success may still have words of its own.
        let words_alone = status.is_success() && succeeded == Succeeded::No;
        let here = self.refusals.known.iter().filter(|known| {
            known.operation == reply.operation && (known.status == status || words_alone)
        });
        let judged = here.filter_map(|known| {
            let (score, bindings) = self.likeness(known, reply)?;
            let told = score.fields > 0 || (words_alone && score.detail);
            let score = (known.status == status, score);
            (told || !status.is_success()).then_some((score, known.refusal, bindings))
        });
        // The first of several equals in the order of the vocabulary, which begins
        // with the refusals of the operations' own credentials.
        let best = judged.reduce(|best, next| if next.0 > best.0 { next } else { best });
        let (recognised, refusal, bindings) = match best {
            Some(((_, score), refusal, bindings)) => {
                (score.fields > 0 || score.detail, refusal, bindings)
            }
            None if status.is_success() => return None,
            None => {
                let refusal = by_status(reply.operation, status)?;
                (false, refusal, self.errors(reply))
            }
        };
        Some(Found {
            by: reply.refusal(refusal, bindings.as_ref()),
            recognised,
            passes: passes_by_itself(status),
        })
    }

    /// How well a reply fits a refusal; `None` if a field says another one.
    fn likeness(
        &self,
        known: &KnownRefusal,
        reply: &Reply<'_>,
    ) -> Option<(Likeness, Option<HoleBindings>)> {
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
                .and_then(|b| b.text(&HoleWord::Field(name.clone())));
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

    fn errors(&self, reply: &Reply<'_>) -> Option<HoleBindings> {
        let (shape, tree) = self.refusals.shape.as_ref().zip(reply.tree.as_ref())?;
        reply_bindings(shape, tree, reply.now).ok()
    }
}

/// Whether a reply is a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Succeeded {
    /// It is not what a success is.
    No,
    /// It is, unless a refusal is in it.
    AsFarAsIsKnown,
}

/// A refusal that was found in a reply.
struct Found {
    by: RefusedBy,
    /// Whether the file's own fields or words say so, and not the status alone.
    recognised: bool,
    /// Whether it is one that a gateway may write in a form of its own.
    passes: bool,
}

/// How well a reply fits, the weightiest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Likeness {
    fields: usize,
    detail: bool,
}

struct Reply<'r> {
    operation: TokenOperation,
    response: &'r Response<Bytes>,
    tree: Option<JsonNode<'r>>,
    /// Why the body cannot be looked at, if it cannot.
    unread: Option<&'r String>,
    now: Timestamp,
}

impl Reply<'_> {
    fn succeeds(&self, form: &OperationForm) -> bool {
        let status = self.response.status();
        let good = if form.reply.status_stated {
            status == form.reply.status
        } else {
            status.is_success()
        };
        good && form.reply.success.iter().all(|test| self.passes(test))
    }

    /// Whether the reply says itself that it is not a success: what `success` looks
    /// at is there, with another value.
    fn denies(&self, form: &OperationForm) -> bool {
        let other = |test: &SuccessTest| {
            let found = self.tree.as_ref().and_then(|tree| tree.at(&test.pointer));
            found.is_some_and(|node| node.value != Json::Null) && !self.passes(test)
        };
        self.response.status().is_success() && form.reply.success.iter().any(other)
    }

    fn passes(&self, test: &SuccessTest) -> bool {
        let found = self.tree.as_ref().and_then(|tree| tree.at(&test.pointer));
        match (found.map(|node| &node.value), &test.equals) {
            (Some(Json::Text(found)), ConstantValue::Text(wanted)) => found == wanted,
            (Some(Json::Number(found)), ConstantValue::Number(wanted)) => {
                *found == wanted.to_string()
            }
            (Some(Json::Bool(found)), ConstantValue::Bool(wanted)) => found == wanted,
            _ => false,
        }
    }

    fn bindings(&self, form: &OperationForm) -> Result<HoleBindings, UnintelligibleReply> {
        let mut bindings = HoleBindings::new(self.now);
        if let Some(template) = &form.reply.body {
            let tree = self.tree.as_ref().ok_or_else(|| {
                let why = self.unread.map_or("it is not JSON", String::as_str);
                self.fault(why)
            })?;
            template
                .read(tree, ReadingMode::REPLY, &mut bindings)
                .map_err(|misfit| self.fault(misfit.in_words()))?;
        }
        for (name, pattern) in &form.reply.headers {
            self.header(name, pattern, &mut bindings)?;
        }
        Ok(bindings)
    }

    /// Of several headers of a name, the first that fits; of several cookies of a
    /// name, the last one.
    fn header(
        &self,
        name: &HeaderName,
        pattern: &TextPattern,
        bindings: &mut HoleBindings,
    ) -> Result<(), UnintelligibleReply> {
        if pattern.as_fixed().is_some() {
            return Ok(());
        }
        if *name == SET_COOKIE
            && let Some(cookie) = pattern.cookie_name()
        {
            return self.cookie(cookie, pattern, bindings);
        }
        let mut values = self.response.headers().get_all(name).iter().peekable();
        let fault = match values.peek() {
            None if pattern.is_optional() => return Ok(()),
            None => format!("it lacks the header {name}"),
            Some(_) => format!("its header {name} is there in another form"),
        };
        let mut values = values.filter_map(|value| value.to_str().ok());
        match values.any(|value| pattern.read(value, bindings)) {
            true => Ok(()),
            false if pattern.is_optional() && *name == SET_COOKIE => Ok(()),
            false => Err(self.fault(fault)),
        }
    }

    fn cookie(
        &self,
        name: &str,
        pattern: &TextPattern,
        bindings: &mut HoleBindings,
    ) -> Result<(), UnintelligibleReply> {
        let headers = self.response.headers();
        let clock = date(headers).unwrap_or(self.now);
        let kept = cookies::kept(headers, name, clock);
        // Its attributes are not looked at, unless the file has some.
        let mut spellings = kept.iter().rev().flat_map(|it| [&*it.pair, it.whole]);
        if spellings.any(|it| pattern.read(it, bindings)) || pattern.is_optional() {
            return Ok(());
        }
        Err(self.fault(match kept.is_empty() {
            false => format!("its cookie {name} (header set-cookie) is there in another form"),
            true if cookies::names(headers, name) => {
                format!("it deletes the cookie {name} (header set-cookie)")
            }
            true => format!("it lacks the cookie {name} (header set-cookie)"),
        }))
    }

    fn head(&self) -> ReplyHead {
        ReplyHead::from_response(self.response)
    }

    fn fault(&self, why: impl Into<String>) -> UnintelligibleReply {
        UnintelligibleReply::Body {
            head: self.head(),
            why: why.into(),
        }
    }

    /// What an end of a token seems to be instead, if it is an instant of the last
    /// century, or so far from now as now is from 1970. The vendor's clock may be
    /// in the last century, too.
    fn misread_end(&self, bindings: &HoleBindings, token: &str) -> Option<String> {
        let clocks = [
            bindings.time(&HoleWord::Now),
            date(self.response.headers()),
            unverified(token, "iat"),
        ];
        let clock_too = clocks.into_iter().flatten().any(is_before_tokens);
        let misread = |name: &str, word: &HoleWord| {
            let told = bindings.get(word)?;
            let (wire, time) = (told.wire.as_str(), told.time?);
            if let Some(life) = bindings.life(word) {
                let years = life.as_secs() / YEAR.as_secs();
                let codec = match life {
                    life if is_about(life, self.now) => "epoch",
                    life if is_about(life / 1000, self.now) => "epoch_ms",
                    life if life > LONGEST_LIFE => {
                        return Some(format!("{wire} seconds are {years} years"));
                    }
                    _ => return None,
                };
                return Some(format!(
                    "{wire} seconds are {years} years: is it an instant, `{{{name}:{codec}}}`?"
                ));
            }
            let is_number = wire.bytes().all(|byte| byte.is_ascii_digit());
            let cure = match is_number {
                true => format!(
                    ": is it a number of seconds from now, `{{{name}:in}}`, or in another unit?"
                ),
                false => String::new(),
            };
            (is_before_tokens(time) && !clock_too)
                .then(|| format!("{wire} is an instant of the last century{cure}"))
        };
        let access_life = bindings.life(&HoleWord::AccessExpiresAt);
        if access_life.is_some_and(|life| life.is_zero()) && unverified(token, "exp").is_none() {
            let why = "0 seconds are not a life: if it means that the token does not end, leave the \
                       field out and say in `[expiry]` how long it is used";
            return Some(why.to_owned());
        }
        misread("access_expires_at", &HoleWord::AccessExpiresAt)
            .or_else(|| misread("refresh_expires_at", &HoleWord::RefreshExpiresAt))
    }

    fn refusal(&self, refusal: Refusal, bindings: Option<&HoleBindings>) -> RefusedBy {
        let text = |word: HoleWord| {
            bindings
                .and_then(|bindings| bindings.text(&word))
                .map(str::to_owned)
        };
        RefusedBy {
            refusal,
            status: self.response.status().as_u16(),
            retry_after: retry_after(self.response.headers(), self.now),
            code: text(HoleWord::Field("code".into())),
            detail: text(HoleWord::Field("detail".into())).or_else(|| self.unread.cloned()),
            pointer: text(HoleWord::Pointer),
        }
    }
}

/// Whether a token is of the characters that RFC 6749 appendix A.12 knows.
fn is_printable(token: &str) -> bool {
    token.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// RFC 9110 section 6.6.1.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    Timestamp::from_http_date(headers.get(DATE)?.to_str().ok()?)
}

/// RFC 9110 section 10.2.3: seconds, or a date, which is one of the vendor's
/// clock.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let clock = date(headers).unwrap_or(now);
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: u64 = text.parse().unwrap_or(u64::MAX);
        let instant = match number {
            0..EARLIEST_INSTANT => return Some(Duration::from_secs(number)),
            EARLIEST_INSTANT..LATEST_INSTANT => number.saturating_mul(1000),
            millis => millis,
        };
        let micros = i64::try_from(instant.saturating_mul(1000)).unwrap_or(i64::MAX);
        return Some(Timestamp::from_micros(micros).since(clock));
    }
    Some(Timestamp::from_http_date(text)?.since(clock))
}

/// Nobody is told to come back in thirty years: some vendors tell the instant, in
/// seconds or milliseconds since 1970.
const EARLIEST_INSTANT: u64 = 1_000_000_000;
/// The first second with six digits of a year.
const LATEST_INSTANT: u64 = 253_402_300_800;

/// A body as JSON, or why it cannot be looked at, if it is JSON all the same: which
/// of two members of a name counts nobody knows.
fn tree(text: &[u8]) -> (Option<JsonNode<'_>>, Option<String>) {
    match json::parse(text, JsonRules::STRICT) {
        Ok(tree) => (Some(tree), None),
        Err(fault) => {
            let is_json = json::parse(text, JsonRules::FOREIGN).is_ok();
            let why = is_json.then(|| format!("it is JSON that cannot be used: {fault}"));
            (None, why)
        }
    }
}

/// A reply without the mark that some servers put before it, which a reader may
/// pass over (RFC 8259 section 8.1).
fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Whether a life is an instant of these years, counted from 1970.
fn is_about(life: Duration, now: Timestamp) -> bool {
    let since_1970 = now.since(Timestamp::from_seconds(0));
    life.abs_diff(since_1970) < YEAR
}

/// No token is meant to live longer; a time so far away could not be written.
const LONGEST_LIFE: Duration = Duration::from_secs(1 << 33);

const YEAR: Duration = Duration::from_hours(365 * 24);

/// Whether a status is one of those that pass, which whatever stands before a
/// vendor writes in its own form.
fn passes_by_itself(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// What a status means by itself (RFC 9110 section 15).
fn by_status(operation: TokenOperation, status: StatusCode) -> Option<Refusal> {
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
    asking: &'s ClientValues<'a>,
    bindings: &'s HoleBindings,
}

impl HoleValues for Signed<'_, '_> {
    fn datum(&self, word: &HoleWord) -> Option<HoleValue<'_>> {
        let asked = match word {
            HoleWord::Login | HoleWord::Secret | HoleWord::Extra(_) => self.asking.datum(word),
            _ => None,
        };
        asked.or_else(|| self.bindings.text(word).map(HoleValue::Text))
    }
}
