//! The networks from which a credential was used with the right secret. They are kept over
//! restarts, so that the throttle can tell them from unknown ones.

use std::time::Duration;

use countersign_domain::{Account, ApiName, Credential, CredentialId, HostNetwork};
use rusqlite::OptionalExtension;

use super::Store;
use super::error::StoreUnavailable;
use super::row;
use super::sweep::NETWORK_SLACK;
use super::work::WriteTransaction;

/// How many networks are remembered for a credential; the one that was seen longest ago
/// is replaced.
const MOST: u32 = 64;

/// How old a network's record becomes before a login renews it: a login does not write
/// what is known already.
const RENEWED_AFTER: Duration = Duration::from_secs(86_400);

/// A credential, as a login needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginCandidate {
    /// The account, active or not.
    pub account: Account,
    /// The credential, active or not.
    pub credential: Credential,
    /// Whether a session was opened with it from the caller's network within the last 90
    /// days.
    pub network_is_known: bool,
}

impl Store {
    /// The credential of an api with exactly this login, for a caller in `network`.
    ///
    /// If there is none, a row is read all the same and thrown away, so that timing does
    /// not reveal which logins exist.
    pub async fn candidate(
        &self,
        api: &ApiName,
        login: &str,
        network: HostNetwork,
    ) -> Result<Option<LoginCandidate>, StoreUnavailable> {
        let (api, login, since) = (api.clone(), login.to_owned(), self.now() - NETWORK_SLACK);
        self.read(move |connection| {
            let found: (Option<i64>, Option<i64>) = connection
                .prepare_cached(FIND)?
                .query_row((&login, api.as_str()), |row| Ok((row.get(0)?, row.get(1)?)))?;
            let (id, decoy) = found;
            let read = connection
                .prepare_cached(&sql())?
                .query_row(
                    (id.or(decoy), network.to_string(), since.as_micros()),
                    candidate,
                )
                .optional()?;
            Ok(read.filter(|_| id.is_some()))
        })
        .await
    }
}

/// Remembers that a correct secret came from `network`, in the commit of what it opened.
pub(super) fn remember(
    work: &mut WriteTransaction<'_>,
    credential: CredentialId,
    network: HostNetwork,
) -> rusqlite::Result<()> {
    let id = credential.0.cast_signed();
    let written = work.execute(
        "INSERT INTO known_network (credential, network, seen_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (credential, network) DO UPDATE SET seen_at = excluded.seen_at
         WHERE seen_at < ?4",
        (
            id,
            network.to_string(),
            work.now.as_micros(),
            (work.now - RENEWED_AFTER).as_micros(),
        ),
    )?;
    if written > 0 {
        work.execute(
            "DELETE FROM known_network WHERE credential = ?1 AND network IN
             (SELECT network FROM known_network WHERE credential = ?1
              ORDER BY seen_at DESC, network = ?3 DESC LIMIT -1 OFFSET ?2)",
            (id, MOST, network.to_string()),
        )?;
    }
    Ok(())
}

/// Forgets all networks of a credential that is deleted.
pub(super) fn forget(
    work: &WriteTransaction<'_>,
    credential: CredentialId,
) -> rusqlite::Result<()> {
    let id = credential.0.cast_signed();
    work.execute("DELETE FROM known_network WHERE credential = ?1", [id])
        .map(drop)
}

/// The id of the requested login, and of one that exists in any case.
const FIND: &str = "SELECT (SELECT id FROM credential WHERE login = ?1 AND api = ?2),
                    (SELECT max(id) FROM credential)";

fn sql() -> String {
    format!(
        "SELECT {}, {}, EXISTS (SELECT 1 FROM known_network
          WHERE credential = c.id AND network = ?2 AND seen_at > ?3)
         FROM credential AS c JOIN account AS a ON a.id = c.account
         WHERE c.id = ?1",
        row::ACCOUNT,
        row::CREDENTIAL
    )
}

fn candidate(row: &rusqlite::Row<'_>) -> rusqlite::Result<LoginCandidate> {
    Ok(LoginCandidate {
        account: row::account(row, 0)?,
        credential: row::credential(row, row::ACCOUNT_COLUMNS)?,
        network_is_known: row.get(row::ACCOUNT_COLUMNS + row::CREDENTIAL_COLUMNS)?,
    })
}
