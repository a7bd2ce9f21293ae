//! The audit log: who changed what, and when. Entries are never deleted.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::AdminState;
use super::key::AuthenticatedOperator;
use super::member_number::{AccountNumber, EntryNumber, PageLimit, WholeNumber};
use super::member_text::{
    ApiNameText, InstantOrAgeText, InstantText, ServedApi, SessionIdText, TextMember,
};
use super::member_words::ActionText;
use super::page::{ListPage, RequestQuery, items};
use super::problem::AdminProblem;
use countersign_store::{AuditEntry, AuditFilter, ListOrder};

/// Selects the entries of the audit log to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    /// Only entries about this account.
    account: Option<AccountNumber>,
    /// Only entries about this api.
    api: Option<ServedApi>,
    /// Only entries with this action.
    action: Option<ActionText>,
    /// Only entries from this time on.
    since: Option<InstantOrAgeText>,
    /// Only entries before this time.
    until: Option<InstantOrAgeText>,
    /// Whether the oldest entries come first (asc), or the newest (desc).
    #[schema(inline, default = "asc")]
    order: Option<OrderText>,
    /// Only entries that follow this number in that order.
    #[schema(inline)]
    after: Option<EntryNumber>,
    /// The most entries to return.
    #[schema(inline, default = 100)]
    limit: Option<PageLimit>,
}

/// The order of a list.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum OrderText {
    Asc,
    Desc,
}

/// An entry of the audit log: who changed what, and when.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(super) struct EntryView {
    /// Its number; later entries have higher ones.
    #[schema(value_type = u64, minimum = 1)]
    number: EntryNumber,
    /// When it happened.
    at: InstantText,
    /// What happened.
    #[schema(value_type = ActionText)]
    action: String,
    /// The api that it concerns; null if there is none.
    api: Option<ApiNameText>,
    /// The account that it concerns; null if there is none.
    account: Option<AccountNumber>,
    /// The session that it concerns; null if there is none.
    session: Option<SessionIdText>,
    /// Who did it: `partner`, `system`, or `operator:` with the name of the admin key.
    actor: String,
    /// Details; their members depend on the action.
    #[schema(value_type = Object)]
    detail: Map<String, Value>,
}

pub(super) async fn list(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    query: RequestQuery<AuditQuery>,
) -> Result<Json<ListPage<EntryView, EntryNumber>>, AdminProblem> {
    let (apis, now) = (operator.apis(&admin), admin.store.now());
    let (filter, after, limit) = query.read(|query: AuditQuery, faults| {
        let filter = AuditFilter {
            scope: operator.scope().clone(),
            account: query.account.map(|account| account.0),
            api: faults.api(query.api, &apis),
            action: query.action.map(|action| action.0),
            since: query.since.map(|since| since.0.at(now)),
            until: query.until.map(|until| until.0.at(now)),
            order: match query.order {
                Some(OrderText::Desc) => ListOrder::NewestFirst,
                Some(OrderText::Asc) | None => ListOrder::OldestFirst,
            },
        };
        let after = query.after.map(|after| after.0);
        Some((filter, after, items(query.limit)))
    })?;
    let found = admin.store.audit_entries(filter, after, limit + 1).await?;
    let place = |entry: &AuditEntry| WholeNumber(entry.number);
    Ok(Json(ListPage::new(found, limit, place, EntryView::from)))
}

impl From<AuditEntry> for EntryView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            number: WholeNumber(entry.number),
            at: TextMember(entry.at),
            action: entry.action,
            api: entry.api.map(TextMember),
            account: entry.account.map(AccountNumber),
            session: entry.session.map(TextMember),
            actor: entry.actor,
            detail: serde_json::from_str(&entry.detail).unwrap_or_default(),
        }
    }
}
