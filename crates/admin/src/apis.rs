//! The apis that are served: list and show them, revoke everything of one.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Number;
use tracing::info;
use utoipa::ToSchema;

use super::AdminState;
use super::key::AuthenticatedOperator;
use super::member_number::AccountLimit;
use super::member_text::{ApiNameText, TextMember};
use super::page::{ListPage, NoNextPage};
use super::path_params::PathParams;
use super::problem::AdminProblem;
use countersign_server::api::IssuingApi;

/// An api that is served.
#[derive(Serialize, ToSchema)]
#[schema(as = Api)]
pub(super) struct ApiView {
    /// Its name.
    name: ApiNameText,
    /// The name of its dialect.
    dialect: String,
    /// The title of its dialect.
    title: String,
    /// Whether an operator may choose the secrets of its credentials.
    passwords: bool,
    /// The names of its hosts; an empty list for any host.
    hosts: Vec<String>,
    /// What its paths begin with; empty for nothing.
    prefix: String,
    /// The patterns of its guarded paths.
    guards: Vec<String>,
    /// Where the built-in proxy forwards guarded requests; null if it forwards none.
    upstream: Option<String>,
    /// The proxy that asks for a check of its own; null if none does.
    forward_auth: Option<String>,
    /// How long its tokens and sessions live.
    lifetimes: LifetimesView,
    /// What each account may do that has no limits of its own.
    limits: ApiLimitsView,
}

/// What each account may do that has no limits of its own.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiLimits)]
struct ApiLimitsView {
    /// Guarded requests that one access token may make; null for any number.
    budget: AccountLimit,
    /// Sessions that live at once; with one more, the one that was idle the longest ends.
    sessions: u32,
    /// Logins and refreshes a minute.
    mints_per_minute: u32,
    /// Guarded requests a second; null for any number.
    requests_per_second: AccountLimit,
}

/// Lifetimes in seconds.
#[derive(Serialize, ToSchema)]
#[schema(as = Lifetimes)]
struct LifetimesView {
    /// How long an access token lives, in seconds.
    #[schema(value_type = f64, minimum = 0)]
    access: Number,
    /// How long a refresh token lives, in seconds.
    #[schema(value_type = f64, minimum = 0)]
    refresh: Number,
    /// How long a session lives however often it is refreshed, in seconds.
    #[schema(value_type = f64, minimum = 0)]
    absolute: Number,
    /// How long after a refresh the token before it gets the same answer again, in
    /// seconds: its reply may have got lost.
    #[schema(value_type = f64, minimum = 0)]
    window: Number,
}

pub(super) async fn list(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
) -> Json<ListPage<ApiView, NoNextPage>> {
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
#[derive(Serialize, ToSchema)]
pub(super) struct RevokedApi {
    /// How many accounts lost everything that was given out to them.
    accounts: usize,
    /// How many sessions were ended.
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
    let place = api.place();
    ApiView {
        name: TextMember(api.name().clone()),
        dialect: api.dialect().name().to_owned(),
        title: api.dialect().title().to_owned(),
        passwords: api.settings.passwords,
        hosts: place.hosts.clone(),
        prefix: place.prefix.clone(),
        guards: place.guards.clone(),
        upstream: place.upstream.clone(),
        forward_auth: place.forward_auth.clone(),
        lifetimes: LifetimesView {
            access: seconds(lifetimes.access),
            refresh: seconds(lifetimes.refresh),
            absolute: seconds(lifetimes.absolute),
            window: seconds(lifetimes.window),
        },
        limits: ApiLimitsView {
            budget: AccountLimit(limits.budget),
            sessions: limits.sessions,
            mints_per_minute: limits.mints_per_minute,
            requests_per_second: AccountLimit(limits.requests_per_second),
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
