//! Creations that are made only once for an idempotency key. The reply is kept in the same
//! commit as the creation, so a repeated request gets that reply and creates nothing. Kept
//! replies are sealed; this crate cannot read them.

use rusqlite::OptionalExtension;

use super::Store;
use super::error::StoreUnavailable;
use super::record::{IdempotencyKey, IdempotentOutcome};
use super::work::WriteTransaction;

impl Store {
    /// The sealed reply that is kept for an operator's idempotency key.
    pub async fn remembered(
        &self,
        operator: &str,
        key: &str,
    ) -> Result<Option<Vec<u8>>, StoreUnavailable> {
        let (operator, key) = (operator.to_owned(), key.to_owned());
        let now = self.now().as_micros();
        self.read(move |connection| {
            connection
                .prepare_cached(FIND)?
                .query_row((&operator, &key, now), |row| row.get(0))
                .optional()
        })
        .await
    }
}

const FIND: &str = "SELECT sealed FROM remembered WHERE operator = ?1 AND key = ?2 AND until > ?3";

/// Runs `make` and keeps its reply, unless one is kept already. Without `once` it only
/// runs `make`. A refusal is not kept, since its cause may be corrected.
pub(super) fn run_once<T, E>(
    work: &mut WriteTransaction<'_>,
    once: Option<&IdempotencyKey<T>>,
    make: impl FnOnce(&mut WriteTransaction<'_>) -> rusqlite::Result<Result<T, E>>,
) -> rusqlite::Result<Result<IdempotentOutcome<T>, E>> {
    let Some(once) = once else {
        return Ok(make(work)?.map(IdempotentOutcome::New));
    };
    if let Some(sealed) = find(work, once)? {
        return Ok(Ok(IdempotentOutcome::Before(sealed)));
    }
    let made = match make(work)? {
        Ok(made) => made,
        Err(refused) => return Ok(Err(refused)),
    };
    keep(work, once, &made)?;
    Ok(Ok(IdempotentOutcome::New(made)))
}

fn find<T>(
    work: &WriteTransaction<'_>,
    once: &IdempotencyKey<T>,
) -> rusqlite::Result<Option<Vec<u8>>> {
    let params = (&once.operator, &once.key, work.now.as_micros());
    work.connection
        .prepare_cached(FIND)?
        .query_row(params, |row| row.get(0))
        .optional()
}

fn keep<T>(
    work: &WriteTransaction<'_>,
    once: &IdempotencyKey<T>,
    made: &T,
) -> rusqlite::Result<()> {
    let sealed = (once.reply)(made)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    // One whose time is over may not have been swept yet.
    work.execute_one(
        "INSERT OR REPLACE INTO remembered (operator, key, sealed, until) VALUES (?1, ?2, ?3, ?4)",
        (
            &once.operator,
            &once.key,
            sealed,
            (work.now + once.keep_for).as_micros(),
        ),
    )
}
