//! Leases: parts of an access token's budget that a verifier may spend without asking
//! again. A lease is durable before it is spent, so a budget is never exceeded; what a
//! verifier had left when it died stays spent.

use countersign_domain::{SessionId, Timestamp};
use rusqlite::OptionalExtension;

use super::Store;
use super::error::StoreUnavailable;
use super::sweep::LEASE_SLACK;
use super::work::WriteTransaction;

/// How many leases are given back in one command.
const GIVEN_BACK_AT_ONCE: usize = 256;

/// A part of the budget of one access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetLease {
    /// The session of the token.
    pub session: SessionId,
    /// The generation of the session.
    pub generation: u32,
    /// When the token expires. A generation whose access token is renewed has several
    /// tokens, each with its own budget.
    pub until: Timestamp,
    /// How many requests.
    pub requests: u32,
}

/// What was lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseOutcome {
    /// How many requests may be made. This is fewer than requested, or none, if almost
    /// all of the budget is lent.
    pub granted: u32,
    /// How many requests of the budget are lent in all, to any borrower.
    pub in_all: u32,
}

impl Store {
    /// Lends a part of the budget of an access token that may make `limit` requests.
    /// Altogether it never lends more of one token than `limit`, and nothing of a token
    /// that expired some time ago.
    pub async fn lease(
        &self,
        wanted: BudgetLease,
        limit: u32,
    ) -> Result<LeaseOutcome, StoreUnavailable> {
        self.write(move |work| lease(work, wanted, limit)).await
    }

    /// Takes back what was lent and will not be spent.
    pub async fn give_back_leases(
        &self,
        unspent: Vec<BudgetLease>,
    ) -> Result<(), StoreUnavailable> {
        for chunk in unspent.chunks(GIVEN_BACK_AT_ONCE) {
            let chunk = chunk.to_vec();
            self.write(move |work| chunk.iter().try_for_each(|lease| take_back(work, *lease)))
                .await?;
        }
        Ok(())
    }
}

fn lease(
    work: &mut WriteTransaction<'_>,
    wanted: BudgetLease,
    limit: u32,
) -> rusqlite::Result<LeaseOutcome> {
    if wanted.until <= work.now - LEASE_SLACK {
        // Its row may be swept, and with it what was lent already.
        return Ok(LeaseOutcome {
            granted: 0,
            in_all: limit,
        });
    }
    let (session, generation, until) = key(wanted);
    let before: u32 = work
        .connection
        .prepare_cached(
            "SELECT leased FROM lease WHERE session = ?1 AND generation = ?2 AND until = ?3",
        )?
        .query_row((session, generation, until), |row| row.get(0))
        .optional()?
        .unwrap_or(0);
    let granted = wanted.requests.min(limit.saturating_sub(before));
    let leased = before + granted;
    if granted > 0 {
        work.execute_one(
            "INSERT INTO lease (session, generation, until, leased) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (session, generation, until) DO UPDATE SET leased = excluded.leased",
            (session, generation, until, leased),
        )?;
    }
    Ok(LeaseOutcome {
        granted,
        in_all: leased,
    })
}

/// A lease whose token has expired may be gone already, and then what is given back is
/// dropped.
fn take_back(work: &WriteTransaction<'_>, lease: BudgetLease) -> rusqlite::Result<()> {
    let (session, generation, until) = key(lease);
    work.execute(
        "UPDATE lease SET leased = max(leased - ?4, 0)
         WHERE session = ?1 AND generation = ?2 AND until = ?3",
        (session, generation, until, lease.requests),
    )
    .map(drop)
}

fn key(lease: BudgetLease) -> ([u8; 16], u32, i64) {
    (lease.session.0, lease.generation, lease.until.as_micros())
}
