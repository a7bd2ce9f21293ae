//! `-v` of the client's commands: what was asked of the vendor and what it answered,
//! in its order and without a secret.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use countersign_check::{
    Redactor, SecretPlaceholders, ShownCurl, ShownExchange, ShownMessage, curl_line, request_values,
};
use countersign_client::{
    BoxFuture, Clock, Dialect, HttpTransport, Profile, RequestContext, Secret, ServerUrl,
    SystemClock, TokenOperation, Transport, TransportError, Variant,
};
use countersign_dialect::UnderstoodReply;
use http::{Request, Response};
use serde_json::Value;

use crate::exit::Failure;
use crate::output::{Output, Verbosity};

/// The exchanges of a command, shown as they happen if it was called with `-v`. Clones
/// share them.
#[derive(Clone)]
pub(super) struct Transcript {
    output: Output,
    heard: Arc<Mutex<RecordedExchanges>>,
}

#[derive(Default)]
struct RecordedExchanges {
    exchanges: Vec<ShownExchange>,
    /// What must not be shown, of all of them: a vendor may repeat it later.
    secrets: Vec<Secret>,
}

/// A request as it can be shown.
pub(super) struct ShownRequest {
    pub(super) operation: &'static str,
    pub(super) request: ShownMessage,
    pub(super) curl: Option<ShownCurl>,
}

/// What the vendor answered, or why it did not.
type VendorAnswer = Result<Response<Bytes>, TransportError>;

/// Who asks, and in which spelling.
#[derive(Clone)]
pub(super) struct TranscriptContext {
    pub(super) dialect: Arc<Dialect>,
    pub(super) variant: Variant,
    pub(super) login: String,
    /// Where the token endpoints are.
    pub(super) auth_url: ServerUrl,
}

impl Transcript {
    /// Of a command that prints like this.
    pub(super) fn new(output: &Output) -> Self {
        Self {
            output: output.clone(),
            heard: Arc::default(),
        }
    }

    /// Whether somebody asked for it.
    pub(super) fn is_wanted(&self) -> bool {
        self.output.verbosity() == Verbosity::Verbose
    }

    /// A transport whose exchanges are shown.
    pub(super) fn listening<T: Transport>(
        &self,
        inner: T,
        speaker: TranscriptContext,
    ) -> impl Transport {
        RecordedTransport {
            inner,
            speaker,
            transcript: self.clone(),
        }
    }

    /// A request goes out.
    pub(super) fn asks(&self, asked: &ShownRequest) {
        self.output.aside(asked.text().trim_end());
    }

    /// Its answer is there, or none comes. These are the secrets of both.
    pub(super) fn hears(
        &self,
        asked: ShownRequest,
        login: &str,
        answer: &VendorAnswer,
        secrets: impl IntoIterator<Item = Secret>,
    ) {
        let mut heard = self.heard();
        heard.secrets.extend(secrets);
        let redactor = Redactor::knowing(heard.secrets.iter().map(Secret::expose)).showing(login);
        let reply = match answer {
            Ok(response) => ShownMessage::replied(response, &redactor),
            Err(error) => ShownMessage::silent(&redactor.sentence(&error.message)),
        };
        let exchange = ShownExchange {
            operation: asked.operation,
            request: asked.request,
            reply,
            curl: asked.curl,
        };
        self.output.aside(exchange.answer_text().trim_end());
        heard.exchanges.push(exchange);
    }

    /// The member of a command's document; `None` where nobody asked for it.
    pub(super) fn document(&self) -> Option<Value> {
        let heard = self.heard();
        let exchanges = heard.exchanges.iter().map(ShownExchange::document);
        self.is_wanted().then(|| exchanges.collect())
    }

    /// The last exchange of an operation.
    pub(super) fn last(&self, operation: TokenOperation) -> Option<Value> {
        let heard = self.heard();
        let mut exchanges = heard.exchanges.iter().rev();
        let last = exchanges.find(|it| it.operation == operation.name());
        last.map(ShownExchange::document)
    }

    /// A document with the exchanges, if somebody asked for them.
    pub(super) fn added_to(&self, mut document: Value) -> Value {
        if let Some(exchanges) = self.document() {
            document["exchanges"] = exchanges;
        }
        document
    }

    /// A failure with the exchanges, if somebody asked for them.
    pub(super) fn failed(&self, failure: Failure) -> Failure {
        match self.document() {
            Some(exchanges) => failure.with_detail("exchanges", exchanges),
            None => failure,
        }
    }

    fn heard(&self) -> MutexGuard<'_, RecordedExchanges> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ShownRequest {
    fn text(&self) -> String {
        format!("* {}\n{}", self.operation, self.request.text("> "))
    }
}

impl TranscriptContext {
    /// A profile's.
    pub(super) fn for_profile(profile: &Profile) -> Self {
        Self {
            dialect: profile.dialect.clone(),
            variant: profile.variant,
            login: profile.login.clone(),
            auth_url: profile.auth_url.clone(),
        }
    }

    /// A request as it can be shown: it is written anew, without its secrets. `None` if
    /// that is not possible.
    fn shown_request(&self, context: &RequestContext) -> Option<ShownRequest> {
        let names = SecretPlaceholders::for_request(context);
        let mut request = names.request(&self.dialect, self.variant, &self.login)?;
        let (path, query) = (request.uri().path(), request.uri().query());
        let url = self.auth_url.target(path, query).ok()?.to_string();
        let is_login = context.operation == TokenOperation::Login;
        let curl = is_login.then(|| ShownCurl {
            line: curl_line(&request, &url, &names),
            escaped: is_json(&request) && context.secret.as_ref().is_some_and(is_escaped),
        });
        // curl has its own.
        HttpTransport::add_usual_headers(request.headers_mut());
        Some(ShownRequest {
            operation: context.operation.name(),
            request: ShownMessage::request(&request, &url, &names),
            curl,
        })
    }

    /// The secrets that an answer brings.
    fn granted(&self, context: &RequestContext, answer: &VendorAnswer) -> Vec<Secret> {
        let (Ok(response), asking) = (answer, request_values(context, &self.login)) else {
            return Vec::new();
        };
        let (operation, now) = (context.operation, SystemClock.now());
        let understood = self
            .dialect
            .understand(operation, self.variant, &asking, response, now);
        let Ok(UnderstoodReply::Granted(tokens)) = understood else {
            return Vec::new();
        };
        let own = [tokens.access_token]
            .into_iter()
            .chain(tokens.refresh_token);
        own.chain(tokens.extra.into_values()).collect()
    }
}

/// A transport whose exchanges are written down.
struct RecordedTransport<T> {
    inner: T,
    speaker: TranscriptContext,
    transcript: Transcript,
}

impl<T: Transport> Transport for RecordedTransport<T> {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, VendorAnswer> {
        Box::pin(async move {
            let context = request.extensions().get::<RequestContext>().cloned();
            let asked = context
                .as_ref()
                .and_then(|it| self.speaker.shown_request(it));
            let Some((context, asked)) = context.zip(asked) else {
                return self.inner.send(request).await;
            };
            self.transcript.asks(&asked);
            let answer = self.inner.send(request).await;
            let granted = self.speaker.granted(&context, &answer);
            let secrets = context.secrets().cloned().chain(granted);
            let login = &self.speaker.login;
            self.transcript.hears(asked, login, &answer, secrets);
            answer
        })
    }
}

fn is_json(request: &Request<Bytes>) -> bool {
    request.body().starts_with(b"{")
}

/// Whether a secret has quotes or what else JSON cannot hold as it is.
fn is_escaped(secret: &Secret) -> bool {
    Value::from(secret.expose()).to_string().len() != secret.expose().len() + 2
}
