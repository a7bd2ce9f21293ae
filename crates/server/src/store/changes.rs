//! What operators and the server changed, as far as an account feels it.

use countersign_domain::audit::Action;
use countersign_domain::{AccountId, ApiName, Timestamp};

use super::error::Unavailable;
use super::log::all;
use super::record::AuditEntry;
use super::{Store, page, row};

impl Store {
    /// The last changes from `since` to `until`, both included, that concern one
    /// of `accounts` or the api as a whole; the newest first. Logins are none.
    pub async fn changes(
        &self,
        accounts: &[AccountId],
        api: Option<ApiName>,
        since: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, Unavailable> {
        let accounts: Vec<_> = accounts.iter().map(|it| it.number()).collect();
        let accounts = serde_json::json!(accounts).to_string();
        self.read(move |connection| {
            let sql = format!(
                "SELECT {} FROM audit WHERE at >= ?1 AND at <= ?2 AND action <> ?3 AND
                 (account IN (SELECT value FROM json_each(?4)) OR (account IS NULL AND api = ?5))
                 ORDER BY number DESC LIMIT ?6",
                row::AUDIT
            );
            let params = (
                since.as_micros(),
                until.as_micros(),
                Action::Login.code(),
                accounts,
                api.as_ref().map(ApiName::as_str),
                page(limit),
            );
            all(connection, &sql, params, row::audit)
        })
        .await
    }
}
