//! Queries of the ring for operators.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use countersign_domain::{AccountId, ApiName, SessionId, Timestamp};
use rusqlite::types::{ToSql, Value};
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::record::{KeptEvent, KeptRefusal};
use super::{RefusalRing, RingInner};

/// The most rows in one list.
const PAGE: usize = 1_001;

/// How many addresses a [`RefusalCause`] contains.
const ADDRESSES: usize = 5;

const COLUMNS: &str = "number, id, at, repeated, last_at, front, api, operation, refusal, reason, \
     status, account, account_api, login, session, address, method, path, detail";

/// Reads on one connection, one after the other.
#[derive(Default)]
pub(super) struct RingReader(Mutex<Option<Connection>>);

/// The ring cannot be read. The log says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the refusals that were kept cannot be read")]
pub struct RingUnreadable;

/// Selects refusals. A field that is `None` selects nothing.
#[derive(Clone, Debug, Default)]
pub struct RefusalFilter {
    /// Refusals of this account, which must also belong to one of `apis`.
    pub account: Option<AccountId>,
    /// Refusals of exactly this login.
    pub login: Option<String>,
    /// Refusals from this address.
    pub address: Option<IpAddr>,
    /// Refusals with this code of a refusal or a reason.
    pub code: Option<String>,
    /// Refusals at this api.
    pub api: Option<ApiName>,
    /// Refusals at one of these apis.
    pub apis: Option<BTreeSet<ApiName>>,
    /// Refusals at this time or later.
    pub since: Option<Timestamp>,
    /// Refusals before this time.
    pub until: Option<Timestamp>,
}

/// Selects the refusals that are grouped by cause.
#[derive(Clone, Debug, Default)]
pub struct RefusalSuspects {
    /// Refusals of these accounts.
    pub accounts: Vec<AccountId>,
    /// Refusals of one of these logins.
    pub logins: Vec<String>,
    /// Refusals from one of these addresses, of callers without a known account or login.
    pub addresses: Vec<String>,
    /// Refusals at this api, or at none.
    pub api: Option<ApiName>,
    /// Refusals at one of these apis.
    pub apis: Option<BTreeSet<ApiName>>,
    /// Refusals at this time or later.
    pub since: Timestamp,
}

/// All refusals for one reason at one api.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalCause {
    /// The code of the reason.
    pub reason: String,
    /// The api.
    pub api: Option<String>,
    /// How many there were, including those that were only counted.
    pub count: u64,
    /// When the first one came.
    pub first: Timestamp,
    /// When the last one came.
    pub last: Timestamp,
    /// Some of the addresses, the most recent first.
    pub addresses: Vec<String>,
    /// The last one that was recorded.
    pub example: KeptRefusal,
}

impl RefusalRing {
    /// The refusal with this support id.
    ///
    /// # Errors
    ///
    /// The ring cannot be read.
    pub async fn find(&self, id: &str) -> Result<Option<KeptRefusal>, RingUnreadable> {
        let id = id.to_owned();
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM refusal WHERE id = ?1");
            connection
                .prepare_cached(&sql)?
                .query_row([id], kept_refusal)
                .optional()
        })
        .await
    }

    /// The refusals whose support id has this prefix, at one of `apis` if given. At most
    /// two, which is enough to know that the prefix is not unique.
    ///
    /// # Errors
    ///
    /// The ring cannot be read.
    pub async fn find_by_beginning(
        &self,
        beginning: &str,
        apis: Option<BTreeSet<ApiName>>,
    ) -> Result<Vec<KeptRefusal>, RingUnreadable> {
        let (first, apis) = (beginning.to_owned(), apis.as_ref().map(names));
        // No id has a character as high.
        let last = format!("{beginning}{}", char::MAX);
        self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM refusal WHERE id >= ?1 AND id < ?2
                 AND (?3 IS NULL OR api IN (SELECT value FROM json_each(?3))) LIMIT 2"
            );
            connection
                .prepare_cached(&sql)?
                .query_map((first, last, apis), kept_refusal)?
                .collect()
        })
        .await
    }

    /// Refusals, the newest first; only those before number `after`, if given.
    ///
    /// # Errors
    ///
    /// The ring cannot be read.
    pub async fn list(
        &self,
        asked: RefusalFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<KeptRefusal>, RingUnreadable> {
        self.read(move |connection| {
            let mut wanted = SqlConditions::from_filter(&asked);
            wanted.add_some("number < ?", after.map(u64::cast_signed));
            let sql = format!(
                "SELECT {COLUMNS} FROM refusal WHERE {} ORDER BY number DESC LIMIT {}",
                wanted.sql(),
                limit.min(PAGE)
            );
            let mut statement = connection.prepare(&sql)?;
            statement
                .query_map(params_from_iter(wanted.values), kept_refusal)?
                .collect()
        })
        .await
    }

    /// The selected refusals, grouped by cause, with the most recent cause first.
    ///
    /// # Errors
    ///
    /// The ring cannot be read.
    pub async fn causes(
        &self,
        suspects: RefusalSuspects,
    ) -> Result<Vec<RefusalCause>, RingUnreadable> {
        self.read(move |connection| causes(connection, &suspects))
            .await
    }

    /// What happened to the server from `since` until before `until`, the newest first.
    ///
    /// # Errors
    ///
    /// The ring cannot be read.
    pub async fn events(
        &self,
        since: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<KeptEvent>, RingUnreadable> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT at, kind, detail FROM event WHERE at >= ?1 AND at < ?2
                 ORDER BY number DESC LIMIT {}",
                limit.min(PAGE)
            );
            let span = (since.as_micros(), until.as_micros());
            connection
                .prepare_cached(&sql)?
                .query_map(span, event)?
                .collect()
        })
        .await
    }

    async fn read<T, F>(&self, read: F) -> Result<T, RingUnreadable>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.caught_up().await;
        let inner = std::sync::Arc::clone(&self.0);
        let read = tokio::task::spawn_blocking(move || inner.read(read)).await;
        read.unwrap_or(Err(RingUnreadable))
    }
}

impl RingInner {
    fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, RingUnreadable> {
        let connection = self
            .reading
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let connection = connection.as_ref().ok_or(RingUnreadable)?;
        read(connection).map_err(|error| {
            tracing::error!(%error, "the refusals that were kept cannot be read");
            RingUnreadable
        })
    }
}

impl RingReader {
    pub(super) fn replace(&self, connection: Option<Connection>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = connection;
    }
}

/// A condition in SQL, with its values in order.
#[derive(Default)]
struct SqlConditions {
    sql: Vec<&'static str>,
    values: Vec<Value>,
}

impl SqlConditions {
    fn from_filter(asked: &RefusalFilter) -> Self {
        let mut wanted = Self::default();
        wanted.add_some("account = ?", asked.account.map(number));
        wanted.add_some("login = ?", asked.login.clone());
        let address = asked.address.map(|it| it.to_canonical().to_string());
        wanted.add_some("address = ?", address);
        if let Some(code) = &asked.code {
            wanted.sql.push("(refusal = ? OR reason = ?)");
            wanted
                .values
                .extend([code.clone().into(), code.clone().into()]);
        }
        wanted.add_some("api = ?", asked.api.as_ref().map(ToString::to_string));
        let apis = asked.apis.as_ref().map(names);
        wanted.add_some("api IN (SELECT value FROM json_each(?))", apis.clone());
        if asked.account.is_some() {
            let own = "ifnull(account_api, api) IN (SELECT value FROM json_each(?))";
            wanted.add_some(own, apis);
        }
        wanted.add_some("last_at >= ?", asked.since.map(Timestamp::as_micros));
        wanted.add_some("at < ?", asked.until.map(Timestamp::as_micros));
        wanted
    }

    fn add_some(&mut self, sql: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.sql.push(sql);
            self.values.push(value.into());
        }
    }

    fn sql(&self) -> String {
        if self.sql.is_empty() {
            return "TRUE".to_owned();
        }
        self.sql.join(" AND ")
    }
}

impl RefusalSuspects {
    /// The condition that a row must meet, and its values.
    fn sql(&self) -> (String, Vec<Value>) {
        let api = self.api.as_ref().map(ToString::to_string);
        let apis = self.apis.as_ref().map(names);
        let mut values = vec![self.since.as_micros().into(), api.into(), apis.into()];
        let mut place = |value: Value| {
            values.push(value);
            format!("?{}", values.len())
        };
        let mut any = Vec::new();
        for account in &self.accounts {
            any.push(format!("account = {}", place(number(*account).into())));
        }
        for login in &self.logins {
            any.push(format!("login = {}", place(login.clone().into())));
        }
        for address in &self.addresses {
            let address = place(address.clone().into());
            let unknown = "account IS NULL AND login IS NULL";
            any.push(format!("(address = {address} AND {unknown})"));
        }
        let any = if any.is_empty() {
            "FALSE".to_owned()
        } else {
            any.join(" OR ")
        };
        let sql = format!(
            "last_at >= ?1 AND (?2 IS NULL OR api IS ?2 OR api IS NULL)
             AND (?3 IS NULL OR api IN (SELECT value FROM json_each(?3))) AND ({any})"
        );
        (sql, values)
    }
}

/// The names, in a form that SQL takes as a list.
fn names(apis: &BTreeSet<ApiName>) -> String {
    let names: Vec<_> = apis.iter().map(ApiName::as_str).collect();
    serde_json::json!(names).to_string()
}

fn causes(
    connection: &Connection,
    suspects: &RefusalSuspects,
) -> rusqlite::Result<Vec<RefusalCause>> {
    let (sql, values) = suspects.sql();
    let gathered = format!(
        "SELECT reason, api, sum(1 + repeated), min(at), max(last_at), max(number)
         FROM refusal WHERE {sql} GROUP BY reason, api ORDER BY max(last_at) DESC"
    );
    let mut gathered = connection.prepare(&gathered)?;
    let mut rows = gathered.query(params_from_iter(&values))?;
    let mut causes = Vec::new();
    while let Some(row) = rows.next()? {
        causes.push(RefusalCause {
            reason: row.get(0)?,
            api: row.get(1)?,
            count: row.get::<_, i64>(2)?.cast_unsigned(),
            first: time(row, 3)?,
            last: time(row, 4)?,
            addresses: addresses(connection, &sql, &values, row)?,
            example: example(connection, row.get(5)?)?,
        });
    }
    Ok(causes)
}

fn example(connection: &Connection, number: i64) -> rusqlite::Result<KeptRefusal> {
    let sql = format!("SELECT {COLUMNS} FROM refusal WHERE number = ?1");
    connection
        .prepare_cached(&sql)?
        .query_row([number], kept_refusal)
}

/// The addresses of the refusals with one cause.
fn addresses(
    connection: &Connection,
    sql: &str,
    values: &[Value],
    cause: &Row<'_>,
) -> rusqlite::Result<Vec<String>> {
    let (reason, api) = (values.len() + 1, values.len() + 2);
    let sql = format!(
        "SELECT address FROM refusal WHERE {sql} AND reason = ?{reason} AND api IS ?{api}
         GROUP BY address ORDER BY max(number) DESC LIMIT {ADDRESSES}"
    );
    let of_cause: [Value; 2] = [cause.get(0)?, cause.get(1)?];
    let values = values
        .iter()
        .chain(&of_cause)
        .map(|value| value as &dyn ToSql);
    let mut statement = connection.prepare(&sql)?;
    statement
        .query_map(params_from_iter(values), |row| row.get(0))?
        .collect()
}

fn kept_refusal(row: &Row<'_>) -> rusqlite::Result<KeptRefusal> {
    let account: Option<i64> = row.get(11)?;
    let session: Option<[u8; 16]> = row.get(14)?;
    Ok(KeptRefusal {
        number: row.get::<_, i64>(0)?.cast_unsigned(),
        id: row.get(1)?,
        at: time(row, 2)?,
        repeated: row.get::<_, i64>(3)?.cast_unsigned(),
        last_at: time(row, 4)?,
        front: row.get(5)?,
        api: row.get(6)?,
        operation: row.get(7)?,
        refusal: row.get(8)?,
        reason: row.get(9)?,
        status: row.get(10)?,
        account: account.and_then(|id| AccountId::new(id.cast_unsigned())),
        account_api: row.get(12)?,
        login: row.get(13)?,
        session: session.map(SessionId),
        address: row.get(15)?,
        method: row.get(16)?,
        path: row.get(17)?,
        detail: row.get(18)?,
    })
}

fn event(row: &Row<'_>) -> rusqlite::Result<KeptEvent> {
    Ok(KeptEvent {
        at: time(row, 0)?,
        kind: row.get(1)?,
        detail: row.get(2)?,
    })
}

fn time(row: &Row<'_>, at: usize) -> rusqlite::Result<Timestamp> {
    row.get(at).map(Timestamp::from_micros)
}

fn number(account: AccountId) -> i64 {
    account.number().cast_signed()
}
