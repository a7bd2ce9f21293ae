//! What changed before the refusals began: operators' changes to the account and to the
//! keys of its api, and starts and reloads of the server.

use std::time::Duration;

use countersign_domain::audit::Action;
use countersign_domain::{AccountId, ApiName, ApiScope, Timestamp};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::super::AdminState;
use super::super::member_text::{InstantText, TextMember};
use super::super::problem::AdminProblem;
use crate::refusal_ring::{KeptEvent, RefusalCause};
use countersign_store::{AuditEntry, AuditFilter, ListOrder};

/// How long before the first refusal a change still counts.
const JUST_BEFORE: Duration = Duration::from_secs(24 * 60 * 60);

/// How many changes are reported.
const MOST: usize = 3;

/// How many entries of the audit log are searched for them: many entries are logins.
const LOOKED_AT: usize = 200;

/// The actions on an api that affect every one of its accounts.
const OF_AN_API: [Action; 3] = [Action::KeyRotated, Action::KeyKilled, Action::ApiRevoked];

/// A change that may have led to refusals.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangeBefore)]
pub(in super::super) struct ChangeView {
    /// When it was made.
    at: InstantText,
    /// What changed: an action of the audit log, or an event of the server.
    what: String,
    /// Who made it: `partner`, `system`, or `operator:` with the name of the admin key.
    by: String,
    /// Details: those of the audit log, or a text.
    detail: Value,
    #[serde(skip)]
    instant: Timestamp,
}

/// What changed for these accounts before the first refusal of `cause`, the newest first.
pub(super) async fn before(
    cause: &RefusalCause,
    accounts: &[AccountId],
    admin: &AdminState,
) -> Result<Vec<ChangeView>, AdminProblem> {
    let (since, until) = (cause.first - JUST_BEFORE, cause.first);
    let mut changes: Vec<ChangeView> = Vec::new();
    for filter in filters(cause, accounts, since, until) {
        let entries = admin.store.audit_entries(filter, None, LOOKED_AT).await?;
        let entries = entries
            .into_iter()
            .filter(|it| it.action != Action::Login.code());
        changes.extend(entries.take(MOST).map(ChangeView::from));
    }
    let events = admin.refusals.events(since, until, MOST).await?;
    changes.extend(events.into_iter().map(ChangeView::from));
    changes.sort_by_key(|change| std::cmp::Reverse(change.instant));
    changes.truncate(MOST);
    Ok(changes)
}

/// Which entries of the audit log may be such a change: those of the accounts, and those
/// that affect every account of the api.
fn filters(
    cause: &RefusalCause,
    accounts: &[AccountId],
    since: Timestamp,
    until: Timestamp,
) -> Vec<AuditFilter> {
    let any = AuditFilter {
        scope: ApiScope::All,
        account: None,
        api: None,
        action: None,
        since: Some(since),
        // What led to the first refusal may have its instant.
        until: Some(until + Duration::from_micros(1)),
        order: ListOrder::NewestFirst,
    };
    let of_accounts = accounts.iter().map(|account| AuditFilter {
        account: Some(*account),
        ..any.clone()
    });
    let api = cause.api.as_ref().and_then(|api| api.parse().ok());
    let of_api = api.into_iter().flat_map(|api: ApiName| {
        let of = any.clone();
        OF_AN_API.map(|action| AuditFilter {
            api: Some(api.clone()),
            action: Some(action),
            ..of.clone()
        })
    });
    of_accounts.chain(of_api).collect()
}

impl From<AuditEntry> for ChangeView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            at: TextMember(entry.at),
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
            at: TextMember(event.at),
            what: event.kind,
            by: "system".to_owned(),
            detail: Value::String(event.detail),
            instant: event.at,
        }
    }
}
