//! `login -v`: what went to the vendor and what came back, without a secret.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use countersign_client::{BoxFuture, Profile, Transport, TransportError};
use countersign_dialect::Secret;
use http::{Request, Response};
use serde_json::{Map, Value, json};

use super::curl;
use super::placeholders::Placeholders;
use super::redact::Redactor;

/// What the vendor answered, or why it did not.
type Answer = Result<Response<Bytes>, TransportError>;

/// A transport that keeps the last answer. The request it does not keep: what
/// is shown of it is written anew, without its secrets.
pub(super) struct Listening<T> {
    inner: T,
    heard: Heard,
}

/// The last answer.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Option<Answer>>>);

impl<T: Transport> Listening<T> {
    /// Sends through `inner`, and keeps what it gives.
    pub(super) fn new(inner: T, heard: Heard) -> Self {
        Self { inner, heard }
    }
}

impl<T: Transport> Transport for Listening<T> {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Answer> {
        Box::pin(async move {
            let answer = self.inner.send(request).await;
            let mut heard = self.heard.0.lock().unwrap_or_else(PoisonError::into_inner);
            *heard = Some(answer.clone());
            answer
        })
    }
}

/// A login as it can be shown.
pub(super) struct Exchange {
    request: Message,
    reply: Message,
    curl: String,
    /// Whether the variable of the line has to be written otherwise than the
    /// secret.
    escaped: bool,
}

struct Message {
    /// `POST https://…` or `200 OK`.
    first: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Exchange {
    /// The login of a profile. `None` if there was none.
    pub(super) fn of(
        profile: &Profile,
        secret: &Secret,
        heard: &Heard,
        redactor: &Redactor,
    ) -> Option<Self> {
        let heard = heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = heard.as_ref()?;
        let names = Placeholders::new(profile.extra.keys().map(String::as_str));
        let request = names.request(&profile.dialect, profile.variant, &profile.login)?;
        let uri = request.uri();
        let url = profile
            .auth_url
            .target(uri.path(), uri.query())
            .ok()?
            .to_string();
        let reply = match answer {
            Ok(response) => replied(response, redactor),
            Err(error) => silent(error),
        };
        Some(Self {
            escaped: is_json(&request) && is_escaped(secret),
            curl: curl::line(&request, &url, &names),
            request: asked(&request, &url, &names),
            reply,
        })
    }

    /// For people, in the way of `curl -v`.
    pub(super) fn text(&self) -> String {
        format!(
            "{}{}\nThe same with curl, the secret in COUNTERSIGN_SECRET{}:\n{}\n",
            self.request.text("> "),
            self.reply.text("< "),
            if self.escaped {
                ", escaped as JSON wants it"
            } else {
                ""
            },
            self.curl,
        )
    }

    /// For programs.
    pub(super) fn document(&self) -> Value {
        json!({
            "request": self.request.document(),
            "reply": self.reply.document(),
            "curl": self.curl,
        })
    }
}

impl Message {
    fn text(&self, mark: &str) -> String {
        let mut lines = vec![self.first.clone()];
        let headers = self.headers.iter();
        lines.extend(headers.map(|(name, value)| format!("{name}: {value}")));
        if !self.body.is_empty() {
            lines.push(String::new());
            lines.extend(self.body.lines().map(str::to_owned));
        }
        let marked = lines.iter().map(|line| format!("{mark}{line}"));
        marked
            .map(|line| format!("{}\n", line.trim_end()))
            .collect()
    }

    fn document(&self) -> Value {
        let headers = self.headers.iter();
        let headers: Map<_, _> = headers
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        json!({ "first": self.first, "headers": headers, "body": self.body })
    }
}

fn is_json(request: &Request<Bytes>) -> bool {
    request.body().starts_with(b"{")
}

/// Whether the secret has quotes or what else JSON cannot hold as it is.
fn is_escaped(secret: &Secret) -> bool {
    Value::from(secret.expose()).to_string().len() != secret.expose().len() + 2
}

fn asked(request: &Request<Bytes>, url: &str, names: &Placeholders) -> Message {
    let headers = request.headers().iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.to_string(), names.shown(&value))
    });
    Message {
        first: format!("{} {}", request.method(), names.shown(url)),
        headers: headers.collect(),
        body: names.shown(&String::from_utf8_lossy(request.body())),
    }
}

fn replied(response: &Response<Bytes>, redactor: &Redactor) -> Message {
    Message {
        first: response.status().to_string(),
        headers: redactor.headers(response.headers()),
        body: redactor.body(response.body()),
    }
}

fn silent(error: &TransportError) -> Message {
    Message {
        first: format!("no answer: {error}"),
        headers: Vec::new(),
        body: String::new(),
    }
}
