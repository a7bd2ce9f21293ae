//! The thread that writes the ring: whatever is waiting is committed together.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use countersign_domain::{AccountId, ApiName, Timestamp, TokenOperation};
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use super::file::{RingFile, put_aside};
use super::flood::{FloodMinute, FloodVerdict};
use super::read::RingReader;
use super::record::{NewRefusal, ServerEvent};
use super::{DroppedCounter, KEPT_FOR};

/// The most messages in one commit.
const BATCH: usize = 512;
/// The most rows that one sweep removes, so that it is short.
const SWEEP: u32 = 20_000;
/// How many events are kept.
const MOST_EVENTS: u32 = 10_000;

/// A message to the thread.
pub(super) enum RingMessage {
    Refused(Box<NewRefusal>),
    Event(ServerEvent),
    Sweep(Timestamp),
    /// Notified when everything before it is written.
    Reached(oneshot::Sender<()>),
}

/// The ring, as its thread has it.
pub(super) struct RingWriter {
    path: PathBuf,
    /// `None` after a failure that a new file did not solve.
    connection: Option<Connection>,
    reading: Arc<RingReader>,
    dropped: Arc<DroppedCounter>,
    minute: FloodMinute,
    next: i64,
    most: u32,
    failing: bool,
}

/// The changes of one commit.
#[derive(Default)]
struct RingBatch {
    keep: Vec<(i64, Box<NewRefusal>)>,
    /// By number: how many more there are, and when the last one came.
    repeat: BTreeMap<i64, (u64, Timestamp)>,
    events: Vec<ServerEvent>,
    sweep: Option<Timestamp>,
    reached: Vec<oneshot::Sender<()>>,
}

impl RingWriter {
    pub(super) fn new(
        file: RingFile,
        reading: Arc<RingReader>,
        dropped: Arc<DroppedCounter>,
        most: u32,
    ) -> Self {
        let mut writer = Self {
            path: file.path.clone(),
            connection: None,
            reading,
            dropped,
            minute: FloodMinute::default(),
            next: 1,
            most,
            failing: false,
        };
        writer.take(file);
        writer
    }

    /// Handles the queue until all its senders are gone.
    pub(super) fn run(&mut self, queue: &Receiver<RingMessage>) {
        while let Ok(first) = queue.recv() {
            let mut batch = RingBatch::default();
            self.sort(first, &mut batch);
            for message in queue.try_iter().take(BATCH - 1) {
                self.sort(message, &mut batch);
            }
            self.serve(batch);
        }
    }

    fn take(&mut self, file: RingFile) {
        let RingFile { writer, reader, .. } = file;
        let last = "SELECT ifnull(max(number), 0) FROM refusal";
        let last = writer.query_row(last, [], |row| row.get::<_, i64>(0));
        self.next = last.unwrap_or(0) + 1;
        self.minute = FloodMinute::default();
        self.reading.replace(Some(reader));
        self.connection = Some(writer);
    }

    fn sort(&mut self, message: RingMessage, batch: &mut RingBatch) {
        match message {
            RingMessage::Refused(refused) => match self.minute.judge(&refused, self.next) {
                FloodVerdict::Keep(number) => {
                    self.next = number + 1;
                    batch.keep.push((number, refused));
                }
                FloodVerdict::Repeat(number) => {
                    let (more, last) = batch.repeat.entry(number).or_default();
                    *more += 1;
                    *last = refused.at.max(*last);
                }
                FloodVerdict::Drop => self.dropped.count(1),
            },
            RingMessage::Event(event) => batch.events.push(event),
            RingMessage::Sweep(now) => batch.sweep = Some(now),
            RingMessage::Reached(reached) => batch.reached.push(reached),
        }
    }

    fn serve(&mut self, batch: RingBatch) {
        match self.write(&batch) {
            Ok(()) => self.failing = false,
            Err(error) => self.failed(&error, &batch),
        }
        for reached in batch.reached {
            // Who asked may have gone away.
            let _ = reached.send(());
        }
    }

    fn write(&mut self, batch: &RingBatch) -> rusqlite::Result<()> {
        let Some(connection) = &mut self.connection else {
            self.dropped.count(batch.size());
            return Ok(());
        };
        if batch.is_empty() {
            return Ok(());
        }
        let transaction = connection.transaction()?;
        batch.write(&transaction, self.next - i64::from(self.most))?;
        transaction.commit()
    }

    fn failed(&mut self, error: &rusqlite::Error, batch: &RingBatch) {
        self.dropped.count(batch.size());
        // What was to be repeated may not be there.
        self.minute = FloodMinute::default();
        if !self.failing {
            tracing::error!(%error, "refusals could not be recorded");
        }
        self.failing = true;
        let damaged = [ErrorCode::DatabaseCorrupt, ErrorCode::NotADatabase];
        if error
            .sqlite_error_code()
            .is_some_and(|code| damaged.contains(&code))
        {
            self.begin_anew();
        }
    }

    fn begin_anew(&mut self) {
        self.connection = None;
        self.reading.replace(None);
        let file = put_aside(&self.path).map_err(Into::into);
        match file.and_then(|()| RingFile::open(&self.path)) {
            Ok(file) => self.take(file),
            Err(fault) => tracing::error!(%fault, "refusals are no longer recorded"),
        }
    }
}

impl RingBatch {
    fn is_empty(&self) -> bool {
        self.size() == 0 && self.events.is_empty() && self.sweep.is_none()
    }

    /// How many refusals are in it.
    fn size(&self) -> u64 {
        let repeated: u64 = self.repeat.values().map(|(more, _)| more).sum();
        self.keep.len() as u64 + repeated
    }

    /// Writes the changes, and removes the rows up to number `gone`.
    fn write(&self, connection: &Connection, gone: i64) -> rusqlite::Result<()> {
        for (number, refused) in &self.keep {
            insert(connection, *number, refused)?;
        }
        let repeat = "UPDATE refusal SET repeated = repeated + ?2, last_at = max(last_at, ?3)
                      WHERE number = ?1";
        for (number, (more, last)) in &self.repeat {
            let mut repeat = connection.prepare_cached(repeat)?;
            repeat.execute((number, more.cast_signed(), last.as_micros()))?;
        }
        self.write_events(connection)?;
        execute(connection, "DELETE FROM refusal WHERE number < ?1", [gone])?;
        self.sweep.map_or(Ok(()), |now| sweep(connection, now))
    }

    fn write_events(&self, connection: &Connection) -> rusqlite::Result<()> {
        for event in &self.events {
            let parts = (event.at.as_micros(), event.kind.code(), &event.detail);
            let insert = "INSERT INTO event (at, kind, detail) VALUES (?1, ?2, ?3)";
            execute(connection, insert, parts)?;
        }
        let bound = "DELETE FROM event WHERE number <= (SELECT max(number) FROM event) - ?1";
        execute(connection, bound, [MOST_EVENTS])
    }
}

fn insert(connection: &Connection, number: i64, refused: &NewRefusal) -> rusqlite::Result<()> {
    let insert = "INSERT INTO refusal (number, id, at, last_at, front, api, operation, refusal,
                      reason, status, account, account_api, login, session, address, method, path,
                      detail)
                  VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
                      ?16, ?17)";
    let parts = rusqlite::params![
        number,
        refused.id,
        refused.at.as_micros(),
        refused.front.name(),
        refused.api.as_ref().map(ApiName::as_str),
        refused.operation.map(TokenOperation::name),
        refused.peer_code(),
        refused.reason.code(),
        refused.status,
        refused.account.map(AccountId::number).map(u64::cast_signed),
        refused.account_api.as_ref().map(ApiName::as_str),
        refused.login,
        refused.session.map(|session| session.0),
        refused.address.to_canonical().to_string(),
        refused.method,
        refused.path,
        refused.detail,
    ];
    execute(connection, insert, parts)
}

/// Removes what is too old, starting with the oldest.
fn sweep(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let old = (now - KEPT_FOR).as_micros();
    let refusals = "DELETE FROM refusal WHERE last_at < ?1 AND number IN
                    (SELECT number FROM refusal ORDER BY number LIMIT ?2)";
    execute(connection, refusals, (old, SWEEP))?;
    execute(connection, "DELETE FROM event WHERE at < ?1", [old])
}

fn execute(
    connection: &Connection,
    sql: &str,
    parts: impl rusqlite::Params,
) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(parts).map(drop)
}
