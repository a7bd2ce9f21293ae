//! What changed before refusals began: operators' changes to the account and to
//! the keys of its api, and starts and reloads of the server.

use std::time::Duration;

use countersign_domain::{AccountId, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::super::AdminState;
use super::super::problem::Problem;
use super::super::view::rfc3339;
use crate::refusals::{Cause, KeptEvent};
use crate::store::AuditEntry;

/// How long before the first refusal a change still counts.
const JUST_BEFORE: Duration = Duration::from_secs(24 * 60 * 60);

/// How many changes are told.
const MOST: usize = 3;

/// A change in a reply.
#[derive(Serialize)]
pub(super) struct ChangeView {
    at: String,
    what: String,
    by: String,
    detail: Value,
    #[serde(skip)]
    instant: Timestamp,
}

/// What changed for these accounts before the first refusal of `cause`, the
/// newest first.
pub(super) async fn before(
    cause: &Cause,
    accounts: &[AccountId],
    admin: &AdminState,
) -> Result<Vec<ChangeView>, Problem> {
    let (since, until) = (cause.first - JUST_BEFORE, cause.first);
    let api = cause.api.as_ref().and_then(|api| api.parse().ok());
    let entries = admin
        .store
        .changes(accounts, api, since, until, MOST)
        .await?;
    let mut changes: Vec<_> = entries.into_iter().map(ChangeView::from).collect();
    let events = admin.refusals.events(since, until, MOST).await?;
    changes.extend(events.into_iter().map(ChangeView::from));
    changes.sort_by_key(|change| std::cmp::Reverse(change.instant));
    changes.truncate(MOST);
    Ok(changes)
}

impl From<AuditEntry> for ChangeView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            at: rfc3339(entry.at),
            what: entry.action,
            by: entry.actor,
            detail: serde_json::from_str(&entry.detail).unwrap_or_default(),
            instant: entry.at,
        }
    }
}

impl From<KeptEvent> for ChangeView {
    fn from(event: KeptEvent) -> Self {
        Self {
            at: rfc3339(event.at),
            what: event.kind,
            by: "system".to_owned(),
            detail: Value::String(event.detail),
            instant: event.at,
        }
    }
}
