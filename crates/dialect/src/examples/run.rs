//! Checks one exchange in both directions.

use bytes::Bytes;
use countersign_domain::{Reason, Refusal, Timestamp, TokenOperation};
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request};

use super::annotations::{self, FlawAndHelp, is_time, shown};
use super::values::{HeardRequest, NAMES, RequestParts, asked_form, of_granted, of_refused};
use super::{ExampleExchange, compare};
use crate::instant::instant;
use crate::{
    Dialect, FoundEndpoint, GrantedTokens, PresentedCredential, RequestReadError, Secret,
    TokenCommand, TokenGrant, TokenRefusal, UnderstoodReply, Variant,
};

/// 2024-01-15T09:30:00Z
const NOW: Timestamp = Timestamp::from_seconds(1_705_311_000);

/// The differences from the record.
pub(super) fn run(dialect: &Dialect, exchange: &ExampleExchange) -> Vec<FlawAndHelp> {
    let mistakes = annotations::mistakes(dialect, exchange);
    if !mistakes.is_empty() {
        return mistakes;
    }
    let run = ExampleRun::new(dialect, exchange);
    let differences = run.both().err().unwrap_or_default();
    differences.into_iter().map(|it| (it, None)).collect()
}

struct ExampleRun<'r> {
    dialect: &'r Dialect,
    exchange: &'r ExampleExchange,
    now: Timestamp,
    refusal: Option<Refusal>,
    /// The methods that the path has, if the request's is none of them.
    allow: Option<String>,
    heard: HeardRequest,
}

impl<'r> ExampleRun<'r> {
    /// Checks that the annotations have no mistakes.
    fn new(dialect: &'r Dialect, exchange: &'r ExampleExchange) -> Self {
        let now = exchange
            .annotation("now")
            .and_then(|text| instant(text, false));
        let (method, path) = (exchange.request.method(), exchange.request.uri().path());
        let allow = match dialect.find(method, path) {
            FoundEndpoint::WrongMethod { allow, .. } => Some(allow),
            _ => None,
        };
        Self {
            dialect,
            exchange,
            now: now.unwrap_or(NOW),
            refusal: exchange.annotation("refusal").and_then(Refusal::from_code),
            allow,
            heard: heard(dialect, exchange),
        }
    }

    fn both(&self) -> Result<(), Vec<String>> {
        let only = self.exchange.annotation("only");
        let told = self.understood();
        let mut wrong = Vec::new();
        if only != Some("client") {
            wrong.extend(self.issue(told.as_ref().ok()));
        }
        if only != Some("issuer") {
            wrong.extend(self.call(told));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    fn operation(&self) -> TokenOperation {
        match &self.heard {
            HeardRequest::Command(command) => asked_form(command).operation,
            HeardRequest::Unread(unread) => unread.operation,
            HeardRequest::Guarded(_) => TokenOperation::Guard,
        }
    }

    fn variant(&self) -> Variant {
        let named = self
            .exchange
            .annotation("variant")
            .and_then(|name| self.dialect.variant(name));
        named.unwrap_or(match &self.heard {
            HeardRequest::Command(command) => asked_form(command).variant,
            _ => Variant(0),
        })
    }

    /// The values of the request, and the extra parts from the annotations.
    fn parts(&self) -> RequestParts {
        let mut parts = RequestParts::from_heard(&self.heard);
        let said = self.exchange.annotations.iter();
        let extra = said.filter_map(|(name, value)| {
            Some((
                name.strip_prefix("extra.")?.to_owned(),
                value.as_str().into(),
            ))
        });
        parts.extra.extend(extra);
        parts
    }

    /// What the client reads in the reply.
    fn understood(&self) -> Result<UnderstoodReply, String> {
        let parts = self.parts();
        let (operation, variant) = (self.operation(), self.variant());
        let reply = &self.exchange.reply;
        self.dialect
            .understand(operation, variant, &parts.asking(), reply, self.now)
            .map_err(|error| error.to_string())
    }

    /// As issuer: the request must lead to the recorded reply.
    fn issue(&self, told: Option<&UnderstoodReply>) -> Vec<String> {
        if let Some(wrong) = self.misheard() {
            return vec![wrong];
        }
        let reply = match (&self.heard, self.refusal) {
            (_, Some(refusal)) => self.dialect.write_refusal(&self.refused(refusal)),
            (HeardRequest::Command(command), None) => match told {
                Some(UnderstoodReply::Granted(granted)) => self.grant(command, granted),
                _ => self.dialect.write_done(&asked_form(command)),
            },
            _ => return Vec::new(),
        };
        compare::replies(&reply, &self.exchange.reply)
    }

    /// Whether the refusal is the recorded one, or looks like it in this dialect.
    fn is_spelled(&self, refusal: Refusal, named: Option<Refusal>) -> bool {
        let Some(named) = named else { return false };
        let falls_back = || {
            let [own, named] =
                [refusal, named].map(|it| self.dialect.write_refusal(&self.refused(it)));
            own.status() == named.status()
                && own.headers() == named.headers()
                && own.body() == named.body()
        };
        refusal == named || (refusal.fallback() == Some(named) && falls_back())
    }

    /// A refusal of the request itself must come from reading it; a refusal by decision
    /// must not.
    fn misheard(&self) -> Option<String> {
        use Refusal::{Malformed, MethodNotAllowed, MissingBearer, MissingField, TooLarge};
        let is_by_reading = |refusal: Refusal| {
            let general = refusal.fallback().unwrap_or(refusal);
            [Malformed, MissingField, MethodNotAllowed, TooLarge].contains(&general)
        };
        match (&self.heard, self.refusal) {
            (HeardRequest::Unread(unread), refusal)
                if !self.is_spelled(unread.refusal(), refusal) =>
            {
                Some(format!(
                    "the request is refused as {}: {}",
                    unread.refusal(),
                    unread.detail
                ))
            }
            (HeardRequest::Command(_), Some(refusal)) if is_by_reading(refusal) => Some(format!(
                "the request is accepted, but should be refused as {refusal}"
            )),
            (HeardRequest::Guarded(token), Some(refusal)) => {
                let wrong = token.is_none() != (refusal == MissingBearer);
                let found = if token.is_some() { "a" } else { "no" };
                wrong.then(|| format!("the request presents {found} credential"))
            }
            _ => None,
        }
    }

    fn refused(&self, refusal: Refusal) -> TokenRefusal<'_> {
        let seconds = self.exchange.reply.headers().get(RETRY_AFTER);
        let seconds = seconds.and_then(|value| value.to_str().ok()?.parse().ok());
        let pointer = match &self.heard {
            HeardRequest::Unread(unread) => unread.pointer.as_deref(),
            _ => None,
        };
        TokenRefusal {
            pointer,
            retry_after: seconds.map(std::time::Duration::from_secs),
            allow: self.allow.as_deref(),
            ..TokenRefusal::new(self.operation(), refusal)
        }
    }

    fn grant(&self, command: &TokenCommand, granted: &GrantedTokens) -> http::Response<Bytes> {
        let parts = RequestParts::of_command(command);
        let login = parts
            .login
            .as_deref()
            .or(granted.login.as_deref())
            .unwrap_or_default();
        self.dialect.write_grant(
            &asked_form(command),
            &TokenGrant {
                login: granted.login.as_deref().unwrap_or(login),
                client_id: granted.client_id.unwrap_or_default(),
                access_token: granted.access_token.expose(),
                refresh_token: granted.refresh_token.as_ref().map(Secret::expose),
                access_expires_at: granted.access_expires_at,
                refresh_expires_at: granted.refresh_expires_at.unwrap_or(self.now),
                now: granted.now.unwrap_or(self.now),
                secret: parts.secret.as_ref(),
            },
        )
    }

    /// As client: the reply must mean what the record states, and the request must equal
    /// the recorded one.
    fn call(&self, told: Result<UnderstoodReply, String>) -> Vec<String> {
        let wanted = self
            .exchange
            .annotation("understood")
            .and_then(Refusal::from_code)
            .or(self.refusal);
        let must_not_believe = self.exchange.annotation("refused_by_client").is_some();
        let mut wrong = match (told, wanted) {
            (Err(_), _) if must_not_believe => Vec::new(),
            (Err(error), _) => vec![format!("a client does not read it: {error}")],
            (Ok(_), _) if must_not_believe => vec!["a client believes the reply".to_owned()],
            (Ok(UnderstoodReply::Refused(refused)), Some(wanted)) if refused.refusal == wanted => {
                self.differs(&|name| of_refused(&refused, name))
            }
            (Ok(UnderstoodReply::Refused(refused)), _) => {
                vec![format!("the reply is understood as {}", refused.refusal)]
            }
            (Ok(_), Some(wanted)) => vec![format!("the reply is not understood as {wanted}")],
            (Ok(UnderstoodReply::Granted(granted)), None) => {
                self.differs(&|name| of_granted(&granted, name))
            }
            (Ok(UnderstoodReply::Done), None) => Vec::new(),
        };
        if self.exchange.annotation("lenient").is_none() {
            wrong.extend(self.written());
        }
        wrong
    }

    /// How the values that were read differ from those that the exchange states.
    fn differs(&self, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
        let said = self.exchange.annotations.iter();
        let differs = said.filter_map(|(name, wanted)| {
            let time = instant(wanted, false).filter(|_| is_time(name));
            let wanted = time.map_or_else(|| wanted.clone(), shown);
            let found = read(name);
            // What a reply does not tell is a part of the request.
            let extra = name.starts_with("extra.") && found.is_some();
            if !extra && !NAMES.contains(&name.as_str()) {
                return None;
            }
            let expected = match wanted.is_empty() {
                true => "none is expected".to_owned(),
                false => format!("`{wanted}` is expected"),
            };
            match found {
                None if wanted.is_empty() => None,
                None => Some(format!("the reply has no `{name}`, but {expected}")),
                Some(found) if found == wanted => None,
                Some(found) => Some(format!(
                    "`{name}` of the reply is read as `{found}`, and {expected}"
                )),
            }
        });
        differs.collect()
    }

    fn written(&self) -> Vec<String> {
        match &self.heard {
            HeardRequest::Unread(_) => Vec::new(),
            HeardRequest::Guarded(token) => {
                let Some(token) = token else {
                    return Vec::new();
                };
                let headers = match self.dialect.present(token, &self.parts().extra) {
                    Ok(headers) => headers,
                    Err(why) => return vec![format!("the client cannot present the token: {why}")],
                };
                let headers: HeaderMap = headers.into_iter().collect();
                compare::missing(
                    &headers,
                    self.exchange.request.headers(),
                    "the record lacks",
                )
            }
            HeardRequest::Command(_) => {
                let parts = self.parts();
                let written =
                    self.dialect
                        .request(self.operation(), self.variant(), &parts.asking());
                match written {
                    Some(written) => compare::requests(&written, &self.exchange.request),
                    None => vec!["the client cannot write the request".to_owned()],
                }
            }
        }
    }
}
fn heard(dialect: &Dialect, exchange: &ExampleExchange) -> HeardRequest {
    let request = &exchange.request;
    let guarded = exchange.annotation("operation") == Some("guard");
    if guarded || dialect.find(request.method(), request.uri().path()) == FoundEndpoint::NotMine {
        return guarded_by(dialect, request);
    }
    let (parts, body) = request.clone().into_parts();
    match dialect.read_request(&parts, &body) {
        Ok(command) => HeardRequest::Command(command),
        Err(unread) => HeardRequest::Unread(unread),
    }
}

fn guarded_by(dialect: &Dialect, request: &Request<Bytes>) -> HeardRequest {
    let in_body = || {
        let taken = dialect
            .static_key()?
            .take_from_body(request.body())
            .ok()??;
        Some(taken.0.expose().to_owned())
    };
    match dialect.presented(request.headers(), request.uri().query()) {
        PresentedCredential::Token(token) => HeardRequest::Guarded(Some(token.to_owned())),
        PresentedCredential::StaticKey(key) => HeardRequest::Guarded(Some(key.expose().to_owned())),
        PresentedCredential::Nothing => HeardRequest::Guarded(in_body()),
        PresentedCredential::Ambiguous(reason) => HeardRequest::Unread(ambiguous(reason)),
    }
}

fn ambiguous(reason: Reason) -> RequestReadError {
    RequestReadError {
        operation: TokenOperation::Guard,
        reason,
        pointer: None,
        detail: reason.to_string(),
    }
}
