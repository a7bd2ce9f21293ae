//! A record as text: JSON, so that a later release can add to it. What it does
//! not know it passes over; what is not there has its default.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

use countersign_dialect::Secret;
use countersign_domain::{Operation, Refusal, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Attempt, Held, Record, Trouble};

/// The record as text, in memory that is zeroed and was never moved.
pub(super) fn write(record: &Record) -> io::Result<Zeroizing<Vec<u8>>> {
    let written = RecordText::of(record);
    let mut length = Length(0);
    serde_json::to_writer(&mut length, &written)?;
    let mut text = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *text, &written)?;
    Ok(text)
}

/// The record of a text; `None` if it is none. Why is not told, since the words
/// for it repeat what was read.
pub(super) fn read(text: &[u8]) -> Option<Record> {
    serde_json::from_slice::<RecordText<'_>>(text)
        .ok()?
        .record()
}

#[derive(Serialize, Deserialize)]
struct RecordText<'a> {
    serial: u64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    held: Option<HeldText<'a>>,
    #[serde(default)]
    spent: u32,
    #[serde(default)]
    rejected: u32,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    attempt: Option<AttemptText<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    trouble: Option<TroubleText<'a>>,
}

#[derive(Serialize, Deserialize)]
struct HeldText<'a> {
    access_token: Cow<'a, str>,
    refresh_token: Option<Cow<'a, str>>,
    asked_at: i64,
    expires_at: i64,
    refresh_expires_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told_expires_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told_refresh_expires_at: Option<i64>,
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
struct TroubleText<'a> {
    operation: Cow<'a, str>,
    refusal: Option<Cow<'a, str>>,
    status: Option<u16>,
    detail: Cow<'a, str>,
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
    fn of(record: &'a Record) -> Self {
        let Record {
            serial,
            held,
            spent,
            rejected,
            attempt,
            trouble,
        } = record;
        Self {
            serial: *serial,
            held: held.as_ref().map(HeldText::of),
            spent: *spent,
            rejected: *rejected,
            attempt: attempt.as_ref().map(AttemptText::of),
            trouble: trouble.as_ref().map(TroubleText::of),
        }
    }

    fn record(self) -> Option<Record> {
        Some(Record {
            serial: self.serial,
            held: self.held.map(HeldText::held),
            spent: self.spent,
            rejected: self.rejected,
            // Without it a token could be sent twice that must not be.
            attempt: match self.attempt {
                Some(attempt) => Some(attempt.attempt()?),
                None => None,
            },
            trouble: self.trouble.and_then(TroubleText::trouble),
        })
    }
}

impl<'a> HeldText<'a> {
    fn of(held: &'a Held) -> Self {
        let Held {
            access_token,
            refresh_token,
            asked_at,
            expires_at,
            refresh_expires_at,
            told_expires_at,
            told_refresh_expires_at,
            logged_in_at,
            client_id,
            login,
            extra,
        } = held;
        Self {
            access_token: access_token.expose().into(),
            refresh_token: refresh_token.as_ref().map(|it| it.expose().into()),
            asked_at: asked_at.as_micros(),
            expires_at: expires_at.as_micros(),
            refresh_expires_at: refresh_expires_at.map(Timestamp::as_micros),
            told_expires_at: told_expires_at.map(Timestamp::as_micros),
            told_refresh_expires_at: told_refresh_expires_at.map(Timestamp::as_micros),
            logged_in_at: logged_in_at.as_micros(),
            client_id: *client_id,
            login: login.as_deref().map(Cow::from),
            extra: extra
                .iter()
                .map(|(name, part)| (name.into(), part.expose().into()))
                .collect(),
        }
    }

    fn held(self) -> Held {
        Held {
            access_token: secret(self.access_token),
            refresh_token: self.refresh_token.map(secret),
            asked_at: Timestamp::from_micros(self.asked_at),
            expires_at: Timestamp::from_micros(self.expires_at),
            refresh_expires_at: self.refresh_expires_at.map(Timestamp::from_micros),
            told_expires_at: self.told_expires_at.map(Timestamp::from_micros),
            told_refresh_expires_at: self.told_refresh_expires_at.map(Timestamp::from_micros),
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
    fn of(attempt: &'a Attempt) -> Self {
        let Attempt {
            operation,
            asked_at,
        } = attempt;
        Self {
            operation: operation.name().into(),
            asked_at: asked_at.as_micros(),
        }
    }

    fn attempt(self) -> Option<Attempt> {
        Some(Attempt {
            operation: operation(&self.operation)?,
            asked_at: Timestamp::from_micros(self.asked_at),
        })
    }
}

impl<'a> TroubleText<'a> {
    fn of(trouble: &'a Trouble) -> Self {
        let Trouble {
            operation,
            refusal,
            status,
            detail,
            at,
            times,
            refused,
            secrets,
            retry_at,
            secret,
        } = trouble;
        Self {
            operation: operation.name().into(),
            refusal: refusal.map(|it| it.code().into()),
            status: *status,
            detail: detail.into(),
            at: at.as_micros(),
            times: *times,
            refused: *refused,
            secrets: *secrets,
            retry_at: retry_at.as_micros(),
            secret: *secret,
        }
    }

    fn trouble(self) -> Option<Trouble> {
        Some(Trouble {
            operation: operation(&self.operation)?,
            refusal: self.refusal.and_then(|it| Refusal::from_code(&it)),
            status: self.status,
            detail: self.detail.into_owned(),
            at: Timestamp::from_micros(self.at),
            times: self.times,
            refused: self.refused,
            secrets: self.secrets,
            retry_at: Timestamp::from_micros(self.retry_at),
            secret: self.secret,
        })
    }
}

fn operation(name: &str) -> Option<Operation> {
    Operation::ALL.into_iter().find(|it| it.name() == name)
}

fn secret(text: Cow<'_, str>) -> Secret {
    Secret::from(text.into_owned())
}

/// Counts what would be written.
struct Length(usize);

impl Write for Length {
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

    fn full() -> Record {
        let at = Timestamp::from_micros;
        Record {
            serial: u64::MAX,
            held: Some(Held {
                access_token: "access \"é\"".into(),
                refresh_token: Some("refresh".into()),
                asked_at: at(1_700_000_000_123_456),
                expires_at: at(i64::MAX),
                refresh_expires_at: Some(at(i64::MIN)),
                told_expires_at: Some(at(9)),
                told_refresh_expires_at: Some(at(10)),
                logged_in_at: at(-1),
                client_id: Some(u64::MAX),
                login: Some("ann".into()),
                extra: [("shop".to_owned(), Secret::from("7"))].into(),
            }),
            spent: 3,
            rejected: 1,
            attempt: Some(Attempt {
                operation: Operation::Refresh,
                asked_at: at(5),
            }),
            trouble: Some(Trouble {
                operation: Operation::Login,
                refusal: Some(Refusal::Throttled),
                status: Some(429),
                detail: "slow\ndown".into(),
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
        for record in [full(), Record::default()] {
            assert_eq!(read(&write(&record).unwrap()), Some(record));
        }
    }

    #[test]
    fn the_text_was_never_moved_in_memory() {
        let text = write(&full()).unwrap();
        assert_eq!(text.len(), text.capacity());
    }

    #[test]
    fn what_the_first_release_wrote_is_read() {
        let text = br#"{"serial":7,"held":{"access_token":"a","refresh_token":"r","asked_at":1,
            "expires_at":2,"refresh_expires_at":null,"logged_in_at":1,"client_id":null,
            "login":null,"extra":{}},"spent":0,"rejected":0}"#;
        let record = read(text).unwrap();
        assert_eq!((record.serial, record.attempt), (7, None));
        assert_eq!(record.held.unwrap().access_token, Secret::from("a"));
    }

    #[test]
    fn what_a_later_release_adds_is_passed_over() {
        let text = br#"{"serial":7,"colour":"red","trouble":{"operation":"login","refusal":"moon",
            "status":null,"detail":"d","at":1,"times":1,"retry_at":2,"secret":null,"x":[]}}"#;
        let trouble = read(text).unwrap().trouble.unwrap();
        assert_eq!((trouble.refusal, trouble.times), (None, 1));
    }

    #[test]
    fn a_record_with_an_attempt_that_is_unknown_is_not_read() {
        let text = br#"{"serial":7,"attempt":{"operation":"moonwalk","asked_at":1}}"#;
        assert_eq!(read(text), None);
    }
}
