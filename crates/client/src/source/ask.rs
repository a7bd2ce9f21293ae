//! Asking the vendor, and judging the answer.

use bytes::Bytes;
use countersign_dialect::{Asking, RefusedBy, Secret, Understood};
use countersign_domain::Operation;
use http::Request;

use super::parts::Parts;
use super::renewal::Renewal;
use super::shared::Shared;
use crate::session::Ask;
use crate::{Error, ErrorKind, Record, Sent};

/// More requests than this are not sent in one go, whatever the vendor says.
const MOST_ASKED: usize = 4;

/// The longest text of a vendor that is repeated.
const LONGEST_DETAIL: usize = 200;

/// What came of one request.
pub(super) enum Answer {
    /// An answer of the dialect.
    Understood(Box<Understood>),
    /// None.
    Lost(Sent, String),
    /// One that is not of the dialect, or whose signature is wrong.
    Garbled(u16, String),
}

impl Renewal<'_> {
    /// Asks for tokens. The record tells how it ended; that it ended badly is no
    /// error here.
    pub(super) async fn ask(&mut self, ask: Ask) -> Result<(), Error> {
        let operation = match ask {
            Ask::Login => Operation::Login,
            Ask::Refresh => Operation::Refresh,
        };
        self.count()?;
        let parts = self.shared.parts_for(operation).await?;
        if let Some(secret) = &parts.secret {
            let print = self.shared.fingerprint(secret, &parts.extra);
            self.turn.session.secret_is(print);
        }
        let before = self.turn.session.record().clone();
        let held = before.held.as_ref().filter(|_| ask == Ask::Refresh);
        let parts = parts.beside(held);
        let request = self.shared.request(operation, &before, &parts)?;
        self.turn.session.asking(ask, self.now());
        if !self.keep(before).await? {
            return Ok(());
        }
        // The secret and the store may have taken their time.
        if self.turn.session.is_too_late(self.now()) {
            return Ok(());
        }
        let record = self.turn.session.record().clone();
        let answer = self.shared.exchange(operation, request, &record, &parts);
        let answer = answer.await;
        self.judge(answer);
        self.keep_outcome(record).await?;
        self.tell(operation);
        Ok(())
    }

    /// New tokens are told of once they are durable.
    fn tell(&self, operation: Operation) {
        let record = self.turn.session.record();
        match (&record.trouble, &record.held) {
            (Some(trouble), _) => self.shared.tell_failed_request(operation, trouble),
            (None, Some(held)) => {
                let (until, told) = (held.expires_at, held.told_expires_at);
                let told = told.unwrap_or(until);
                self.shared.tell_granted(operation, told, until);
            }
            (None, None) => (),
        }
    }

    fn count(&mut self) -> Result<(), Error> {
        self.asked += 1;
        if self.asked <= MOST_ASKED {
            return Ok(());
        }
        Err(self.shared.unusable())
    }

    fn judge(&mut self, answer: Answer) {
        let now = self.now();
        let session = &mut self.turn.session;
        match answer {
            Answer::Understood(understood) => match *understood {
                Understood::Granted(granted) => {
                    session.received(granted, now);
                    self.granted = true;
                }
                Understood::Refused(by) => session.refused(&by, now),
                Understood::Done => session.garbled(200, "it has no tokens", now),
            },
            Answer::Lost(sent, why) => session.lost(sent, &why, now),
            Answer::Garbled(status, why) => session.garbled(status, &why, now),
        }
    }
}

impl Shared {
    /// The request for an operation, with what is at hand.
    pub(super) fn request(
        &self,
        operation: Operation,
        record: &Record,
        parts: &Parts,
    ) -> Result<Request<Bytes>, Error> {
        let asking = self.asking(record, parts);
        let request = self.dialect.request(operation, self.variant, &asking);
        let mut request = request.ok_or_else(|| {
            let why = self
                .dialect
                .why_unwritable(operation, self.variant, &asking);
            self.cannot_ask(operation, &why)
        })?;
        let (path, query) = (request.uri().path(), request.uri().query());
        let target = self.auth_url.target(path, query);
        *request.uri_mut() = target.map_err(|why| self.cannot_ask(operation, &why))?;
        Ok(request)
    }

    fn asking<'a>(&'a self, record: &'a Record, parts: &'a Parts) -> Asking<'a> {
        let held = record.held.as_ref();
        Asking {
            login: Some(&self.login),
            secret: parts.secret.as_ref(),
            access_token: held.map(|held| &held.access_token),
            refresh_token: held.and_then(|held| held.refresh_token.as_ref()),
            extra: Some(&parts.extra),
        }
    }

    fn cannot_ask(&self, operation: Operation, why: &dyn std::fmt::Display) -> Error {
        let (name, dialect) = (&self.name, self.dialect.name());
        let message = format!("{name}: a {operation} of {dialect} cannot be written: {why}");
        Error::new(ErrorKind::Setup, message)
    }

    /// Sends it and reads the answer.
    pub(super) async fn exchange(
        &self,
        operation: Operation,
        request: Request<Bytes>,
        record: &Record,
        parts: &Parts,
    ) -> Answer {
        let response = match self.transport.send(request).await {
            Ok(response) => response,
            Err(error) => return Answer::Lost(error.sent, error.message),
        };
        let asking = self.asking(record, parts);
        let now = self.clock.now();
        let understood = self
            .dialect
            .understand(operation, self.variant, &asking, &response, now);
        match understood {
            Ok(Understood::Refused(by)) => {
                Answer::Understood(Box::new(Understood::Refused(cleaned(by, &asking))))
            }
            Ok(other) => Answer::Understood(Box::new(other)),
            Err(why) => Answer::Garbled(response.status().as_u16(), why.to_string()),
        }
    }
}

/// A refusal as it may be kept and told: short, and without the secrets that it
/// was asked with, should the vendor repeat them.
fn cleaned(mut by: RefusedBy, asking: &Asking<'_>) -> RefusedBy {
    let secrets = [asking.secret, asking.access_token, asking.refresh_token];
    let extra = asking.extra.into_iter().flat_map(|extra| extra.values());
    let secrets: Vec<&Secret> = secrets.into_iter().flatten().chain(extra).collect();
    for text in [&mut by.code, &mut by.detail, &mut by.pointer] {
        *text = text.take().map(|text| clean(text, &secrets));
    }
    by
}

fn clean(mut text: String, secrets: &[&Secret]) -> String {
    let secrets = secrets.iter().map(|it| it.expose());
    for secret in secrets.filter(|it| !it.is_empty()) {
        for spelling in spellings(secret) {
            text = text.replace(spelling.expose(), "…");
        }
    }
    text.chars().take(LONGEST_DETAIL).collect()
}

/// As it is, and as it stands in JSON, where a vendor repeats a whole request.
fn spellings(secret: &str) -> [Secret; 2] {
    let quoted = serde_json::Value::from(secret).to_string();
    [Secret::from(secret), Secret::from(quoted.trim_matches('"'))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_secret_goes_as_it_is_and_as_json_writes_it() {
        let secret = Secret::from("a\"b");
        for text in ["no a\"b!", "no a\\\"b!"] {
            assert_eq!(clean(text.to_owned(), &[&secret]), "no …!");
        }
    }
}
