//! A record as JSON, so that a later release can add to it. Unknown keys are ignored,
//! and missing ones have a default.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

use countersign_dialect::Secret;
use countersign_domain::{Refusal, Timestamp, TokenOperation};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{RenewalFailure, RequestAttempt, SessionRecord, TokenSet};

/// Encodes a record, in memory that is zeroed and was never moved.
pub(super) fn encode(record: &SessionRecord) -> io::Result<Zeroizing<Vec<u8>>> {
    let written = RecordText::from_record(record);
    let mut length = ByteCounter(0);
    serde_json::to_writer(&mut length, &written)?;
    let mut text = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *text, &written)?;
    Ok(text)
}

/// Decodes a record; `None` if the text is not one. There is no reason, since its
/// words would repeat what was read.
pub(super) fn decode(text: &[u8]) -> Option<SessionRecord> {
    serde_json::from_slice::<RecordText<'_>>(text)
        .ok()?
        .record()
}

#[derive(Serialize, Deserialize)]
struct RecordText<'a> {
    serial: u64,
    #[serde(
        rename = "held",
        borrow,
        default,
        skip_serializing_if = "Option::is_none"
    )]
    tokens: Option<TokenSetText<'a>>,
    #[serde(default)]
    spent: u32,
    #[serde(default)]
    rejected: u32,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    attempt: Option<AttemptText<'a>>,
    #[serde(
        rename = "trouble",
        borrow,
        default,
        skip_serializing_if = "Option::is_none"
    )]
    failure: Option<FailureText<'a>>,
}

#[derive(Serialize, Deserialize)]
struct TokenSetText<'a> {
    access_token: Cow<'a, str>,
    refresh_token: Option<Cow<'a, str>>,
    asked_at: i64,
    expires_at: i64,
    refresh_expires_at: Option<i64>,
    #[serde(
        rename = "told_expires_at",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    stated_expires_at: Option<i64>,
    #[serde(
        rename = "told_refresh_expires_at",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    stated_refresh_expires_at: Option<i64>,
    logged_in_at: i64,
    client_id: Option<u64>,
    login: Option<Cow<'a, str>>,
    #[serde(default)]
    extra: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
struct AttemptText<'a> {
    operation: Cow<'a, str>,
    asked_at: i64,
}

#[derive(Serialize, Deserialize)]
struct FailureText<'a> {
    operation: Cow<'a, str>,
    refusal: Option<Cow<'a, str>>,
    status: Option<u16>,
    detail: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    help: Option<Cow<'a, str>>,
    at: i64,
    times: u32,
    #[serde(default)]
    refused: u32,
    #[serde(default)]
    secrets: u32,
    retry_at: i64,
    secret: Option<[u8; 8]>,
}

impl<'a> RecordText<'a> {
    fn from_record(record: &'a SessionRecord) -> Self {
        let SessionRecord {
            serial,
            tokens,
            spent,
            rejected,
            attempt,
            failure,
        } = record;
        Self {
            serial: *serial,
            tokens: tokens.as_ref().map(TokenSetText::from_tokens),
            spent: *spent,
            rejected: *rejected,
            attempt: attempt.as_ref().map(AttemptText::from_attempt),
            failure: failure.as_ref().map(FailureText::from_failure),
        }
    }

    fn record(self) -> Option<SessionRecord> {
        Some(SessionRecord {
            serial: self.serial,
            tokens: self.tokens.map(TokenSetText::tokens),
            spent: self.spent,
            rejected: self.rejected,
            // Without it a refresh token could be sent twice.
            attempt: match self.attempt {
                Some(attempt) => Some(attempt.attempt()?),
                None => None,
            },
            failure: self.failure.and_then(FailureText::failure),
        })
    }
}

impl<'a> TokenSetText<'a> {
    fn from_tokens(tokens: &'a TokenSet) -> Self {
        let TokenSet {
            access_token,
            refresh_token,
            asked_at,
            expires_at,
            refresh_expires_at,
            stated_expires_at,
            stated_refresh_expires_at,
            logged_in_at,
            client_id,
            login,
            extra,
        } = tokens;
        Self {
            access_token: access_token.expose().into(),
            refresh_token: refresh_token.as_ref().map(|it| it.expose().into()),
            asked_at: asked_at.as_micros(),
            expires_at: expires_at.as_micros(),
            refresh_expires_at: refresh_expires_at.map(Timestamp::as_micros),
            stated_expires_at: stated_expires_at.map(Timestamp::as_micros),
            stated_refresh_expires_at: stated_refresh_expires_at.map(Timestamp::as_micros),
            logged_in_at: logged_in_at.as_micros(),
            client_id: *client_id,
            login: login.as_deref().map(Cow::from),
            extra: extra
                .iter()
                .map(|(name, part)| (name.into(), part.expose().into()))
                .collect(),
        }
    }

    fn tokens(self) -> TokenSet {
        TokenSet {
            access_token: secret(self.access_token),
            refresh_token: self.refresh_token.map(secret),
            asked_at: Timestamp::from_micros(self.asked_at),
            expires_at: Timestamp::from_micros(self.expires_at),
            refresh_expires_at: self.refresh_expires_at.map(Timestamp::from_micros),
            stated_expires_at: self.stated_expires_at.map(Timestamp::from_micros),
            stated_refresh_expires_at: self.stated_refresh_expires_at.map(Timestamp::from_micros),
            logged_in_at: Timestamp::from_micros(self.logged_in_at),
            client_id: self.client_id,
            login: self.login.map(Cow::into_owned),
            extra: self
                .extra
                .into_iter()
                .map(|(name, part)| (name.into_owned(), secret(part)))
                .collect(),
        }
    }
}

impl<'a> AttemptText<'a> {
    fn from_attempt(attempt: &'a RequestAttempt) -> Self {
        let RequestAttempt {
            operation,
            asked_at,
        } = attempt;
        Self {
            operation: operation.name().into(),
            asked_at: asked_at.as_micros(),
        }
    }

    fn attempt(self) -> Option<RequestAttempt> {
        Some(RequestAttempt {
            operation: TokenOperation::from_name(&self.operation)?,
            asked_at: Timestamp::from_micros(self.asked_at),
        })
    }
}

impl<'a> FailureText<'a> {
    fn from_failure(failure: &'a RenewalFailure) -> Self {
        let RenewalFailure {
            operation,
            refusal,
            status,
            detail,
            help,
            at,
            times,
            refused,
            secrets,
            retry_at,
            secret,
        } = failure;
        Self {
            operation: operation.name().into(),
            refusal: refusal.map(|it| it.code().into()),
            status: *status,
            detail: detail.into(),
            help: help.as_deref().map(Into::into),
            at: at.as_micros(),
            times: *times,
            refused: *refused,
            secrets: *secrets,
            retry_at: retry_at.as_micros(),
            secret: *secret,
        }
    }

    fn failure(self) -> Option<RenewalFailure> {
        Some(RenewalFailure {
            operation: TokenOperation::from_name(&self.operation)?,
            refusal: self.refusal.and_then(|it| Refusal::from_code(&it)),
            status: self.status,
            detail: self.detail.into_owned(),
            help: self.help.map(Cow::into_owned),
            at: Timestamp::from_micros(self.at),
            times: self.times,
            refused: self.refused,
            secrets: self.secrets,
            retry_at: Timestamp::from_micros(self.retry_at),
            secret: self.secret,
        })
    }
}

fn secret(text: Cow<'_, str>) -> Secret {
    Secret::from(text.into_owned())
}

/// Counts the bytes that would be written.
struct ByteCounter(usize);

impl Write for ByteCounter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> SessionRecord {
        let at = Timestamp::from_micros;
        SessionRecord {
            serial: u64::MAX,
            tokens: Some(TokenSet {
                access_token: "access \"é\"".into(),
                refresh_token: Some("refresh".into()),
                asked_at: at(1_700_000_000_123_456),
                expires_at: at(i64::MAX),
                refresh_expires_at: Some(at(i64::MIN)),
                stated_expires_at: Some(at(9)),
                stated_refresh_expires_at: Some(at(10)),
                logged_in_at: at(-1),
                client_id: Some(u64::MAX),
                login: Some("ann".into()),
                extra: [("shop".to_owned(), Secret::from("7"))].into(),
            }),
            spent: 3,
            rejected: 1,
            attempt: Some(RequestAttempt {
                operation: TokenOperation::Refresh,
                asked_at: at(5),
            }),
            failure: Some(RenewalFailure {
                operation: TokenOperation::Login,
                refusal: Some(Refusal::Throttled),
                status: Some(429),
                detail: "slow\ndown".into(),
                help: Some("wait".into()),
                at: at(6),
                times: 2,
                refused: 4,
                secrets: 5,
                retry_at: at(7),
                secret: Some([255; 8]),
            }),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for record in [full(), SessionRecord::default()] {
            assert_eq!(decode(&encode(&record).unwrap()), Some(record));
        }
    }

    #[test]
    fn the_keys_are_those_that_every_release_writes() {
        let text = encode(&full()).unwrap();
        let text: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let keys = |value: &serde_json::Value| {
            let mut keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
            keys.sort();
            keys.join(" ")
        };
        assert_eq!(keys(&text), "attempt held rejected serial spent trouble");
        assert_eq!(
            keys(&text["held"]),
            "access_token asked_at client_id expires_at extra logged_in_at login \
             refresh_expires_at refresh_token told_expires_at told_refresh_expires_at"
        );
        assert_eq!(
            keys(&text["trouble"]),
            "at detail help operation refusal refused retry_at secret secrets status times"
        );
    }

    #[test]
    fn the_text_was_never_moved_in_memory() {
        let text = encode(&full()).unwrap();
        assert_eq!(text.len(), text.capacity());
    }

    #[test]
    fn what_the_first_release_wrote_is_read() {
        let text = br#"{"serial":7,"held":{"access_token":"a","refresh_token":"r","asked_at":1,
            "expires_at":2,"refresh_expires_at":null,"logged_in_at":1,"client_id":null,
            "login":null,"extra":{}},"spent":0,"rejected":0}"#;
        let record = decode(text).unwrap();
        assert_eq!((record.serial, record.attempt), (7, None));
        assert_eq!(record.tokens.unwrap().access_token, Secret::from("a"));
    }

    #[test]
    fn what_a_later_release_adds_is_passed_over() {
        let text = br#"{"serial":7,"colour":"red","trouble":{"operation":"login","refusal":"moon",
            "status":null,"detail":"d","at":1,"times":1,"retry_at":2,"secret":null,"x":[]}}"#;
        let failure = decode(text).unwrap().failure.unwrap();
        assert_eq!((failure.refusal, failure.times), (None, 1));
    }

    #[test]
    fn a_record_with_an_attempt_that_is_unknown_is_not_read() {
        let text = br#"{"serial":7,"attempt":{"operation":"moonwalk","asked_at":1}}"#;
        assert_eq!(decode(text), None);
    }
}
