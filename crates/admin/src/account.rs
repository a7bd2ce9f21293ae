//! Accounts: list, show, create, change, delete.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use countersign_dialect::Secret;
use countersign_domain::account::{Allowlist, InvalidText};
use countersign_domain::audit::Action;
use countersign_domain::{Account, AccountId, AccountLimits, ApiName, Credential};
use serde::{Deserialize, Serialize};
use tracing::info;
use utoipa::ToSchema;

use super::AdminState;
use super::body::MemberBody;
use super::idempotency::{CreatedReply, OnceReply, RepeatableRequest};
use super::key::AuthenticatedOperator;
use super::member_list::{NetworkList, ScopeList};
use super::member_number::{AccountLimit, AccountNumber, PageLimit};
use super::member_text::{LoginText, SecretText, ServedApi};
use super::members::MemberFaults;
use super::page::{ListPage, RequestQuery, items};
use super::path_params::{PathParams, no_account};
use super::problem::AdminProblem;
use super::secret::{GeneratedCredential, NewCredentialRequest, WantedCredential};
use super::view::{AccountView, ActiveState, CredentialView, NothingLeft};
use countersign_server::api::IssuingApi;
use countersign_store::{AccountFilter, AccountUpdate, NewAccount};

/// Selects the accounts to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountQuery {
    /// Only accounts of this api.
    api: Option<ServedApi>,
    /// Only accounts with a credential for this login.
    login: Option<String>,
    /// Only accounts after this id.
    after: Option<AccountNumber>,
    /// The most accounts to return.
    #[schema(inline, default = 100)]
    limit: Option<PageLimit>,
}

/// A new account with its first credential. Whatever is not given is generated, or taken
/// from the api.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAccount)]
pub(super) struct NewAccountRequest {
    /// The api that the account belongs to.
    api: ServedApi,
    /// The id of the account; the next free one if it is not given.
    id: Option<AccountNumber>,
    /// The login of the first credential; one is generated if it is not given.
    login: Option<LoginText>,
    /// Generate a login with this prefix, if the dialect has several forms of logins; not
    /// allowed beside login.
    login_prefix: Option<String>,
    /// A password of at least 8 characters, if the api accepts passwords. Without one, a
    /// key is generated and shown once.
    #[schema(value_type = Option<String>, min_length = 8, max_length = 1024, write_only)]
    secret: Option<SecretText>,
    /// The scopes of the first credential, which routes may require.
    scopes: Option<ScopeList>,
    /// The networks that the account may call from. An empty list, or none, allows every
    /// address.
    allow: Option<NetworkList>,
    /// The limits of the account that differ from its api's.
    limits: Option<LimitsRequest>,
    /// Whether the account may be used; active if not given.
    state: Option<ActiveState>,
}

/// The limits of the account that differ from its api's. A limit that is null or not
/// given is the api's.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
#[schema(as = AccountLimits)]
struct LimitsRequest {
    /// How many guarded requests one access token may make.
    budget: AccountLimit,
    /// How many sessions may be alive at once. One more ends the session that has been
    /// idle the longest.
    sessions: AccountLimit,
    /// How many logins and refreshes may succeed within a minute.
    mints_per_minute: AccountLimit,
    /// How many guarded requests may be made within a second.
    requests_per_second: AccountLimit,
}

/// The changes to an account, at least one. Whatever is not given stays the same.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountChange, min_properties = 1)]
pub(super) struct AccountChangeRequest {
    /// Whether the account may be used. Disabling it ends its sessions.
    state: Option<ActiveState>,
    /// The new list of networks that the account may call from. An empty list allows
    /// every address.
    allow: Option<NetworkList>,
    /// The limits of the account that differ from its api's, all four at once.
    limits: Option<LimitsRequest>,
}

/// A new account, after the request was checked.
struct WantedAccount {
    api: Arc<IssuingApi>,
    id: Option<AccountId>,
    credential: WantedCredential,
    allow: Allowlist,
    limits: AccountLimits,
    active: bool,
}

/// An account that was created, with its first credential.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedAccount {
    #[serde(flatten)]
    account: AccountView,
    /// Its first credential.
    credential: CredentialView,
    /// The generated secret of the credential. It is never shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<String>,
}

pub(super) async fn list(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    query: RequestQuery<AccountQuery>,
) -> Result<Json<ListPage<AccountView, AccountNumber>>, AdminProblem> {
    let apis = operator.apis(&admin);
    let (filter, after, limit) = query.read(|query: AccountQuery, faults| {
        let filter = AccountFilter {
            scope: operator.scope().clone(),
            api: faults.api(query.api, &apis),
            login: query.login,
        };
        Some((filter, query.after, items(query.limit)))
    })?;
    let after = after.map(|after| after.0);
    let found = admin.store.accounts(filter, after, limit + 1).await?;
    let place = |account: &Account| AccountNumber(account.id);
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
    asked: RepeatableRequest<NewAccountRequest>,
) -> Result<OnceReply<CreatedAccount, 201>, AdminProblem> {
    let apis = operator.apis(&admin);
    let (creation, once) = asked.read(|asked, faults| wanted(asked, &apis, faults))?;
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

fn reply(
    account: &Account,
    credential: &Credential,
    shown: Option<&Secret>,
) -> CreatedReply<CreatedAccount> {
    let location = format!("/admin/v1/accounts/{}", account.id);
    let created = CreatedAccount {
        account: account.clone().into(),
        credential: credential.clone().into(),
        secret: shown.map(|secret| secret.expose().to_owned()),
    };
    CreatedReply::created(location, created)
}

fn wanted(
    asked: NewAccountRequest,
    apis: &BTreeMap<ApiName, Arc<IssuingApi>>,
    faults: &mut MemberFaults,
) -> Option<WantedAccount> {
    let api = faults.api(Some(asked.api), apis)?;
    let api = apis.get(&api)?.clone();
    let credential = NewCredentialRequest {
        login: asked.login,
        login_prefix: asked.login_prefix,
        secret: asked.secret,
        scopes: asked.scopes,
    };
    Some(WantedAccount {
        id: asked.id.map(|id| id.0),
        credential: WantedCredential::judge(credential, &api, faults)?,
        allow: asked.allow.map_or_else(Allowlist::default, |allow| allow.0),
        limits: asked.limits.unwrap_or_default().into(),
        active: asked.state.is_none_or(ActiveState::is_active),
        api,
    })
}

impl From<LimitsRequest> for AccountLimits {
    fn from(limits: LimitsRequest) -> Self {
        Self {
            budget: limits.budget.0,
            sessions: limits.sessions.0,
            mints_per_minute: limits.mints_per_minute.0,
            requests_per_second: limits.requests_per_second.0,
        }
    }
}

pub(super) async fn change(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
    body: MemberBody<AccountChangeRequest>,
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

fn update(asked: AccountChangeRequest, faults: &mut MemberFaults) -> Option<AccountUpdate> {
    if faults.nothing_given() {
        let nothing = InvalidText::new("contains no change");
        return faults.invalid("", nothing.with_help("give state, allow or limits"));
    }
    Some(AccountUpdate {
        active: asked.state.map(ActiveState::is_active),
        allow: asked.allow.map(|allow| allow.0),
        limits: asked.limits.map(AccountLimits::from),
    })
}

/// The name of a change in the log.
fn action(update: &AccountUpdate) -> &'static str {
    match (update.active, &update.allow, &update.limits) {
        (Some(true), None, None) => Action::AccountEnabled.code(),
        (Some(false), None, None) => Action::AccountDisabled.code(),
        (None, Some(_), None) => Action::AllowlistChanged.code(),
        (None, None, Some(_)) => Action::LimitsChanged.code(),
        _ => "account_changed",
    }
}

pub(super) async fn delete(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
) -> Result<NothingLeft, AdminProblem> {
    let account = place.account(&admin, &operator).await?;
    let deleted = admin.store.delete_account(account.id, operator.actor());
    if !deleted.await? {
        return Err(no_account());
    }
    log(&operator, "account_deleted", &account.api, account.id);
    Ok(NothingLeft)
}

fn log(operator: &AuthenticatedOperator, action: &str, api: &ApiName, account: AccountId) {
    let actor = operator.actor();
    info!(%actor, action, %api, account = account.number(), "operator change");
}
