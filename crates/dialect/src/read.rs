//! Requests of the token endpoints: from bytes to a [`Command`], or to the
//! precise cause why not.
//!
//! The order is fixed, so that each bad request has one answer and costs
//! bounded work: path, method, size, coding, media type, JSON, form, fields.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign_domain::{Operation, Reason, Timestamp};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::accept::Mistyped;
use crate::form::{Form, Payload};
use crate::guard::is_token68;
use crate::json::{self, Json, Node, Rules};
use crate::media;
use crate::pattern::{Part, Pattern};
use crate::template::{Because, Misfit, Reading, Template};
use crate::word::{Bindings, Word};
use crate::{Asked, Command, Dialect, Found, Secret, Unread};

/// Where and why reading stopped; the operation is added by the caller.
struct Stop {
    reason: Reason,
    pointer: Option<String>,
    detail: String,
}

impl Stop {
    fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            pointer: None,
            detail: detail.into(),
        }
    }

    fn malformed(detail: impl Into<String>) -> Self {
        Self::new(Reason::RequestMalformed, detail)
    }

    fn of(self, operation: Operation) -> Unread {
        let Self {
            reason,
            pointer,
            detail,
        } = self;
        Unread {
            operation,
            reason,
            pointer,
            detail,
        }
    }
}

impl Dialect {
    /// What a path and method lead to. Judged by the path and the slash rule
    /// alone, before a body is read.
    pub fn find(&self, method: &Method, path: &str) -> Found {
        let here: Vec<&Form> = self.at(path).map(|(_, form)| form).collect();
        let Some(first) = here.first() else {
            return Found::NotMine;
        };
        if let Some(form) = here.iter().find(|form| form.method == method) {
            return Found::Operation(form.operation);
        }
        let mut verbs: Vec<&str> = here.iter().map(|form| form.method.as_str()).collect();
        verbs.sort_unstable();
        verbs.dedup();
        Found::WrongMethod {
            operation: first.operation,
            allow: verbs.join(", "),
        }
    }

    /// Reads a request of a token endpoint.
    ///
    /// # Errors
    ///
    /// The precise cause, which [`Dialect::refuse`] then spells.
    pub fn read(&self, parts: &Parts, body: &[u8]) -> Result<Command, Unread> {
        let operation = match self.find(&parts.method, parts.uri.path()) {
            Found::Operation(operation) => operation,
            Found::NotMine => {
                let stop = Stop::new(Reason::PathUnknown, "no operation is at this path");
                return Err(stop.of(Operation::Guard));
            }
            Found::WrongMethod { operation, .. } => {
                let stop = Stop::new(
                    Reason::MethodUnknown,
                    "the path is served, this method is not",
                );
                return Err(stop.of(operation));
            }
        };
        if body.len() > self.accept.max_body {
            let stop = Stop::new(Reason::RequestTooLarge, "the body is larger than is read");
            return Err(stop.of(operation));
        }
        let candidates: Vec<_> = self
            .at(parts.uri.path())
            .filter(|(_, form)| form.method == parts.method)
            .collect();
        let node = self
            .body(parts, body, &candidates)
            .map_err(|stop| stop.of(operation))?;
        let Some((index, form)) = choose(&candidates, node.as_ref()) else {
            return Err(Stop::malformed("no form fits").of(operation));
        };
        let asked = Asked {
            operation: form.operation,
            variant: form.variant,
            form: index,
        };
        self.command(asked, form, parts, node.as_ref())
            .map_err(|stop| stop.of(form.operation))
    }

    /// The forms at a path, with their places.
    fn at<'p>(&'p self, path: &'p str) -> impl Iterator<Item = (u8, &'p Form)> {
        let bare = |path: &'p str| match self.accept.slash_optional {
            true => path.strip_suffix('/').unwrap_or(path),
            false => path,
        };
        let forms = self.forms.iter().enumerate();
        forms
            .filter(move |(_, form)| bare(&form.path) == bare(path))
            .filter_map(|(index, form)| Some((u8::try_from(index).ok()?, form)))
    }

    /// The body as a tree; `None` where no form at the path has one.
    fn body<'b>(
        &self,
        parts: &Parts,
        body: &'b [u8],
        candidates: &[(u8, &Form)],
    ) -> Result<Option<Node<'b>>, Stop> {
        let takes = |wanted: fn(&Payload) -> bool| {
            candidates
                .iter()
                .any(|(_, form)| wanted(&form.request.payload))
        };
        let json = takes(|payload| matches!(payload, Payload::Json(_)));
        let form = takes(|payload| matches!(payload, Payload::Urlencoded(_)));
        if !json && !form {
            return Ok(None);
        }
        if media::is_encoded(&parts.headers) {
            return Err(Stop::malformed("the body has a content coding"));
        }
        let media = media::essence(&parts.headers).map_err(Stop::malformed)?;
        if form && (media == "application/x-www-form-urlencoded" || (!json && media.is_empty())) {
            return media::urlencoded(body).map(Some).map_err(Stop::malformed);
        }
        if !json || !self.accept.media.contains(&media) {
            return Err(Stop::malformed("the media type is not accepted"));
        }
        let tree = json::parse(body, Rules::STRICT);
        tree.map(Some)
            .map_err(|fault| Stop::malformed(format!("the body is not JSON: {fault}")))
    }

    fn command(
        &self,
        asked: Asked,
        form: &Form,
        parts: &Parts,
        node: Option<&Node<'_>>,
    ) -> Result<Command, Stop> {
        let mut bindings = Bindings::new(Timestamp::default());
        if let Some((user, password)) = &form.request.basic {
            basic(&parts.headers, user, password, &mut bindings)?;
        }
        for (name, pattern) in &form.request.headers {
            header(&parts.headers, name, pattern, &mut bindings)?;
        }
        query(
            parts.uri.query().unwrap_or_default(),
            &form.request.query,
            &mut bindings,
        )?;
        if let (Payload::Json(template) | Payload::Urlencoded(template), Some(node)) =
            (&form.request.payload, node)
        {
            self.fields(template, node, &mut bindings)?;
        }
        self.commanded(asked, &bindings)
    }

    fn fields(
        &self,
        template: &Template,
        node: &Node<'_>,
        bindings: &mut Bindings,
    ) -> Result<(), Stop> {
        let reading = Reading {
            loose: self.accept.numbers,
            ..Reading::REQUEST
        };
        let Err(Misfit { because, pointer }) = template.read(node, reading, bindings) else {
            return Ok(());
        };
        let (reason, detail) = match because {
            Because::Missing | Because::ConstantMissing => (Reason::FieldMissing, "is missing"),
            Because::WrongType if self.accept.mistyped == Mistyped::Missing && is_object(node) => {
                (Reason::FieldMissing, "is of the wrong type")
            }
            Because::WrongType => (Reason::RequestMalformed, "is of the wrong type"),
            Because::ConstantDiffers => (Reason::RequestMalformed, "is not what it must be"),
        };
        let detail = format!(
            "{} {detail}",
            if pointer.is_empty() {
                "the body"
            } else {
                &pointer
            }
        );
        Err(Stop {
            reason,
            pointer: Some(pointer),
            detail,
        })
    }

    fn commanded(&self, asked: Asked, bindings: &Bindings) -> Result<Command, Stop> {
        let secret = |word: Word, reason| {
            let text = bindings.text(&word).filter(|text| !text.is_empty());
            text.map(Secret::from)
                .ok_or_else(|| Stop::new(reason, "a credential is missing"))
        };
        let login = || {
            let login = self.accept.fold_login(bindings.text(&Word::Login)?);
            (!login.is_empty()).then_some(login)
        };
        Ok(match asked.operation {
            Operation::Login => Command::Login {
                asked,
                login: login()
                    .ok_or_else(|| Stop::new(Reason::FieldMissing, "the login is missing"))?,
                secret: secret(Word::Secret, Reason::FieldMissing)?,
                extra: bindings.extra(),
            },
            Operation::Refresh => Command::Refresh {
                asked,
                refresh_token: secret(Word::RefreshToken, Reason::TokenMissing)
                    .or_else(|stop| secret(Word::AccessToken, stop.reason))?,
                credential: login().zip(bindings.text(&Word::Secret).map(Secret::from)),
                extra: bindings.extra(),
            },
            Operation::Logout | Operation::Guard => Command::Logout {
                asked,
                access_token: secret(Word::AccessToken, Reason::TokenMissing)
                    .or_else(|stop| secret(Word::RefreshToken, stop.reason))?,
            },
        })
    }
}

/// The form with the longest `when` that holds; or else the first without one;
/// or else the first.
fn choose<'f>(candidates: &[(u8, &'f Form)], node: Option<&Node<'_>>) -> Option<(u8, &'f Form)> {
    let holds = |form: &Form| {
        let there = |pointer: &String| node.is_some_and(|node| node.at(pointer).is_some());
        form.when.iter().all(there)
    };
    let longest = |best: (u8, &'f Form), next: (u8, &'f Form)| {
        if next.1.when.len() > best.1.when.len() {
            next
        } else {
            best
        }
    };
    let fitting = candidates.iter().copied().filter(|(_, form)| holds(form));
    fitting.reduce(longest).or(candidates.first().copied())
}

fn is_object(node: &Node<'_>) -> bool {
    matches!(node.value, Json::Object(_))
}

/// What to say where a header with a credential is not there.
fn absent(pattern: &Pattern) -> Stop {
    let token = pattern
        .holes()
        .any(|h| matches!(h.word, Word::AccessToken | Word::RefreshToken));
    let reason = if token {
        Reason::TokenMissing
    } else {
        Reason::FieldMissing
    };
    Stop::new(reason, "a header is missing")
}

/// The one value of a header; `None` if it is not sent.
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

fn header(
    headers: &HeaderMap,
    name: &HeaderName,
    pattern: &Pattern,
    bindings: &mut Bindings,
) -> Result<(), Stop> {
    if pattern.holes().next().is_none() {
        return Ok(());
    }
    let value =
        only(headers, name).map_err(|()| Stop::malformed(format!("{name} is sent twice")))?;
    let Some(value) = value else {
        return Err(absent(pattern));
    };
    let text = value
        .to_str()
        .map_err(|_| Stop::malformed(format!("{name} is not ASCII")))?;
    let text = match name == AUTHORIZATION {
        true => with_scheme(text, pattern).ok_or_else(|| absent(pattern))?,
        false => Cow::Borrowed(text),
    };
    let fits = pattern.read(&text, bindings);
    let token = |word| bindings.text(&word).is_none_or(is_token68);
    if fits && token(Word::AccessToken) && token(Word::RefreshToken) {
        return Ok(());
    }
    match text.is_empty() {
        true => Err(absent(pattern)),
        false => Err(Stop::malformed(format!(
            "{name} is not of the form it must have"
        ))),
    }
}

/// The value with the scheme in the pattern's spelling, since schemes have no
/// case (RFC 9110 section 11.1); `None` if the scheme is another.
pub(crate) fn with_scheme<'t>(text: &'t str, pattern: &Pattern) -> Option<Cow<'t, str>> {
    let Some(Part::Text(fixed)) = pattern.0.first() else {
        return Some(Cow::Borrowed(text));
    };
    let Some((scheme, _)) = fixed.split_once(' ') else {
        return Some(Cow::Borrowed(text));
    };
    let (found, rest) = text.split_once(' ').unwrap_or((text, ""));
    found
        .eq_ignore_ascii_case(scheme)
        .then(|| Cow::Owned(format!("{scheme} {rest}")))
}

/// HTTP Basic (RFC 7617). Another scheme presents nothing.
fn basic(
    headers: &HeaderMap,
    user: &Pattern,
    password: &Pattern,
    bindings: &mut Bindings,
) -> Result<(), Stop> {
    let missing = || Stop::new(Reason::FieldMissing, "no Basic credentials are sent");
    let twice = |()| Stop::malformed("authorization is sent twice");
    let value = only(headers, &AUTHORIZATION)
        .map_err(twice)?
        .ok_or_else(missing)?;
    let broken = || Stop::malformed("the Basic credentials cannot be read");
    let (scheme, coded) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
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
    let fits = user.read(left, bindings) && password.read(right, bindings);
    if fits { Ok(()) } else { Err(broken()) }
}

fn query(text: &str, fields: &[(String, Pattern)], bindings: &mut Bindings) -> Result<(), Stop> {
    if fields.is_empty() {
        return Ok(());
    }
    let node = media::urlencoded(text.as_bytes()).map_err(Stop::malformed)?;
    for (name, pattern) in fields
        .iter()
        .filter(|(_, pattern)| pattern.holes().next().is_some())
    {
        match node.member(name).map(|node| &node.value) {
            Some(Json::Text(value)) if !value.is_empty() => {
                if !pattern.read(value, bindings) {
                    return Err(Stop::malformed(format!(
                        "the query's {name} cannot be read"
                    )));
                }
            }
            _ => return Err(absent(pattern)),
        }
    }
    Ok(())
}
