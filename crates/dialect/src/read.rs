//! Requests of the token endpoints: from bytes to a [`TokenCommand`], or to the precise
//! cause why not.
//!
//! The checks have a fixed order, so that each bad request has one answer and costs a
//! bounded amount of work: path, method, size, coding, media type, JSON, form, fields.

use std::borrow::Cow;

use countersign_domain::{Reason, Timestamp, TokenOperation};
use http::Method;
use http::request::Parts;

use crate::accept::MistypedField;
use crate::form::{OperationForm, RequestPayload};
use crate::hole_word::{HoleBindings, HoleWord};
use crate::json::{self, Json, JsonNode, JsonRules};
use crate::media;
use crate::placement::{ReadStop, basic, header, query};
use crate::template::{JsonTemplate, MisfitReason, ReadingMode, TemplateMisfit};
use crate::{Dialect, FoundEndpoint, RequestReadError, RequestedForm, Secret, TokenCommand};

impl Dialect {
    /// A path as the dialect reads it, with slashes merged if the dialect says so. A
    /// guard must judge and forward this path.
    pub fn read_path<'p>(&self, path: &'p str) -> Cow<'p, str> {
        self.accept.merged(path)
    }

    /// What is served at a path for a method. Only the path and the rules about slashes
    /// decide, before a body is read.
    pub fn find(&self, method: &Method, path: &str) -> FoundEndpoint {
        let path = self.read_path(path);
        let here: Vec<&OperationForm> = self.at(&path).map(|(_, form)| form).collect();
        let Some(first) = here.first() else {
            return FoundEndpoint::NotMine;
        };
        if let Some(form) = here.iter().find(|form| form.method == method) {
            return FoundEndpoint::Operation(form.operation);
        }
        let mut verbs: Vec<&str> = here.iter().map(|form| form.method.as_str()).collect();
        verbs.sort_unstable();
        verbs.dedup();
        FoundEndpoint::WrongMethod {
            operation: first.operation,
            allow: verbs.join(", "),
        }
    }

    /// Reads a request of a token endpoint.
    ///
    /// # Errors
    ///
    /// The precise cause, which [`Dialect::write_refusal`] turns into a reply.
    pub fn read_request(
        &self,
        parts: &Parts,
        body: &[u8],
    ) -> Result<TokenCommand, RequestReadError> {
        let operation = match self.find(&parts.method, parts.uri.path()) {
            FoundEndpoint::Operation(operation) => operation,
            FoundEndpoint::NotMine => {
                let stop = ReadStop::new(Reason::PathUnknown, "no operation is at this path");
                return Err(stop.at_operation(TokenOperation::Guard));
            }
            FoundEndpoint::WrongMethod { operation, .. } => {
                let stop = ReadStop::new(
                    Reason::MethodUnknown,
                    "the path is served, this method is not",
                );
                return Err(stop.at_operation(operation));
            }
        };
        if body.len() > self.accept.max_body {
            let stop = ReadStop::new(Reason::RequestTooLarge, "the body is larger than is read");
            return Err(stop.at_operation(operation));
        }
        let path = self.read_path(parts.uri.path());
        let candidates: Vec<_> = self
            .at(&path)
            .filter(|(_, form)| form.method == parts.method)
            .collect();
        let node = self
            .body(parts, body, &candidates)
            .map_err(|stop| stop.at_operation(operation))?;
        let Some((index, form)) = choose(&candidates, node.as_ref()) else {
            return Err(ReadStop::malformed("no form fits").at_operation(operation));
        };
        let asked = RequestedForm {
            operation: form.operation,
            variant: form.variant,
            form: index,
        };
        self.command(asked, form, parts, node.as_ref())
            .map_err(|stop| stop.at_operation(form.operation))
    }

    /// The forms at a path with merged slashes, and their positions.
    fn at<'p>(&'p self, path: &'p str) -> impl Iterator<Item = (u8, &'p OperationForm)> {
        let forms = self.forms.iter().enumerate();
        forms
            .filter(move |(_, form)| self.accept.is_path(&form.path, path))
            .filter_map(|(index, form)| Some((u8::try_from(index).ok()?, form)))
    }

    /// The body as a tree; `None` if no form at the path has a body.
    fn body<'b>(
        &self,
        parts: &Parts,
        body: &'b [u8],
        candidates: &[(u8, &OperationForm)],
    ) -> Result<Option<JsonNode<'b>>, ReadStop> {
        let takes = |wanted: fn(&RequestPayload) -> bool| {
            candidates
                .iter()
                .any(|(_, form)| wanted(&form.request.payload))
        };
        let json = takes(|payload| matches!(payload, RequestPayload::Json(_)));
        let form = takes(|payload| matches!(payload, RequestPayload::Urlencoded(_)));
        if !json && !form {
            return Ok(None);
        }
        if media::is_encoded(&parts.headers) {
            return Err(unsupported("the body has a content coding"));
        }
        let media = media::essence(&parts.headers).map_err(unsupported)?;
        if form && (media == "application/x-www-form-urlencoded" || (!json && media.is_empty())) {
            return media::urlencoded(body)
                .map(Some)
                .map_err(ReadStop::malformed);
        }
        let taken = candidates
            .iter()
            .flat_map(|(_, form)| &form.request.accept_media);
        if !json || !self.accept.media.iter().chain(taken).any(|it| *it == media) {
            return Err(unsupported("the media type is not accepted"));
        }
        let tree = json::parse(body, JsonRules::STRICT);
        tree.map(Some)
            .map_err(|fault| ReadStop::malformed(format!("the body is not JSON: {fault}")))
    }

    fn command(
        &self,
        asked: RequestedForm,
        form: &OperationForm,
        parts: &Parts,
        node: Option<&JsonNode<'_>>,
    ) -> Result<TokenCommand, ReadStop> {
        let mut bindings = HoleBindings::new(Timestamp::default());
        if let Some(form) = &form.request.basic {
            basic(&parts.headers, form, &mut bindings)?;
        }
        for (name, pattern) in &form.request.headers {
            header(&parts.headers, name, pattern, &mut bindings)?;
        }
        query(
            parts.uri.query().unwrap_or_default(),
            &form.request.query,
            &mut bindings,
        )?;
        if let (RequestPayload::Json(template) | RequestPayload::Urlencoded(template), Some(node)) =
            (&form.request.payload, node)
        {
            self.fields(template, node, &mut bindings)?;
        }
        self.commanded(asked, &bindings)
    }

    fn fields(
        &self,
        template: &JsonTemplate,
        node: &JsonNode<'_>,
        bindings: &mut HoleBindings,
    ) -> Result<(), ReadStop> {
        let reading = ReadingMode {
            loose: self.accept.numbers,
            ..ReadingMode::REQUEST
        };
        let Err(TemplateMisfit {
            because, pointer, ..
        }) = template.bind(node, reading, bindings)
        else {
            return Ok(());
        };
        let (reason, detail) = match because {
            MisfitReason::Missing | MisfitReason::ConstantMissing => {
                (Reason::FieldMissing, "is missing")
            }
            MisfitReason::WrongType
                if self.accept.mistyped == MistypedField::Missing && is_object(node) =>
            {
                (Reason::FieldMissing, "is of the wrong type")
            }
            MisfitReason::WrongType => (Reason::RequestMalformed, "is of the wrong type"),
            MisfitReason::ConstantDiffers => (Reason::RequestMalformed, "is not what it must be"),
        };
        let detail = format!(
            "{} {detail}",
            if pointer.is_empty() {
                "the body"
            } else {
                &pointer
            }
        );
        Err(ReadStop {
            reason,
            pointer: Some(pointer),
            detail,
        })
    }

    fn commanded(
        &self,
        asked: RequestedForm,
        bindings: &HoleBindings,
    ) -> Result<TokenCommand, ReadStop> {
        let secret = |word: HoleWord, reason| {
            let text = bindings.text(&word).filter(|text| !text.is_empty());
            text.map(Secret::from)
                .ok_or_else(|| ReadStop::new(reason, "a credential is missing"))
        };
        let login = || {
            let login = self.accept.fold_login(bindings.text(&HoleWord::Login)?);
            (!login.is_empty()).then_some(login)
        };
        Ok(match asked.operation {
            TokenOperation::Login => TokenCommand::Login {
                asked,
                login: login()
                    .ok_or_else(|| ReadStop::new(Reason::FieldMissing, "the login is missing"))?,
                secret: secret(HoleWord::Secret, Reason::FieldMissing)?,
                extra: bindings.extra(),
            },
            TokenOperation::Refresh => TokenCommand::Refresh {
                asked,
                refresh_token: secret(HoleWord::RefreshToken, Reason::TokenMissing)
                    .or_else(|stop| secret(HoleWord::AccessToken, stop.reason))?,
                credential: login().zip(bindings.text(&HoleWord::Secret).map(Secret::from)),
                extra: bindings.extra(),
            },
            TokenOperation::Logout | TokenOperation::Guard => TokenCommand::Logout {
                asked,
                access_token: secret(HoleWord::AccessToken, Reason::TokenMissing)
                    .or_else(|stop| secret(HoleWord::RefreshToken, stop.reason))?,
            },
        })
    }
}

/// The form with the longest `when` that matches; otherwise the first form without a
/// `when`; otherwise the first form.
fn choose<'f>(
    candidates: &[(u8, &'f OperationForm)],
    node: Option<&JsonNode<'_>>,
) -> Option<(u8, &'f OperationForm)> {
    let holds = |form: &OperationForm| {
        let there = |pointer: &String| {
            let found = node.and_then(|node| node.at(pointer));
            found.is_some_and(|found| found.value != Json::Null)
        };
        form.when.iter().all(there)
    };
    let longest = |best: (u8, &'f OperationForm), next: (u8, &'f OperationForm)| {
        if next.1.when.len() > best.1.when.len() {
            next
        } else {
            best
        }
    };
    let fitting = candidates.iter().copied().filter(|(_, form)| holds(form));
    fitting.reduce(longest).or(candidates.first().copied())
}

fn unsupported(detail: &str) -> ReadStop {
    ReadStop::new(Reason::MediaUnsupported, detail)
}

fn is_object(node: &JsonNode<'_>) -> bool {
    matches!(node.value, Json::Object(_))
}
