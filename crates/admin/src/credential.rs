//! Credentials of an account: list, show, create, change, delete. An account may have
//! several, so that a secret can be replaced with an overlap.

use axum::Json;
use axum::extract::State;
use countersign_dialect::Secret;
use countersign_domain::account::InvalidText;
use countersign_domain::{Credential, Scopes};
use serde::{Deserialize, Serialize};
use tracing::info;
use utoipa::ToSchema;

use super::AdminState;
use super::body::MemberBody;
use super::idempotency::{CreatedReply, OnceReply, RepeatableRequest};
use super::key::AuthenticatedOperator;
use super::member_list::ScopeList;
use super::members::MemberFaults;
use super::page::{ListPage, NoNextPage};
use super::path_params::{PathParams, no_credential};
use super::problem::AdminProblem;
use super::secret::{GeneratedCredential, NewCredentialRequest, WantedCredential};
use super::view::{ActiveState, CredentialView, NothingLeft};

/// The changes to a credential, at least one. Whatever is not given stays the same.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CredentialChange, min_properties = 1)]
pub(super) struct CredentialChangeRequest {
    /// Whether the credential may be used. Disabling it ends its sessions.
    state: Option<ActiveState>,
    /// The new list of its scopes, which routes may require.
    scopes: Option<ScopeList>,
}

/// A credential that was created.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedCredential {
    #[serde(flatten)]
    credential: CredentialView,
    /// The secret, if it was generated. It is never shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<String>,
}

pub(super) async fn list(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
) -> Result<Json<ListPage<CredentialView, NoNextPage>>, AdminProblem> {
    let account = place.account(&admin, &operator).await?;
    let found = admin.store.credentials(account.id).await?;
    let items = found.into_iter().map(CredentialView::from).collect();
    Ok(Json(ListPage::whole(items)))
}

pub(super) async fn show(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
) -> Result<Json<CredentialView>, AdminProblem> {
    Ok(Json(place.credential(&admin, &operator).await?.into()))
}

pub(super) async fn create(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
    asked: RepeatableRequest<NewCredentialRequest>,
) -> Result<OnceReply<CreatedCredential, 201>, AdminProblem> {
    let account = place.account(&admin, &operator).await?;
    let api = admin.apis.get(&account.api).ok_or_else(|| {
        let name = &account.api;
        let detail = format!("the account belongs to the api {name}, which is not served now");
        AdminProblem::conflict("api_not_served", detail)
    })?;
    let (wanted, once) = asked.read(|asked, faults| WantedCredential::judge(asked, api, faults))?;
    let GeneratedCredential { credential, shown } = wanted.make(&admin, api).await?;
    let reply = move |created: &Credential| reply(created, shown.as_ref());
    let key = once.key(reply.clone());
    let actor = operator.actor();
    let made = admin
        .store
        .create_credential_once(account.id, credential, actor, key)
        .await?;
    once.answer(&made, reply, |created| {
        log(&operator, "credential_created", created);
    })
}

fn reply(credential: &Credential, shown: Option<&Secret>) -> CreatedReply<CreatedCredential> {
    let (account, id) = (credential.account, credential.id.0);
    let created = CreatedCredential {
        credential: credential.clone().into(),
        secret: shown.map(|secret| secret.expose().to_owned()),
    };
    let location = format!("/admin/v1/accounts/{account}/credentials/{id}");
    CreatedReply::created(location, created)
}

/// The changes to make; each one is a commit of its own.
struct CredentialUpdate {
    active: Option<bool>,
    scopes: Option<Scopes>,
}

pub(super) async fn change(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
    body: MemberBody<CredentialChangeRequest>,
) -> Result<Json<CredentialView>, AdminProblem> {
    let mut credential = place.credential(&admin, &operator).await?;
    let update = body.read(update)?;
    let (id, store) = (credential.id, &admin.store);
    if let Some(scopes) = update.scopes {
        let changed = store.set_credential_scopes(id, scopes, operator.actor());
        credential = changed.await?.ok_or_else(no_credential)?;
        log(&operator, "scopes_changed", &credential);
    }
    if let Some(active) = update.active {
        let changed = store.set_credential_active(id, active, operator.actor());
        credential = changed.await?.ok_or_else(no_credential)?;
        log(&operator, state_changed(active), &credential);
    }
    Ok(Json(credential.into()))
}

fn update(asked: CredentialChangeRequest, faults: &mut MemberFaults) -> Option<CredentialUpdate> {
    if faults.nothing_given() {
        let nothing = InvalidText::new("contains no change");
        return faults.invalid("", nothing.with_help("give state or scopes"));
    }
    Some(CredentialUpdate {
        active: asked.state.map(ActiveState::is_active),
        scopes: asked.scopes.map(|scopes| scopes.0),
    })
}

fn state_changed(active: bool) -> &'static str {
    if active {
        "credential_enabled"
    } else {
        "credential_disabled"
    }
}

pub(super) async fn delete(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
) -> Result<NothingLeft, AdminProblem> {
    let credential = place.credential(&admin, &operator).await?;
    let deleted = admin
        .store
        .delete_credential(credential.id, operator.actor());
    if !deleted.await? {
        return Err(no_credential());
    }
    log(&operator, "credential_deleted", &credential);
    Ok(NothingLeft)
}

fn log(operator: &AuthenticatedOperator, action: &str, credential: &Credential) {
    let (actor, account) = (operator.actor(), credential.account.number());
    info!(%actor, action, account, credential = credential.id.0, "operator change");
}
