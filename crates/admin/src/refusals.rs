//! Refusals: who was refused, when, from where and why.

use std::collections::BTreeSet;
use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use countersign_domain::account::InvalidText;
use countersign_domain::session::SessionState;
use countersign_domain::{AccountId, ApiName, ApiScope, Reason, Refusal, Session, Timestamp};
use serde::Serialize;

use super::AdminState;
use super::fields::NamedValues;
use super::key::AuthenticatedOperator;
use super::page::{ListPage, QueryParameters, limit};
use super::path_params::PathParams;
use super::problem::AdminProblem;
use super::query_instant::instant;
use super::view::EndView;
use crate::refusal_ring::{KeptRefusal, RefusalFilter, RingUnreadable};

/// A refusal in a reply.
#[derive(Serialize)]
pub(super) struct RefusalView {
    id: String,
    at: String,
    api: Option<String>,
    front: String,
    operation: Option<String>,
    /// What the peer was told.
    code: String,
    /// Null if the connection was closed without an answer.
    status: Option<u16>,
    /// Why.
    reason: String,
    detail: String,
    account: Option<u64>,
    login: Option<String>,
    session: Option<String>,
    address: String,
    method: String,
    path: String,
    /// How many more of the same kind were not kept one by one.
    repeated: u64,
    last_at: String,
}

/// A refusal with its cause in words.
#[derive(Serialize)]
pub(super) struct ExplainedView {
    #[serde(flatten)]
    refusal: RefusalView,
    /// How and when its session was ended, if it was by then.
    session_end: Option<EndView>,
    pub(super) means: &'static str,
    pub(super) remedy: &'static str,
}

/// A page of them, with the number of those that could not be kept.
#[derive(Serialize)]
pub(super) struct RefusalPage {
    #[serde(flatten)]
    page: ListPage<RefusalView, u64>,
    /// Since the server was started.
    dropped: u64,
}

pub(super) async fn list(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    parameters: QueryParameters,
) -> Result<Json<RefusalPage>, AdminProblem> {
    let (asked, after, limit) = parameters.read(|query| {
        let after = query.number("after", 1..=u64::MAX >> 1);
        Some((asked(query, &admin, &operator), after, limit(query)))
    })?;
    let found = admin.refusals.list(asked, after, limit + 1).await?;
    let view = |kept: KeptRefusal| seen_by(&operator, kept).into();
    let page = ListPage::new(found, limit, |kept| kept.number, view);
    let dropped = admin.refusals.dropped();
    Ok(Json(RefusalPage { page, dropped }))
}

fn asked(
    query: &mut NamedValues,
    admin: &AdminState,
    operator: &AuthenticatedOperator,
) -> RefusalFilter {
    let now = admin.store.now();
    RefusalFilter {
        account: query.account_id("account"),
        login: query.text("login"),
        address: query.parsed("address", address),
        code: query.parsed("code", code),
        api: query.api("api", &operator.apis(admin)),
        apis: seen(operator),
        since: query.parsed("since", |text| instant(text, now)),
        until: query.parsed("until", |text| instant(text, now)),
    }
}

/// The apis that an operator sees, if not all.
pub(super) fn seen(operator: &AuthenticatedOperator) -> Option<BTreeSet<ApiName>> {
    match operator.scope() {
        ApiScope::All => None,
        ApiScope::Only(apis) => Some(apis.clone()),
    }
}

fn address(text: &str) -> Result<IpAddr, InvalidText> {
    let parsed = text.parse();
    parsed.map_err(|_| InvalidText("must be an IP address".to_owned()))
}

fn code(text: &str) -> Result<String, InvalidText> {
    if Refusal::from_code(text).is_some() || Reason::from_code(text).is_some() {
        return Ok(text.to_owned());
    }
    Err(InvalidText(
        "is the code of no refusal and of no reason".to_owned(),
    ))
}

pub(super) async fn show(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
) -> Result<Json<ExplainedView>, AdminProblem> {
    let found = find(place.refusal_id(), &operator, &admin).await?;
    Ok(Json(
        ExplainedView::explain(found, &operator, &admin).await?,
    ))
}

/// The refusal with this id, or the only one that the operator sees whose id begins so.
async fn find(
    id: &str,
    operator: &AuthenticatedOperator,
    admin: &AdminState,
) -> Result<KeptRefusal, AdminProblem> {
    // Ids are written in lower case; people and programs may fold them.
    let id = &id.to_ascii_lowercase();
    let exact = admin.refusals.find(id).await?;
    if let Some(kept) = exact.filter(|kept| sees(operator, kept.api.as_deref())) {
        return Ok(kept);
    }
    let mut found = admin.refusals.find_by_beginning(id, seen(operator)).await?;
    match (found.pop(), found.pop()) {
        (Some(kept), None) => Ok(kept),
        (None, _) => Err(AdminProblem::not_found(
            "no_such_refusal",
            "no refusal with this id is kept: it may be older than seven days, mistyped, or one \
             of many of its kind that were only counted",
        )),
        (Some(_), Some(_)) => Err(AdminProblem::not_found(
            "several_refusals",
            "the ids of several refusals begin so: write more of the id",
        )),
    }
}

fn sees(operator: &AuthenticatedOperator, api: Option<&str>) -> bool {
    match operator.scope() {
        ApiScope::All => true,
        scope => api
            .and_then(|api| api.parse().ok())
            .is_some_and(|api| scope.has(&api)),
    }
}

/// The refusal as an operator may see it. Whose a token is that belongs at an
/// api that it does not see, and what that api did with its keys, is hidden.
fn seen_by(operator: &AuthenticatedOperator, kept: KeptRefusal) -> KeptRefusal {
    match &kept.account_api {
        Some(api) if !sees(operator, Some(api)) => {}
        _ => return kept,
    }
    let detail = if kept.reason == Reason::WrongApi.code() {
        HIDDEN.to_owned()
    } else {
        kept.detail
    };
    KeptRefusal {
        account: None,
        account_api: None,
        session: None,
        detail,
        ..kept
    }
}

/// Stands for the detail of a token whose api an operator does not see.
pub(super) const HIDDEN: &str = "the token is of an api that this admin key does not see";

impl ExplainedView {
    /// The refusal, with what the store knows about its session now.
    pub(super) async fn explain(
        kept: KeptRefusal,
        operator: &AuthenticatedOperator,
        admin: &AdminState,
    ) -> Result<Self, AdminProblem> {
        let kept = seen_by(operator, kept);
        let session = match kept.session {
            Some(session) => admin.store.session(session).await?,
            None => None,
        };
        let reason = Reason::from_code(&kept.reason);
        let before = session.filter(|session| was_ended(session, kept.last_at));
        Ok(Self {
            refusal: kept.into(),
            session_end: before.as_ref().and_then(EndView::of_ended),
            means: reason.map_or("Another release wrote this reason.", Reason::meaning),
            remedy: reason.map_or("Look it up in the notes of that release.", Reason::remedy),
        })
    }
}

/// Whether a session was ended at `instant`: what comes later is not a cause.
fn was_ended(session: &Session, instant: Timestamp) -> bool {
    matches!(session.state, SessionState::Ended { at, .. } if at <= instant)
}

impl From<KeptRefusal> for RefusalView {
    fn from(kept: KeptRefusal) -> Self {
        Self {
            id: kept.id,
            at: kept.at.rfc3339(),
            api: kept.api,
            front: kept.front,
            operation: kept.operation,
            code: kept.refusal,
            status: kept.status,
            reason: kept.reason,
            detail: kept.detail,
            account: kept.account.map(AccountId::number),
            login: kept.login,
            session: kept.session.map(|session| session.to_string()),
            address: kept.address,
            method: kept.method,
            path: kept.path,
            repeated: kept.repeated,
            last_at: kept.last_at.rfc3339(),
        }
    }
}

impl From<RingUnreadable> for AdminProblem {
    fn from(unreadable: RingUnreadable) -> Self {
        Self::unavailable(unreadable.to_string())
    }
}
