//! The sweep: deletes expired rows that nothing needs any more, a few at a time. Audit
//! entries are kept.

use std::time::Duration;

use countersign_domain::Timestamp;

use super::record::SweepOutcome;
use super::work::WriteTransaction;

/// How many rows of one kind are deleted in one step.
pub(super) const STEP: u32 = 250;

/// How long a session's row is kept after its last token has expired, so that an operator
/// sees why a late one was refused.
pub(super) const SESSION_SLACK: Duration = Duration::from_secs(3_600);

/// How long a revocation is kept after the last token that it concerns has expired:
/// longer than verifiers may lag behind, or tolerate differences between clocks.
pub(super) const REVOCATION_SLACK: Duration = Duration::from_secs(60);

/// How long a lease is kept after its token has expired: longer than its verifiers may
/// tolerate differences between clocks.
pub(super) const LEASE_SLACK: Duration = Duration::from_secs(60);

/// How long a network is remembered after the last login from it.
pub(super) const NETWORK_SLACK: Duration = Duration::from_secs(90 * 86_400);

/// One step of the sweep.
pub(super) fn step(work: &mut WriteTransaction<'_>) -> rusqlite::Result<SweepOutcome> {
    let due = (work.now - SESSION_SLACK).as_micros();
    // A session that was refreshed since lives longer than its place in the
    // index says: it moves to its new place.
    let moved = work.execute(
        "UPDATE session SET sweep_at = token_until WHERE token_until > ?1 AND number IN
         (SELECT number FROM session WHERE sweep_at <= ?1 ORDER BY sweep_at, number LIMIT ?2)",
        (due, STEP),
    )?;
    let rest = STEP.saturating_sub(moved as u32);
    let sessions = work.execute(
        "DELETE FROM session WHERE token_until <= ?1 AND number IN
         (SELECT number FROM session WHERE sweep_at <= ?1 ORDER BY sweep_at, number LIMIT ?2)",
        (due, rest),
    )?;
    let revocations = work.execute(
        "DELETE FROM revocation WHERE number IN
         (SELECT number FROM revocation WHERE until <= ?1 ORDER BY until LIMIT ?2)",
        ((work.now - REVOCATION_SLACK).as_micros(), STEP),
    )?;
    let replies = work.execute(
        "DELETE FROM remembered WHERE (operator, key) IN
         (SELECT operator, key FROM remembered WHERE until <= ?1 LIMIT ?2)",
        (work.now.as_micros(), STEP),
    )?;
    let leases = sweep_leases(work, work.now - LEASE_SLACK, STEP)?;
    let networks = sweep_networks(work, work.now, STEP)?;
    let full = STEP as usize;
    Ok(SweepOutcome {
        sessions,
        revocations,
        replies,
        leases,
        networks,
        more: [moved + sessions, revocations, replies, leases, networks].contains(&full),
    })
}

/// Deletes up to `most` networks that were not seen for a long time.
fn sweep_networks(
    work: &WriteTransaction<'_>,
    now: Timestamp,
    most: u32,
) -> rusqlite::Result<usize> {
    work.execute(
        "DELETE FROM known_network WHERE (credential, network) IN
         (SELECT credential, network FROM known_network WHERE seen_at <= ?1 LIMIT ?2)",
        ((now - NETWORK_SLACK).as_micros(), most),
    )
}

/// Deletes up to `most` leases of tokens that expired before `due`.
fn sweep_leases(work: &WriteTransaction<'_>, due: Timestamp, most: u32) -> rusqlite::Result<usize> {
    work.execute(
        "DELETE FROM lease WHERE (session, generation, until) IN
         (SELECT session, generation, until FROM lease WHERE until <= ?1 LIMIT ?2)",
        (due.as_micros(), most),
    )
}
