//! Credentials of an account: list, show, create, change, delete. An account
//! may hold several, so that a secret is replaced with an overlap.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_domain::Credential;
use serde::Serialize;
use tracing::info;

use super::AdminState;
use super::body::Body;
use super::fields::Fields;
use super::key::Operator;
use super::page::Page;
use super::place::{Place, no_credential};
use super::problem::Problem;
use super::secret::Wanted;
use super::view::CredentialView;
use crate::store::NewCredential;

/// The reply to a creation. The secret is there only if it was generated.
#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    credential: CredentialView,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

pub(super) async fn list(
    State(admin): State<AdminState>,
    operator: Operator,
    place: Place,
) -> Result<Json<Page<CredentialView, u64>>, Problem> {
    let account = place.account(&admin, &operator).await?;
    let found = admin.store.credentials(account.id).await?;
    let items = found.into_iter().map(CredentialView::from).collect();
    Ok(Json(Page::whole(items)))
}

pub(super) async fn show(
    State(admin): State<AdminState>,
    operator: Operator,
    place: Place,
) -> Result<Json<CredentialView>, Problem> {
    Ok(Json(place.credential(&admin, &operator).await?.into()))
}

pub(super) async fn create(
    State(admin): State<AdminState>,
    operator: Operator,
    place: Place,
    body: Body,
) -> Result<Response, Problem> {
    let account = place.account(&admin, &operator).await?;
    let api = admin.apis.get(&account.api).ok_or_else(|| {
        let name = &account.api;
        Problem::new(
            StatusCode::CONFLICT,
            "api_not_served",
            format!("the account is of the api {name}, which is not served now"),
        )
    })?;
    let wanted = body.read(|fields| Wanted::read(fields, Some(api)))?;
    let made = wanted.make(&admin, api).await?;
    let created = admin
        .store
        .create_credential(
            account.id,
            NewCredential::new(made.login, made.stored),
            operator.actor(),
        )
        .await?;
    log(&operator, "credential_created", &created);
    let location = format!(
        "/admin/v1/accounts/{}/credentials/{}",
        account.id, created.id.0
    );
    let reply = Created {
        credential: created.into(),
        secret: made.shown.map(|secret| secret.expose().to_owned()),
    };
    let headers = [(header::LOCATION, location)];
    Ok((StatusCode::CREATED, headers, Json(reply)).into_response())
}

pub(super) async fn change(
    State(admin): State<AdminState>,
    operator: Operator,
    place: Place,
    body: Body,
) -> Result<Json<CredentialView>, Problem> {
    let id = place.credential(&admin, &operator).await?.id;
    let active = body.read(state)?;
    let actor = operator.actor();
    let changed = admin.store.set_credential_active(id, active, actor).await?;
    let credential = changed.ok_or_else(no_credential)?;
    let action = if active {
        "credential_enabled"
    } else {
        "credential_disabled"
    };
    log(&operator, action, &credential);
    Ok(Json(credential.into()))
}

fn state(fields: &mut Fields) -> Option<bool> {
    fields.require("state");
    fields.active("state")
}

pub(super) async fn delete(
    State(admin): State<AdminState>,
    operator: Operator,
    place: Place,
) -> Result<StatusCode, Problem> {
    let credential = place.credential(&admin, &operator).await?;
    let deleted = admin
        .store
        .delete_credential(credential.id, operator.actor());
    if !deleted.await? {
        return Err(no_credential());
    }
    log(&operator, "credential_deleted", &credential);
    Ok(StatusCode::NO_CONTENT)
}

fn log(operator: &Operator, action: &str, credential: &Credential) {
    let (actor, account) = (operator.actor(), credential.account.number());
    info!(%actor, action, account, credential = credential.id.0, "operator change");
}
