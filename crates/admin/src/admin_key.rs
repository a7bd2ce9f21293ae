//! Admin keys: list, show, create, delete. A key is shown once, when it is created. It
//! cannot be changed afterwards, so its rights never grow.
//!
//! The owner's key, which is in the data directory, is listed as well. It cannot be
//! deleted here, only by deleting its file: nobody who holds it should be able to lock
//! everybody out.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use countersign_domain::account::InvalidText;
use countersign_domain::{ApiScope, Role, Timestamp};
use serde::{Deserialize, Serialize};
use tracing::info;
use utoipa::ToSchema;

use super::AdminState;
use super::idempotency::{CreatedReply, OnceReply, RepeatableRequest};
use super::key::{AuthenticatedOperator, hash};
use super::member_number::PageLimit;
use super::member_text::{
    AdminKeyName, AdminKeyNameText, ApiNameText, InstantText, ServedApi, TextMember,
};
use super::member_words::RoleText;
use super::members::MemberFaults;
use super::page::{ListPage, RequestQuery, items};
use super::path_params::PathParams;
use super::problem::AdminProblem;
use super::view::NothingLeft;
use countersign_server::generated_key::named_admin_key;
use countersign_store::StoredAdminKey;

/// Selects the admin keys to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminKeyQuery {
    /// Only admin keys after this name.
    after: Option<AdminKeyNameText>,
    /// The most admin keys to return.
    #[schema(inline, default = 100)]
    limit: Option<PageLimit>,
}

/// An admin key, without the key itself.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminKey)]
pub(super) struct AdminKeyView {
    /// Its name, which identifies its holder in the audit log.
    name: AdminKeyNameText,
    /// The public part of the key; null for the owner's key, which is in the data
    /// directory.
    id: Option<String>,
    /// What its holder may do.
    role: RoleText,
    /// The apis that its holder sees; null for all of them.
    apis: Option<Vec<ApiNameText>>,
    /// Whether it is accepted.
    state: AdminKeyState,
    /// When it was created; null for the owner's key.
    created_at: Option<InstantText>,
    /// When it expires; null if it does not expire.
    expires_at: Option<InstantText>,
}

/// Whether an admin key is accepted.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum AdminKeyState {
    Active,
    Expired,
}

/// An admin key that was created. Only this reply contains the key itself.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedAdminKey {
    /// Its name, which identifies its holder in the audit log.
    name: AdminKeyNameText,
    /// The public part of the key.
    id: String,
    /// What its holder may do.
    role: RoleText,
    /// The apis that its holder sees; null for all of them.
    apis: Option<Vec<ApiNameText>>,
    /// Whether it is accepted.
    state: AdminKeyState,
    /// When it was created.
    created_at: InstantText,
    /// When it expires; null if it does not expire.
    expires_at: Option<InstantText>,
    /// The key itself. It is never shown again.
    secret: String,
}

/// A new admin key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAdminKey)]
pub(super) struct NewAdminKeyRequest {
    /// Its name, which identifies its holder in the audit log.
    name: AdminKeyNameText,
    /// What its holder may do.
    role: RoleText,
    /// The apis that its holder sees; all of them if not given.
    #[schema(min_items = 1)]
    apis: Option<Vec<ServedApi>>,
    /// When it expires; never if not given.
    expires_at: Option<InstantText>,
}

/// A new admin key, after the request was checked.
struct WantedAdminKey {
    name: String,
    role: Role,
    scope: ApiScope,
    expires_at: Option<Timestamp>,
}

pub(super) async fn list(
    State(admin): State<AdminState>,
    query: RequestQuery<AdminKeyQuery>,
) -> Result<Json<ListPage<AdminKeyView, AdminKeyNameText>>, AdminProblem> {
    let (after, limit) = query.read(|query: AdminKeyQuery, _| {
        let after = query.after.map(|after| after.0.0);
        Some((after, items(query.limit)))
    })?;
    let owner = AdminKeyView::owner(&admin);
    let owner = Some(owner).filter(|owner| after.as_ref().is_none_or(|it| *it < owner.name.0.0));
    let found = admin.store.admin_keys(after, limit + 1).await?;
    let now = admin.store.now();
    let named = found.into_iter().map(|key| AdminKeyView::new(key, now));
    let mut keys: Vec<_> = named.chain(owner).collect();
    keys.sort_by(|one, other| one.name.0.0.cmp(&other.name.0.0));
    let place = |key: &AdminKeyView| key.name.clone();
    Ok(Json(ListPage::new(keys, limit, place, |key| key)))
}

pub(super) async fn show(
    State(admin): State<AdminState>,
    place: PathParams,
) -> Result<Json<AdminKeyView>, AdminProblem> {
    if place.name() == admin.key.name() {
        return Ok(Json(AdminKeyView::owner(&admin)));
    }
    let found = admin.store.admin_key(place.name()).await?;
    let key = found.ok_or_else(no_admin_key)?;
    Ok(Json(AdminKeyView::new(key, admin.store.now())))
}

pub(super) async fn create(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    asked: RepeatableRequest<NewAdminKeyRequest>,
) -> Result<OnceReply<CreatedAdminKey, 201>, AdminProblem> {
    let (creation, once) = asked.read(|asked, faults| wanted(asked, &admin, faults))?;
    let (id, secret) =
        named_admin_key().map_err(|error| AdminProblem::internal(error.to_string()))?;
    let now = admin.store.now();
    let new = StoredAdminKey {
        id,
        name: creation.name,
        role: creation.role,
        scope: creation.scope,
        hash: hash(secret.expose()),
        created_at: now,
        expires_at: creation.expires_at,
    };
    let reply = move |made: &StoredAdminKey| {
        let location = format!("/admin/v1/admin-keys/{}", made.name);
        CreatedReply::created(location, CreatedAdminKey::new(made, secret.expose(), now))
    };
    let key = once.key(reply.clone());
    let made = admin
        .store
        .create_admin_key(new, operator.actor(), key)
        .await?;
    once.answer(&made, reply, |made| {
        log(&operator, "admin_key_created", &made.name);
    })
}

pub(super) async fn delete(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
) -> Result<NothingLeft, AdminProblem> {
    if place.name() == admin.key.name() {
        return Err(AdminProblem::conflict(
            "owners_admin_key",
            "the owner's key is a file in the data directory and cannot be deleted from here",
        )
        .with_help("to replace it, delete the file admin.key there and start the server again"));
    }
    let deleted = admin.store.delete_admin_key(place.name(), operator.actor());
    if !deleted.await? {
        return Err(no_admin_key());
    }
    log(&operator, "admin_key_deleted", place.name());
    Ok(NothingLeft)
}

fn wanted(
    asked: NewAdminKeyRequest,
    admin: &AdminState,
    faults: &mut MemberFaults,
) -> Option<WantedAdminKey> {
    let name = asked.name.0.0;
    let apis = faults.apis(asked.apis, &admin.apis);
    let expires_at = asked.expires_at.map(|end| end.0);
    // The audit log would not tell them apart.
    if name == admin.key.name() {
        let told = "is the name of the owner's key, which is in the data directory";
        faults.fault::<()>("name", told);
    }
    if apis.as_ref().is_some_and(BTreeSet::is_empty) {
        let none = InvalidText::new("names no api");
        faults.invalid::<()>("apis", none.with_help("leave it out for all"));
    }
    if expires_at.is_some_and(|end| end <= admin.store.now()) {
        faults.fault::<()>("expires_at", "is in the past");
    }
    Some(WantedAdminKey {
        name,
        role: asked.role.0,
        scope: apis.map_or(ApiScope::All, ApiScope::Only),
        expires_at,
    })
}

impl AdminKeyState {
    fn at(now: Timestamp, expires_at: Option<Timestamp>) -> Self {
        match expires_at {
            Some(end) if end <= now => Self::Expired,
            _ => Self::Active,
        }
    }
}

fn seen_apis(scope: &ApiScope) -> Option<Vec<ApiNameText>> {
    match scope {
        ApiScope::All => None,
        ApiScope::Only(apis) => Some(apis.iter().cloned().map(TextMember).collect()),
    }
}

impl CreatedAdminKey {
    fn new(key: &StoredAdminKey, secret: &str, now: Timestamp) -> Self {
        Self {
            name: TextMember(AdminKeyName(key.name.clone())),
            id: key.id.clone(),
            role: TextMember(key.role),
            apis: seen_apis(&key.scope),
            state: AdminKeyState::at(now, key.expires_at),
            created_at: TextMember(key.created_at),
            expires_at: key.expires_at.map(TextMember),
            secret: secret.to_owned(),
        }
    }
}

impl AdminKeyView {
    fn owner(admin: &AdminState) -> Self {
        Self {
            name: TextMember(AdminKeyName(admin.key.name().to_owned())),
            id: None,
            role: TextMember(Role::Own),
            apis: None,
            state: AdminKeyState::Active,
            created_at: None,
            expires_at: None,
        }
    }

    fn new(key: StoredAdminKey, now: Timestamp) -> Self {
        Self {
            name: TextMember(AdminKeyName(key.name)),
            id: Some(key.id),
            role: TextMember(key.role),
            apis: seen_apis(&key.scope),
            state: AdminKeyState::at(now, key.expires_at),
            created_at: Some(TextMember(key.created_at)),
            expires_at: key.expires_at.map(TextMember),
        }
    }
}

fn no_admin_key() -> AdminProblem {
    AdminProblem::not_found("no_such_admin_key", "there is no admin key with this name")
}

fn log(operator: &AuthenticatedOperator, action: &str, name: &str) {
    let actor = operator.actor();
    info!(%actor, action, admin_key = name, "operator change");
}
