//! One request of a client and its response, with every secret removed, so that it can be shown.

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Map, Value, json};

use crate::{Redactor, SecretPlaceholders};

/// A request and its answer as they can be shown.
pub struct ShownExchange {
    /// What was asked for.
    pub operation: &'static str,
    /// The request.
    pub request: ShownMessage,
    /// The answer, or why there is none.
    pub reply: ShownMessage,
    /// The request for a shell, where that is of use.
    pub curl: Option<ShownCurl>,
}

/// The same request for a shell.
pub struct ShownCurl {
    /// The line.
    pub line: String,
    /// Whether the variable of the line has to be written otherwise than the
    /// secret.
    pub escaped: bool,
}

/// A request or an answer.
pub struct ShownMessage {
    /// `POST https://…` or `200 OK`.
    pub first: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body, as text.
    pub body: String,
}

impl ShownExchange {
    /// What comes after the request, for people, in the way of `curl -v`.
    pub fn answer_text(&self) -> String {
        let mut text = self.reply.text("< ");
        if let Some(curl) = &self.curl {
            let escaped = match curl.escaped {
                true => ", escaped as JSON wants it",
                false => "",
            };
            text.push_str(&format!(
                "\nThe same with curl, the secret in COUNTERSIGN_SECRET{escaped}:\n{}\n",
                curl.line
            ));
        }
        text
    }

    /// For programs.
    pub fn document(&self) -> Value {
        let mut document = json!({
            "operation": self.operation,
            "request": self.request.document(),
            "reply": self.reply.document(),
        });
        if let Some(curl) = &self.curl {
            document["curl"] = curl.line.as_str().into();
        }
        document
    }
}

impl ShownMessage {
    /// A request that was written with placeholders.
    pub fn request(request: &Request<Bytes>, url: &str, names: &SecretPlaceholders) -> Self {
        let headers = request.headers().iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.to_string(), names.shown(&value))
        });
        Self {
            first: format!("{} {}", request.method(), names.shown(url)),
            headers: headers.collect(),
            body: names.shown(&String::from_utf8_lossy(request.body())),
        }
    }

    /// An answer.
    pub fn replied(response: &Response<Bytes>, redactor: &Redactor) -> Self {
        Self {
            first: response.status().to_string(),
            headers: redactor.headers(response.headers()),
            body: redactor.body(response.body()),
        }
    }

    /// What stands for an answer that did not come.
    pub fn silent(why: &str) -> Self {
        Self {
            first: format!("no answer: {why}"),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// Each line with this mark before it.
    pub fn text(&self, mark: &str) -> String {
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
