//! Sessions: list and show them, and end one or all of an account.

use axum::Json;
use axum::extract::State;
use countersign_domain::Session;
use serde::{Deserialize, Serialize};
use tracing::info;
use utoipa::ToSchema;

use super::AdminState;
use super::key::AuthenticatedOperator;
use super::member_number::PageLimit;
use super::member_text::{SessionIdText, TextMember};
use super::page::{ListPage, RequestQuery, items};
use super::path_params::{PathParams, no_account, no_session};
use super::problem::AdminProblem;
use super::view::SessionView;

/// Selects the sessions to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionQuery {
    /// Only sessions after this one.
    after: Option<SessionIdText>,
    /// The most sessions to return.
    #[schema(inline, default = 100)]
    limit: Option<PageLimit>,
}

/// What was ended by a revocation.
#[derive(Serialize, ToSchema)]
pub(super) struct EndedSessions {
    /// How many sessions were ended.
    ended: usize,
}

/// Newest first.
pub(super) async fn list(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
    query: RequestQuery<SessionQuery>,
) -> Result<Json<ListPage<SessionView, SessionIdText>>, AdminProblem> {
    let (after, limit) = query.read(|query: SessionQuery, _| {
        let after = query.after.map(|after| after.0);
        Some((after, items(query.limit)))
    })?;
    let account = place.account(&admin, &operator).await?;
    let found = admin.store.sessions(account.id, after, limit + 1).await?;
    let now = admin.store.now();
    let place = |session: &Session| TextMember(session.id);
    let view = |session| SessionView::new(session, now);
    Ok(Json(ListPage::new(found, limit, place, view)))
}

pub(super) async fn show(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
) -> Result<Json<SessionView>, AdminProblem> {
    let session = place.session(&admin, &operator).await?;
    Ok(Json(SessionView::new(session, admin.store.now())))
}

pub(super) async fn end(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
) -> Result<Json<SessionView>, AdminProblem> {
    let id = place.session(&admin, &operator).await?.id;
    let actor = operator.actor();
    let ended = admin.store.end_session(id, actor.clone()).await?;
    let session = ended.ok_or_else(no_session)?;
    let account = session.account.number();
    info!(%actor, action = "session_ended", account, session = %id, "operator change");
    Ok(Json(SessionView::new(session, admin.store.now())))
}

pub(super) async fn end_all(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
) -> Result<Json<EndedSessions>, AdminProblem> {
    let id = place.account(&admin, &operator).await?.id;
    let actor = operator.actor();
    let ended = admin.store.end_sessions(id, actor.clone()).await?;
    let ended = ended.ok_or_else(no_account)?;
    info!(%actor, action = "sessions_ended", account = id.number(), ended, "operator change");
    Ok(Json(EndedSessions { ended }))
}
