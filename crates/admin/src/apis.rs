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
    /// The names of its hosts; an empty list for every host.
    hosts: Vec<String>,
    /// The prefix of its paths; empty if there is none.
    prefix: String,
    /// The patterns of its guarded paths.
    guards: Vec<String>,
    /// Where the built-in proxy forwards guarded requests; null if it does not forward
    /// any.
    upstream: Option<String>,
    /// The kind of proxy that asks for verdicts; null if none does.
    forward_auth: Option<String>,
    /// The lifetimes of its tokens and sessions.
    lifetimes: LifetimesView,
    /// The limits of accounts that have none of their own.
    limits: ApiLimitsView,
}

/// The limits of accounts that have none of their own.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiLimits)]
struct ApiLimitsView {
    /// How many guarded requests one access token may make; null for any number.
    budget: AccountLimit,
    /// How many sessions may be alive at once. One more ends the session that has been
    /// idle the longest.
    sessions: u32,
    /// How many logins and refreshes may succeed within a minute.
    mints_per_minute: u32,
    /// How many guarded requests may be made within a second; null for any number.
    requests_per_second: AccountLimit,
}

/// Lifetimes in seconds.
#[derive(Serialize, ToSchema)]
#[schema(as = Lifetimes)]
struct LifetimesView {
    /// The lifetime of an access token, in seconds.
    #[schema(value_type = f64, minimum = 0)]
    access: Number,
    /// The lifetime of a refresh token, in seconds.
    #[schema(value_type = f64, minimum = 0)]
    refresh: Number,
    /// The lifetime of a session, however often it is refreshed, in seconds.
    #[schema(value_type = f64, minimum = 0)]
    absolute: Number,
    /// For how long after a refresh the previous token gets the same answer again, in
    /// seconds, in case the reply was lost.
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

/// What was ended when everything of an api was revoked.
#[derive(Serialize, ToSchema)]
pub(super) struct RevokedApi {
    /// How many accounts had their tokens revoked.
    accounts: usize,
    /// How many sessions were ended.
    sessions: usize,
}

/// Ends all sessions of every account. If it is sent again, it ends the sessions that
/// were opened since.
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

/// Whole seconds as a whole number. Only a sandbox has fractions.
fn seconds(span: Duration) -> Number {
    let whole = Number::from(span.as_secs());
    if span.subsec_nanos() == 0 {
        return whole;
    }
    Number::from_f64(span.as_secs_f64()).unwrap_or(whole)
}
