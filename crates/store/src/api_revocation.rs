//! Revokes everything of an api at once.

use countersign_domain::audit::Action;
use countersign_domain::session::End;
use countersign_domain::{Account, ApiName};
use serde_json::json;

use super::accounts::audit;
use super::error::StoreUnavailable;
use super::log::all;
use super::record::{ApiRevocationCounts, AuditActor};
use super::session_end::end_all;
use super::work::{NewAuditEntry, WriteTransaction};
use super::{Store, row};

/// How many accounts one transaction ends, so that others get their turn in between.
const STEP: u32 = 200;

impl Store {
    /// Ends everything of every account of an api, in steps. If it is interrupted, run it
    /// again. It continues if the caller goes away.
    pub async fn revoke_api(
        &self,
        api: &ApiName,
        actor: AuditActor,
    ) -> Result<ApiRevocationCounts, StoreUnavailable> {
        let (store, api) = (self.clone(), api.clone());
        let task = tokio::spawn(async move { store.revoke_steps(api, actor).await });
        task.await.unwrap_or(Err(StoreUnavailable::Failed))
    }

    async fn revoke_steps(
        &self,
        api: ApiName,
        actor: AuditActor,
    ) -> Result<ApiRevocationCounts, StoreUnavailable> {
        let mut ended = ApiRevocationCounts::default();
        let mut after = None;
        loop {
            let (api, actor) = (api.clone(), actor.clone());
            let step = self.write(move |work| step(work, &api, after, &actor));
            let (last, of_step) = step.await?;
            ended.accounts += of_step.accounts;
            ended.sessions += of_step.sessions;
            if last.is_none() {
                return Ok(ended);
            }
            after = last;
        }
    }
}

/// Ends the sessions of the next accounts, and returns the last of these.
fn step(
    work: &mut WriteTransaction<'_>,
    api: &ApiName,
    after: Option<i64>,
    actor: &AuditActor,
) -> rusqlite::Result<(Option<i64>, ApiRevocationCounts)> {
    if after.is_none() {
        work.audit(&NewAuditEntry {
            action: Action::ApiRevoked,
            api: Some(api),
            account: None,
            session: None,
            actor,
            detail: json!({}),
        })?;
    }
    let mut ended = ApiRevocationCounts::default();
    let mut last = None;
    for mut account in next(work, api, after.unwrap_or(0))? {
        let sessions = end_all(work, &mut account, End::Operator)?;
        let detail = json!({ "ended": sessions, "with": "api_revoked" });
        audit(work, Action::SessionsEnded, &account, actor, detail)?;
        ended.accounts += 1;
        ended.sessions += sessions;
        last = Some(row::id(account.id));
    }
    Ok((last, ended))
}

fn next(work: &WriteTransaction<'_>, api: &ApiName, after: i64) -> rusqlite::Result<Vec<Account>> {
    let sql = format!(
        "SELECT {} FROM account AS a WHERE a.api = ?1 AND a.id > ?2 ORDER BY a.id LIMIT ?3",
        row::ACCOUNT
    );
    all(work.connection, &sql, (api.as_str(), after, STEP), |row| {
        row::account(row, 0)
    })
}
