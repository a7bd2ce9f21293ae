//! Sessions: list and show them, end one or all of an account.

use axum::Json;
use axum::extract::State;
use countersign_domain::account::InvalidText;
use countersign_domain::{Session, SessionId};
use serde::Serialize;
use tracing::info;

use super::AdminState;
use super::key::AuthenticatedOperator;
use super::page::{ListPage, QueryParameters, limit};
use super::path_params::{PathParams, no_account, no_session};
use super::problem::AdminProblem;
use super::view::SessionView;

/// How many sessions were ended.
#[derive(Serialize)]
pub(super) struct EndedSessions {
    ended: usize,
}

/// Newest first.
pub(super) async fn list(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
    parameters: QueryParameters,
) -> Result<Json<ListPage<SessionView, String>>, AdminProblem> {
    let (after, limit) = parameters.read(|query| {
        let after = query.parsed("after", session_id);
        Some((after, limit(query)))
    })?;
    let account = place.account(&admin, &operator).await?;
    let found = admin.store.sessions(account.id, after, limit + 1).await?;
    let now = admin.store.now();
    let place = |session: &Session| session.id.to_string();
    let view = |session| SessionView::new(session, now);
    Ok(Json(ListPage::new(found, limit, place, view)))
}

fn session_id(text: &str) -> Result<SessionId, InvalidText> {
    SessionId::from_hex(text).ok_or_else(|| InvalidText("must be 32 hex digits".to_owned()))
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
