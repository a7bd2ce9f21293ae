//! The audit log: who changed what, and when. Entries are never deleted.

use axum::Json;
use axum::extract::State;
use countersign_domain::AccountId;
use countersign_domain::account::InvalidText;
use countersign_domain::audit::Action;
use serde::Serialize;
use serde_json::Value;

use super::AdminState;
use super::fields::NamedValues;
use super::key::AuthenticatedOperator;
use super::page::{ListPage, QueryParameters, limit};
use super::problem::AdminProblem;
use super::query_instant::instant;
use countersign_store::{AuditEntry, AuditFilter, ListOrder};

/// An entry in a reply.
#[derive(Serialize)]
pub(super) struct EntryView {
    number: u64,
    at: String,
    action: String,
    api: Option<String>,
    account: Option<u64>,
    session: Option<String>,
    actor: String,
    detail: Value,
}

pub(super) async fn list(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    parameters: QueryParameters,
) -> Result<Json<ListPage<EntryView, u64>>, AdminProblem> {
    let (filter, after, limit) = parameters.read(|query| {
        let after = query.number("after", 1..=u64::MAX >> 1);
        Some((filter(query, &admin, &operator), after, limit(query)))
    })?;
    let found = admin.store.audit_entries(filter, after, limit + 1).await?;
    let place = |entry: &AuditEntry| entry.number;
    Ok(Json(ListPage::new(found, limit, place, EntryView::from)))
}

fn filter(
    query: &mut NamedValues,
    admin: &AdminState,
    operator: &AuthenticatedOperator,
) -> AuditFilter {
    let now = admin.store.now();
    AuditFilter {
        scope: operator.scope().clone(),
        account: query.account_id("account"),
        api: query.api("api", &operator.apis(admin)),
        action: query.parsed("action", action),
        since: query.parsed("since", |text| instant(text, now)),
        until: query.parsed("until", |text| instant(text, now)),
        order: query
            .parsed("order", order)
            .unwrap_or(ListOrder::OldestFirst),
    }
}

fn action(text: &str) -> Result<Action, InvalidText> {
    Action::from_code(text).ok_or_else(|| {
        let codes: Vec<_> = Action::ALL.iter().map(|action| action.code()).collect();
        InvalidText(format!("must be one of {}", codes.join(", ")))
    })
}

fn order(text: &str) -> Result<ListOrder, InvalidText> {
    match text {
        "asc" => Ok(ListOrder::OldestFirst),
        "desc" => Ok(ListOrder::NewestFirst),
        _ => Err(InvalidText("must be asc or desc".to_owned())),
    }
}

impl From<AuditEntry> for EntryView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            number: entry.number,
            at: entry.at.rfc3339(),
            action: entry.action,
            api: entry.api.map(|api| api.to_string()),
            account: entry.account.map(AccountId::number),
            session: entry.session.map(|session| session.to_string()),
            actor: entry.actor,
            detail: serde_json::from_str(&entry.detail).unwrap_or_default(),
        }
    }
}
