//! One exchange, in both directions.

use bytes::Bytes;
use countersign_domain::{Operation, Reason, Refusal, Timestamp};
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request};

use super::annotations::{self, is_time, shown};
use super::values::{Heard, NAMES, Parts, asked, of_granted, of_refused};
use super::{Exchange, compare};
use crate::instant::instant;
use crate::{
    Command, Dialect, Found, Grant, Granted, Presented, Refused, Secret, Understood, Unread,
    Variant,
};

/// 2024-01-15T09:30:00Z
const NOW: Timestamp = Timestamp::from_seconds(1_705_311_000);

/// What is not as recorded.
pub(super) fn run(dialect: &Dialect, exchange: &Exchange) -> Vec<String> {
    let mistakes = annotations::mistakes(dialect, exchange);
    if !mistakes.is_empty() {
        return mistakes;
    }
    let run = Run::new(dialect, exchange);
    run.both().err().unwrap_or_default()
}

struct Run<'r> {
    dialect: &'r Dialect,
    exchange: &'r Exchange,
    now: Timestamp,
    refusal: Option<Refusal>,
    /// The methods that the path serves, if the request's is none of them.
    allow: Option<String>,
    heard: Heard,
}

impl<'r> Run<'r> {
    /// The annotations are without a mistake.
    fn new(dialect: &'r Dialect, exchange: &'r Exchange) -> Self {
        let now = exchange.says("now").and_then(|text| instant(text, false));
        let (method, path) = (exchange.request.method(), exchange.request.uri().path());
        let allow = match dialect.find(method, path) {
            Found::WrongMethod { allow, .. } => Some(allow),
            _ => None,
        };
        Self {
            dialect,
            exchange,
            now: now.unwrap_or(NOW),
            refusal: exchange.says("refusal").and_then(Refusal::from_code),
            allow,
            heard: heard(dialect, exchange),
        }
    }

    fn both(&self) -> Result<(), Vec<String>> {
        let only = self.exchange.says("only");
        let told = self.told();
        let mut wrong = Vec::new();
        if only != Some("client") {
            wrong.extend(self.issue(told.as_ref().ok()));
        }
        if only != Some("issuer") {
            wrong.extend(self.call(told));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    fn operation(&self) -> Operation {
        match &self.heard {
            Heard::Command(command) => asked(command).operation,
            Heard::Unread(unread) => unread.operation,
            Heard::Guarded(_) => Operation::Guard,
        }
    }

    fn variant(&self) -> Variant {
        let named = self
            .exchange
            .says("variant")
            .and_then(|name| self.dialect.variant(name));
        named.unwrap_or(match &self.heard {
            Heard::Command(command) => asked(command).variant,
            _ => Variant(0),
        })
    }

    /// What the request was made of, and the further parts that are said.
    fn parts(&self) -> Parts {
        let mut parts = Parts::of(&self.heard);
        let said = self.exchange.says.iter();
        let extra = said.filter_map(|(name, value)| {
            Some((
                name.strip_prefix("extra.")?.to_owned(),
                value.as_str().into(),
            ))
        });
        parts.extra.extend(extra);
        parts
    }

    /// What the client's side makes of the reply.
    fn told(&self) -> Result<Understood, String> {
        let parts = self.parts();
        let (operation, variant) = (self.operation(), self.variant());
        let reply = &self.exchange.reply;
        self.dialect
            .understand(operation, variant, &parts.asking(), reply, self.now)
            .map_err(|error| error.to_string())
    }

    /// As issuer: the request leads to the recorded reply.
    fn issue(&self, told: Option<&Understood>) -> Vec<String> {
        if let Some(wrong) = self.misheard() {
            return vec![wrong];
        }
        let reply = match (&self.heard, self.refusal) {
            (_, Some(refusal)) => self.dialect.refuse(&self.refused(refusal)),
            (Heard::Command(command), None) => match told {
                Some(Understood::Granted(granted)) => self.grant(command, granted),
                _ => self.dialect.done(&asked(command)),
            },
            _ => return Vec::new(),
        };
        compare::replies(&reply, &self.exchange.reply)
    }

    /// Whether the refusal is the one that the record names, or falls back to it
    /// in this dialect.
    fn is_spelled(&self, refusal: Refusal, named: Option<Refusal>) -> bool {
        let Some(named) = named else { return false };
        let falls_back = || {
            let [own, named] = [refusal, named].map(|it| self.dialect.refuse(&self.refused(it)));
            own.status() == named.status()
                && own.headers() == named.headers()
                && own.body() == named.body()
        };
        refusal == named || (refusal.fallback() == Some(named) && falls_back())
    }

    /// A refusal of the request itself must come from reading it, and one by
    /// decision must not.
    fn misheard(&self) -> Option<String> {
        use Refusal::{AmbiguousPath, UnsupportedMedia};
        use Refusal::{Malformed, MethodNotAllowed, MissingBearer, MissingField, TooLarge};
        let by_reading = [
            Malformed,
            UnsupportedMedia,
            AmbiguousPath,
            MissingField,
            MethodNotAllowed,
            TooLarge,
        ];
        match (&self.heard, self.refusal) {
            (Heard::Unread(unread), refusal) if !self.is_spelled(unread.refusal(), refusal) => {
                Some(format!(
                    "the request is refused as {}: {}",
                    unread.refusal(),
                    unread.detail
                ))
            }
            (Heard::Command(_), Some(refusal)) if by_reading.contains(&refusal) => {
                Some(format!("the request is read, and not refused as {refusal}"))
            }
            (Heard::Guarded(token), Some(refusal)) => {
                let wrong = token.is_none() != (refusal == MissingBearer);
                let found = if token.is_some() { "a" } else { "no" };
                wrong.then(|| format!("the request presents {found} credential"))
            }
            _ => None,
        }
    }

    fn refused(&self, refusal: Refusal) -> Refused<'_> {
        let seconds = self.exchange.reply.headers().get(RETRY_AFTER);
        let seconds = seconds.and_then(|value| value.to_str().ok()?.parse().ok());
        let pointer = match &self.heard {
            Heard::Unread(unread) => unread.pointer.as_deref(),
            _ => None,
        };
        Refused {
            pointer,
            retry_after: seconds.map(std::time::Duration::from_secs),
            allow: self.allow.as_deref(),
            ..Refused::new(self.operation(), refusal)
        }
    }

    fn grant(&self, command: &Command, granted: &Granted) -> http::Response<Bytes> {
        let parts = Parts::of_command(command);
        let login = parts
            .login
            .as_deref()
            .or(granted.login.as_deref())
            .unwrap_or_default();
        self.dialect.grant(
            &asked(command),
            &Grant {
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

    /// As client: the reply means what is said, and the request is the recorded
    /// one.
    fn call(&self, told: Result<Understood, String>) -> Vec<String> {
        let wanted = self
            .exchange
            .says("understood")
            .and_then(Refusal::from_code)
            .or(self.refusal);
        let must_not_believe = self.exchange.says("refused_by_client").is_some();
        let mut wrong = match (told, wanted) {
            (Err(_), _) if must_not_believe => Vec::new(),
            (Err(error), _) => vec![format!("a client does not read it: {error}")],
            (Ok(_), _) if must_not_believe => vec!["a client believes the reply".to_owned()],
            (Ok(Understood::Refused(refused)), Some(wanted)) if refused.refusal == wanted => {
                self.differs(&|name| of_refused(&refused, name))
            }
            (Ok(Understood::Refused(refused)), _) => {
                vec![format!("the reply is understood as {}", refused.refusal)]
            }
            (Ok(_), Some(wanted)) => vec![format!("the reply is not understood as {wanted}")],
            (Ok(Understood::Granted(granted)), None) => {
                self.differs(&|name| of_granted(&granted, name))
            }
            (Ok(Understood::Done), None) => Vec::new(),
        };
        if self.exchange.says("lenient").is_none() {
            wrong.extend(self.written());
        }
        wrong
    }

    /// How what was read differs from what the exchange says.
    fn differs(&self, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
        let said = self.exchange.says.iter();
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
                None => Some(format!("the reply tells no `{name}`, and {expected}")),
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
            Heard::Unread(_) => Vec::new(),
            Heard::Guarded(token) => {
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
            Heard::Command(_) => {
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
fn heard(dialect: &Dialect, exchange: &Exchange) -> Heard {
    let request = &exchange.request;
    let guarded = exchange.says("operation") == Some("guard");
    if guarded || dialect.find(request.method(), request.uri().path()) == Found::NotMine {
        return guarded_by(dialect, request);
    }
    let (parts, body) = request.clone().into_parts();
    match dialect.read(&parts, &body) {
        Ok(command) => Heard::Command(command),
        Err(unread) => Heard::Unread(unread),
    }
}

fn guarded_by(dialect: &Dialect, request: &Request<Bytes>) -> Heard {
    let in_body = || {
        let taken = dialect
            .static_key()?
            .take_from_body(request.body())
            .ok()??;
        Some(taken.0.expose().to_owned())
    };
    match dialect.presented(request.headers(), request.uri().query()) {
        Presented::Token(token) => Heard::Guarded(Some(token.to_owned())),
        Presented::StaticKey(key) => Heard::Guarded(Some(key.expose().to_owned())),
        Presented::Nothing => Heard::Guarded(in_body()),
        Presented::Ambiguous(reason) => Heard::Unread(ambiguous(reason)),
    }
}

fn ambiguous(reason: Reason) -> Unread {
    Unread {
        operation: Operation::Guard,
        reason,
        pointer: None,
        detail: reason.to_string(),
    }
}
