//! Admin keys: list, show, create, delete. A key is shown once, when it is made;
//! there is no way to change one, so what it may do never widens.
//!
//! The owner's key, which lies in the data directory, is listed among them. It
//! ends with its file and not here: who holds it must not lock everybody out.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use countersign_domain::account::InvalidText;
use countersign_domain::operator::check_admin_key_name;
use countersign_domain::{ApiName, ApiScope, Role, Timestamp};
use serde::Serialize;
use tracing::info;

use super::AdminState;
use super::fields::NamedValues;
use super::idempotency::{CreationReply, RepeatableRequest};
use super::key::{AuthenticatedOperator, hash};
use super::page::{ListPage, QueryParameters, limit};
use super::path_params::PathParams;
use super::problem::AdminProblem;
use countersign_server::generated_key::named_admin_key;
use countersign_store::StoredAdminKey;

/// An admin key in a reply, without the key.
#[derive(Serialize)]
pub(super) struct AdminKeyView {
    name: String,
    /// Null for the owner's key, which is not in the store.
    id: Option<String>,
    role: &'static str,
    /// Null for all.
    apis: Option<Vec<String>>,
    state: &'static str,
    /// Null for the owner's key.
    created_at: Option<String>,
    expires_at: Option<String>,
}

/// The reply to a creation: the only one that shows the key.
#[derive(Serialize)]
struct CreatedAdminKey {
    #[serde(flatten)]
    key: AdminKeyView,
    secret: String,
}

/// What a body says of a new admin key.
struct NewAdminKeyBody {
    name: String,
    role: Role,
    scope: ApiScope,
    expires_at: Option<Timestamp>,
}

pub(super) async fn list(
    State(admin): State<AdminState>,
    parameters: QueryParameters,
) -> Result<Json<ListPage<AdminKeyView, String>>, AdminProblem> {
    let (after, limit) = parameters.read(|query| {
        let after = query.parsed("after", |text| {
            check_admin_key_name(text)?;
            Ok(text.to_owned())
        });
        Some((after, limit(query)))
    })?;
    let owner = AdminKeyView::owner(&admin);
    let owner = Some(owner).filter(|owner| after.as_ref().is_none_or(|it| *it < owner.name));
    let found = admin.store.admin_keys(after, limit + 1).await?;
    let now = admin.store.now();
    let named = found.into_iter().map(|key| AdminKeyView::new(key, now));
    let mut keys: Vec<_> = named.chain(owner).collect();
    keys.sort_by(|one, other| one.name.cmp(&other.name));
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
    asked: RepeatableRequest,
) -> Result<Response, AdminProblem> {
    let (creation, once) = asked.read(|fields| NewAdminKeyBody::read(fields, &admin))?;
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
        let created = CreatedAdminKey {
            key: AdminKeyView::new(made.clone(), now),
            secret: secret.expose().to_owned(),
        };
        CreationReply::created(format!("/admin/v1/admin-keys/{}", made.name), &created)
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
) -> Result<StatusCode, AdminProblem> {
    if place.name() == admin.key.name() {
        return Err(AdminProblem::conflict(
            "owners_admin_key",
            "the owner's key lies in the data directory: to replace it, delete the file admin.key \
             there and start the server again",
        ));
    }
    let deleted = admin.store.delete_admin_key(place.name(), operator.actor());
    if !deleted.await? {
        return Err(no_admin_key());
    }
    log(&operator, "admin_key_deleted", place.name());
    Ok(StatusCode::NO_CONTENT)
}

impl NewAdminKeyBody {
    fn read(fields: &mut NamedValues, admin: &AdminState) -> Option<Self> {
        fields.require("name");
        fields.require("role");
        let name = fields.parsed("name", |text| name(text, admin));
        let role = fields.parsed("role", role);
        let apis = fields.apis("apis", &admin.apis);
        let expires_at = fields.instant("expires_at");
        if apis.as_ref().is_some_and(BTreeSet::is_empty) {
            return fields.fault("apis", "names no api; leave it out for all");
        }
        if expires_at.is_some_and(|end| end <= admin.store.now()) {
            return fields.fault("expires_at", "is in the past");
        }
        Some(Self {
            name: name?,
            role: role?,
            scope: apis.map_or(ApiScope::All, ApiScope::Only),
            expires_at,
        })
    }
}

/// The owner's name is not to be had: the audit log would not tell them apart.
fn name(text: &str, admin: &AdminState) -> Result<String, InvalidText> {
    check_admin_key_name(text)?;
    if text == admin.key.name() {
        return Err(InvalidText(
            "is the name of the owner's key, which is in the data directory".to_owned(),
        ));
    }
    Ok(text.to_owned())
}

fn role(text: &str) -> Result<Role, InvalidText> {
    Role::from_name(text).ok_or_else(|| {
        let names = Role::ALL.map(Role::name).join(", ");
        InvalidText(format!("must be one of {names}"))
    })
}

impl AdminKeyView {
    fn owner(admin: &AdminState) -> Self {
        Self {
            name: admin.key.name().to_owned(),
            id: None,
            role: Role::Own.name(),
            apis: None,
            state: "active",
            created_at: None,
            expires_at: None,
        }
    }

    fn new(key: StoredAdminKey, now: Timestamp) -> Self {
        let expired = key.expires_at.is_some_and(|end| end <= now);
        Self {
            name: key.name,
            id: Some(key.id),
            role: key.role.name(),
            apis: match key.scope {
                ApiScope::All => None,
                ApiScope::Only(apis) => Some(apis.iter().map(ApiName::to_string).collect()),
            },
            state: if expired { "expired" } else { "active" },
            created_at: Some(key.created_at.rfc3339()),
            expires_at: key.expires_at.map(Timestamp::rfc3339),
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
