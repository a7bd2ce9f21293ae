//! The apis that are served: list and show them, revoke everything of one.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Number;
use tracing::info;

use super::AdminState;
use super::key::AuthenticatedOperator;
use super::page::ListPage;
use super::path_params::PathParams;
use super::problem::AdminProblem;
use countersign_server::api::{ApiPlace, IssuingApi};

/// An api in a reply.
#[derive(Serialize)]
pub(super) struct ApiView {
    name: String,
    dialect: String,
    title: String,
    passwords: bool,
    #[serde(flatten)]
    place: ApiPlace,
    lifetimes: LifetimesView,
    limits: ApiLimitsView,
}

/// What each account may do that has no limits of its own.
#[derive(Serialize)]
struct ApiLimitsView {
    budget: Option<u32>,
    sessions: u32,
    mints_per_minute: u32,
    requests_per_second: Option<u32>,
}

/// Lifetimes in seconds.
#[derive(Serialize)]
struct LifetimesView {
    access: Number,
    refresh: Number,
    absolute: Number,
    window: Number,
}

pub(super) async fn list(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
) -> Json<ListPage<ApiView, String>> {
    let apis = operator.apis(&admin);
    Json(ListPage::whole(
        apis.values().map(|api| view(api)).collect(),
    ))
}

pub(super) async fn show(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
) -> Result<Json<ApiView>, AdminProblem> {
    Ok(Json(view(&*place.api(&admin, &operator)?)))
}

/// What a revocation of everything of an api ended.
#[derive(Serialize)]
pub(super) struct RevokedApi {
    accounts: usize,
    sessions: usize,
}

/// Ends everything of every account. Sent again it ends what began since.
pub(super) async fn revoke_all(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
) -> Result<Json<RevokedApi>, AdminProblem> {
    let api = place.api(&admin, &operator)?;
    let actor = operator.actor();
    let ended = admin.store.revoke_api(api.name(), actor.clone()).await?;
    let (api, accounts, sessions) = (api.name(), ended.accounts, ended.sessions);
    info!(%actor, action = "api_revoked", %api, accounts, sessions, "operator change");
    Ok(Json(RevokedApi { accounts, sessions }))
}

fn view(api: &IssuingApi) -> ApiView {
    let (lifetimes, limits) = (api.settings.lifetimes, api.settings.limits);
    ApiView {
        name: api.name().to_string(),
        dialect: api.dialect().name().to_owned(),
        title: api.dialect().title().to_owned(),
        passwords: api.settings.passwords,
        place: api.place().clone(),
        lifetimes: LifetimesView {
            access: seconds(lifetimes.access),
            refresh: seconds(lifetimes.refresh),
            absolute: seconds(lifetimes.absolute),
            window: seconds(lifetimes.window),
        },
        limits: ApiLimitsView {
            budget: limits.budget,
            sessions: limits.sessions,
            mints_per_minute: limits.mints_per_minute,
            requests_per_second: limits.requests_per_second,
        },
    }
}

/// Whole seconds as a whole number; only a sandbox has others.
fn seconds(span: Duration) -> Number {
    let whole = Number::from(span.as_secs());
    if span.subsec_nanos() == 0 {
        return whole;
    }
    Number::from_f64(span.as_secs_f64()).unwrap_or(whole)
}
