//! Accounts: list, show, create, change, delete.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use countersign_dialect::Secret;
use countersign_domain::account::Allowlist;
use countersign_domain::{Account, AccountId, AccountLimits, ApiName, Credential};
use serde::Serialize;
use tracing::info;

use super::AdminState;
use super::body::RequestMembers;
use super::fields::NamedValues;
use super::idempotency::{CreationReply, RepeatableRequest};
use super::key::AuthenticatedOperator;
use super::page::{ListPage, QueryParameters, limit};
use super::path_params::{PathParams, no_account};
use super::problem::AdminProblem;
use super::secret::{GeneratedCredential, NewCredentialBody};
use super::view::{AccountView, CredentialView};
use countersign_server::api::IssuingApi;
use countersign_store::{AccountFilter, AccountUpdate, NewAccount};

/// What a body says of a new account.
struct NewAccountBody {
    api: Arc<IssuingApi>,
    id: Option<AccountId>,
    credential: NewCredentialBody,
    allow: Allowlist,
    limits: AccountLimits,
    active: bool,
}

/// The reply to a creation. The secret is there only if it was generated.
#[derive(Serialize)]
struct CreatedAccount {
    #[serde(flatten)]
    account: AccountView,
    credential: CredentialView,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

pub(super) async fn list(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    parameters: QueryParameters,
) -> Result<Json<ListPage<AccountView, u64>>, AdminProblem> {
    let (filter, after, limit) = parameters.read(|query| {
        let filter = AccountFilter {
            scope: operator.scope().clone(),
            api: query.api("api", &operator.apis(&admin)),
            login: query.text("login"),
        };
        Some((filter, query.account_id("after"), limit(query)))
    })?;
    let found = admin.store.accounts(filter, after, limit + 1).await?;
    let place = |account: &Account| account.id.number();
    Ok(Json(ListPage::new(found, limit, place, AccountView::from)))
}

pub(super) async fn show(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
) -> Result<Json<AccountView>, AdminProblem> {
    Ok(Json(place.account(&admin, &operator).await?.into()))
}

pub(super) async fn create(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    asked: RepeatableRequest,
) -> Result<Response, AdminProblem> {
    let apis = operator.apis(&admin);
    let (creation, once) = asked.read(|fields| NewAccountBody::read(fields, &apis))?;
    let api = creation.api;
    let GeneratedCredential { credential, shown } = creation.credential.make(&admin, &api).await?;
    let new = NewAccount {
        api: api.name().clone(),
        id: creation.id,
        credential,
        allow: creation.allow,
        limits: creation.limits,
        active: creation.active,
    };
    let reply = move |(account, credential): &_| reply(account, credential, shown.as_ref());
    let key = once.key(reply.clone());
    let made = admin
        .store
        .create_account_once(new, operator.actor(), key)
        .await?;
    once.answer(&made, reply, |(account, _)| {
        log(&operator, "account_created", &account.api, account.id);
    })
}

fn reply(account: &Account, credential: &Credential, shown: Option<&Secret>) -> CreationReply {
    let location = format!("/admin/v1/accounts/{}", account.id);
    let created = CreatedAccount {
        account: account.clone().into(),
        credential: credential.clone().into(),
        secret: shown.map(|secret| secret.expose().to_owned()),
    };
    CreationReply::created(location, &created)
}

impl NewAccountBody {
    fn read(fields: &mut NamedValues, apis: &BTreeMap<ApiName, Arc<IssuingApi>>) -> Option<Self> {
        fields.require("api");
        let api = fields.api("api", apis);
        let api = api.and_then(|name| apis.get(&name).cloned());
        let id = fields.account_id("id");
        let allow = fields.networks("allow").unwrap_or_default();
        let limits = fields.limits("limits").unwrap_or_default();
        let active = fields.active("state").unwrap_or(true);
        let credential = NewCredentialBody::read(fields, api.as_deref());
        Some(Self {
            api: api?,
            id,
            credential: credential?,
            allow,
            limits,
            active,
        })
    }
}

pub(super) async fn change(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
    body: RequestMembers,
) -> Result<Json<AccountView>, AdminProblem> {
    let id = place.account(&admin, &operator).await?.id;
    let update = body.read(update)?;
    let action = action(&update);
    let updated = admin
        .store
        .update_account(id, update, operator.actor())
        .await?;
    let account = updated.ok_or_else(no_account)?;
    log(&operator, action, &account.api, account.id);
    Ok(Json(account.into()))
}

fn update(fields: &mut NamedValues) -> Option<AccountUpdate> {
    let update = AccountUpdate {
        active: fields.active("state"),
        allow: fields.networks("allow"),
        limits: fields.limits("limits"),
    };
    if fields.is_empty() {
        return fields.fault("", "holds nothing to change: give state, allow or limits");
    }
    Some(update)
}

/// What a change is called in the log.
fn action(update: &AccountUpdate) -> &'static str {
    match (update.active, &update.allow, &update.limits) {
        (Some(true), None, None) => "account_enabled",
        (Some(false), None, None) => "account_disabled",
        (None, Some(_), None) => "allowlist_changed",
        (None, None, Some(_)) => "limits_changed",
        _ => "account_changed",
    }
}

pub(super) async fn delete(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
) -> Result<StatusCode, AdminProblem> {
    let account = place.account(&admin, &operator).await?;
    let deleted = admin.store.delete_account(account.id, operator.actor());
    if !deleted.await? {
        return Err(no_account());
    }
    log(&operator, "account_deleted", &account.api, account.id);
    Ok(StatusCode::NO_CONTENT)
}

fn log(operator: &AuthenticatedOperator, action: &str, api: &ApiName, account: AccountId) {
    let actor = operator.actor();
    info!(%actor, action, %api, account = account.number(), "operator change");
}
