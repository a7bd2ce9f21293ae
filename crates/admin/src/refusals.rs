//! Refusals: who was refused, when, from where and why.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use countersign_domain::session::SessionState;
use countersign_domain::{ApiName, ApiScope, Reason, Session, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AdminState;
use super::key::AuthenticatedOperator;
use super::member_number::{AccountNumber, EntryNumber, PageLimit, WholeNumber};
use super::member_text::{
    AddressText, InstantOrAgeText, InstantText, ServedApi, SessionIdText, TextMember,
};
use super::member_words::RefusalCodeText;
use super::page::{ListPage, RequestQuery, items};
use super::path_params::PathParams;
use super::problem::AdminProblem;
use super::view::EndView;
use crate::refusal_ring::{KeptRefusal, RefusalFilter, RingUnreadable};

/// Selects the refusals to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefusalQuery {
    /// Only refusals of this account.
    account: Option<AccountNumber>,
    /// Only refusals of this login.
    login: Option<String>,
    /// Only refusals from this address.
    address: Option<AddressText>,
    /// Only refusals with this code of a refusal or a reason.
    code: Option<RefusalCodeText>,
    /// Only refusals at this api.
    api: Option<ServedApi>,
    /// Only refusals from this time on.
    since: Option<InstantOrAgeText>,
    /// Only refusals before this time.
    until: Option<InstantOrAgeText>,
    /// Only refusals after this number, which are older.
    #[schema(inline)]
    after: Option<EntryNumber>,
    /// The most refusals to return.
    #[schema(inline, default = 100)]
    limit: Option<PageLimit>,
}

/// A request that was refused.
#[derive(Serialize, ToSchema)]
#[schema(as = Refusal)]
pub(super) struct RefusalView {
    /// The support id that the peer received.
    id: String,
    /// When it was refused.
    at: InstantText,
    /// The api; null for a path that belongs to none.
    api: Option<String>,
    /// The part of the server that refused it.
    front: String,
    /// The operation; null if it was not known.
    operation: Option<String>,
    /// The code of the refusal, as the peer saw it.
    code: String,
    /// The HTTP status that the peer received; null if the connection was closed without
    /// an answer.
    status: Option<u16>,
    /// The code of the reason, which the peer did not see.
    reason: String,
    /// Details about the reason, in words.
    detail: String,
    /// The account of the request; null if it is not known.
    account: Option<AccountNumber>,
    /// The login that was tried; null if there was none.
    login: Option<String>,
    /// The session of the token that was presented; null if it is not known.
    session: Option<SessionIdText>,
    /// The address of the client.
    address: String,
    /// The method of the request; empty if the request was not read that far.
    method: String,
    /// The path of the request, without its query; empty if the request was not read that
    /// far.
    path: String,
    /// How many more of the same kind were counted, and not recorded one by one.
    repeated: u64,
    /// When the last of them was refused.
    last_at: InstantText,
}

/// A refusal with its cause in words.
#[derive(Serialize, ToSchema)]
#[schema(as = ExplainedRefusal)]
pub(super) struct ExplainedView {
    #[serde(flatten)]
    refusal: RefusalView,
    /// How and when its session had been ended before; null if it had not been.
    session_end: Option<EndView>,
    /// What the reason means.
    pub(super) means: &'static str,
    /// What to do about it.
    pub(super) remedy: &'static str,
}

/// A page of refusals, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct RefusalPage {
    /// The refusals of this page.
    items: Vec<RefusalView>,
    /// The `after` of the next page; null on the last page.
    #[schema(inline)]
    next: Option<EntryNumber>,
    /// How many refusals could not be recorded since the server started.
    dropped: u64,
}

pub(super) async fn list(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    query: RequestQuery<RefusalQuery>,
) -> Result<Json<RefusalPage>, AdminProblem> {
    let (apis, now) = (operator.apis(&admin), admin.store.now());
    let (asked, after, limit) = query.read(|query: RefusalQuery, faults| {
        let asked = RefusalFilter {
            account: query.account.map(|account| account.0),
            login: query.login,
            address: query.address.map(|address| address.0),
            code: query.code.map(|code| code.0.0),
            api: faults.api(query.api, &apis),
            apis: seen(&operator),
            since: query.since.map(|since| since.0.at(now)),
            until: query.until.map(|until| until.0.at(now)),
        };
        let after = query.after.map(|after| after.0);
        Some((asked, after, items(query.limit)))
    })?;
    let found = admin.refusals.list(asked, after, limit + 1).await?;
    let view = |kept: KeptRefusal| RefusalView::from(seen_by(&operator, kept));
    let place = |kept: &KeptRefusal| WholeNumber(kept.number);
    let (items, next) = ListPage::new(found, limit, place, view).into_parts();
    Ok(Json(RefusalPage {
        items,
        next,
        dropped: admin.refusals.dropped(),
    }))
}

/// The apis that an operator sees, unless that is all of them.
pub(super) fn seen(operator: &AuthenticatedOperator) -> Option<BTreeSet<ApiName>> {
    match operator.scope() {
        ApiScope::All => None,
        ApiScope::Only(apis) => Some(apis.clone()),
    }
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

/// The refusal with this id, or the only one that the operator sees whose id has this
/// prefix.
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
            "the ids of several refusals begin so",
        )
        .with_help("write more of the id")),
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

/// The refusal in the form in which an operator may see it. If a token belongs to an api
/// that the operator does not see, its owner, and what that api did with its keys, are
/// hidden.
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

/// Replaces the details about a token whose api an operator does not see.
pub(super) const HIDDEN: &str = "the token is of an api that this admin key does not see";

impl ExplainedView {
    /// The refusal, with what the store now knows about its session.
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

/// Whether a session had been ended at `instant`: a later end is not the cause.
fn was_ended(session: &Session, instant: Timestamp) -> bool {
    matches!(session.state, SessionState::Ended { at, .. } if at <= instant)
}

impl From<KeptRefusal> for RefusalView {
    fn from(kept: KeptRefusal) -> Self {
        Self {
            id: kept.id,
            at: TextMember(kept.at),
            api: kept.api,
            front: kept.front,
            operation: kept.operation,
            code: kept.refusal,
            status: kept.status,
            reason: kept.reason,
            detail: kept.detail,
            account: kept.account.map(AccountNumber),
            login: kept.login,
            session: kept.session.map(TextMember),
            address: kept.address,
            method: kept.method,
            path: kept.path,
            repeated: kept.repeated,
            last_at: TextMember(kept.last_at),
        }
    }
}

impl From<RingUnreadable> for AdminProblem {
    fn from(unreadable: RingUnreadable) -> Self {
        Self::unavailable(unreadable.to_string())
    }
}
