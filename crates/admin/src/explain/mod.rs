//! Explains why a partner is refused: by cause, with what changed just before, and the state of
//! the account now.

mod change;
mod dry_run;
mod dry_run_guard;
mod standing;

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use countersign_domain::{Account, AccountId, ApiName, Session, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AdminState;
use super::key::AuthenticatedOperator;
use super::member_text::{InstantOrAgeText, InstantText, ServedApi, TextMember};
use super::page::RequestQuery;
use super::problem::AdminProblem;
use super::query_instant::InstantOrAge;
use super::refusals::{ExplainedView, seen};
use crate::refusal_ring::{RefusalCause, RefusalSuspects};
use change::ChangeView;
pub(super) use dry_run::run as dry_run;
use standing::StandingView;

pub use dry_run_guard::{
    DryRun, DryRunCredential, DryRunGuard, DryRunStep, DryRunVerdict, PeerReply, TokenBearer,
};

/// How far back refusals are searched if the query does not say so.
const USUAL: InstantOrAge = InstantOrAge::Age(Duration::from_secs(24 * 60 * 60));

/// How many sessions of an account are searched.
const SESSIONS: usize = 1_000;

/// For how many addresses refusals of unknown callers are collected.
const ADDRESSES: usize = 50;

/// Selects the login to explain.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginQuery {
    /// A login of the partner.
    #[schema(min_length = 1)]
    login: String,
    /// Only refusals at this api.
    api: Option<ServedApi>,
    /// Only refusals from this time on; within the last day if not given.
    since: Option<InstantOrAgeText>,
}

/// Why a login is refused.
#[derive(Serialize, ToSchema)]
#[schema(as = Explanation)]
pub(super) struct LoginExplanation {
    /// The login of the query.
    login: String,
    /// The time from which refusals were searched.
    since: InstantText,
    /// The time until which refusals were searched.
    until: InstantText,
    /// The accounts with this login, at most one for each api.
    accounts: Vec<StandingView>,
    /// Why its accounts were refused, or callers that tried one of its logins; the most
    /// recent cause first.
    causes: Vec<CauseView>,
    /// Why unknown callers were refused at addresses that the accounts use. They may be
    /// somebody else.
    from_its_addresses: Vec<CauseView>,
    /// How many refusals could not be recorded since the server started.
    dropped: u64,
}

/// All refusals for one reason at one api.
#[derive(Serialize, ToSchema)]
#[schema(as = RefusalCause)]
struct CauseView {
    /// The code of the reason.
    reason: String,
    /// The api; null for a path that belongs to none.
    api: Option<String>,
    /// How many refusals there were.
    count: u64,
    /// When the first one was.
    first: InstantText,
    /// When the last one was.
    last: InstantText,
    /// The addresses from which the requests came.
    addresses: Vec<String>,
    /// What the reason means.
    means: &'static str,
    /// What to do about it.
    remedy: &'static str,
    /// What changed before the first one, the newest first.
    before: Vec<ChangeView>,
    /// The last refusal that was recorded.
    example: ExplainedView,
}

/// The query, after it was checked.
struct ExplainQuery {
    login: String,
    api: Option<ApiName>,
    since: Timestamp,
}

/// The accounts that a login may belong to, and the addresses from which they call.
struct SuspectedPartner {
    accounts: Vec<(Account, Vec<Session>)>,
    logins: Vec<String>,
}

pub(super) async fn by_login(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    query: RequestQuery<LoginQuery>,
) -> Result<Json<LoginExplanation>, AdminProblem> {
    let now = admin.store.now();
    let apis = operator.apis(&admin);
    let question = query.read(|query: LoginQuery, faults| {
        let api = faults.api(query.api, &apis);
        if query.login.is_empty() {
            return faults.fault("login", "must not be empty");
        }
        Some(ExplainQuery {
            login: query.login,
            api,
            since: query.since.map_or(USUAL, |since| since.0).at(now),
        })
    })?;
    let partner = SuspectedPartner::find(&question, &operator, &admin).await?;
    let (own, near) = partner.suspects(&question, &operator);
    let causes = admin.refusals.causes(own).await?;
    let nearby = admin.refusals.causes(near).await?;
    Ok(Json(LoginExplanation {
        since: TextMember(question.since),
        until: TextMember(now),
        login: question.login,
        causes: explain_all(causes, &partner, &operator, &admin).await?,
        from_its_addresses: explain_all(nearby, &partner, &operator, &admin).await?,
        accounts: partner.standings(now),
        dropped: admin.refusals.dropped(),
    }))
}

impl SuspectedPartner {
    /// The accounts with this login, in the spelling in which each api looks it up.
    async fn find(
        question: &ExplainQuery,
        operator: &AuthenticatedOperator,
        admin: &AdminState,
    ) -> Result<Self, AdminProblem> {
        let mut logins = BTreeSet::from([question.login.clone()]);
        let mut accounts = Vec::new();
        for (name, api) in operator.apis(admin) {
            if question.api.as_ref().is_some_and(|asked| *asked != name) {
                continue;
            }
            let login = api.dialect().fold_login(&question.login).to_string();
            if let Some((account, _)) = admin.store.credential_by_login(&name, &login).await? {
                let credentials = admin.store.credentials(account.id).await?;
                logins.extend(credentials.into_iter().map(|it| it.login));
                let sessions = admin.store.sessions(account.id, None, SESSIONS).await?;
                accounts.push((account, sessions));
            }
            logins.insert(login);
        }
        Ok(Self {
            accounts,
            logins: logins.into_iter().collect(),
        })
    }

    /// Divides the causes into those that surely concern the partner, and those that only
    /// came from its addresses.
    fn suspects(
        &self,
        question: &ExplainQuery,
        operator: &AuthenticatedOperator,
    ) -> (RefusalSuspects, RefusalSuspects) {
        let sessions = self.accounts.iter().flat_map(|(_, sessions)| sessions);
        let addresses: BTreeSet<_> = sessions
            .map(|session| session.address.to_canonical().to_string())
            .collect();
        let anybody = RefusalSuspects {
            api: question.api.clone(),
            apis: seen(operator),
            since: question.since,
            ..RefusalSuspects::default()
        };
        let accounts = self.accounts.iter();
        let own = RefusalSuspects {
            accounts: accounts.map(|(account, _)| account.id).collect(),
            logins: self.logins.clone(),
            ..anybody.clone()
        };
        let near = RefusalSuspects {
            addresses: addresses.into_iter().take(ADDRESSES).collect(),
            ..anybody
        };
        (own, near)
    }

    fn standings(self, now: Timestamp) -> Vec<StandingView> {
        let accounts = self.accounts.into_iter();
        accounts
            .map(|(account, sessions)| StandingView::new(account, &sessions, now))
            .collect()
    }

    /// The accounts that a cause may concern: that of its api, and the owner of the token
    /// that was presented; each api may have an account with the login.
    fn concerned(&self, cause: &RefusalCause) -> Vec<AccountId> {
        let concerns = |account: &&Account| {
            let at = cause.api.as_deref();
            at.is_none_or(|api| account.api.as_str() == api)
                || cause.example.account == Some(account.id)
        };
        let accounts = self.accounts.iter().map(|(account, _)| account);
        accounts.filter(concerns).map(|it| it.id).collect()
    }
}

async fn explain_all(
    causes: Vec<RefusalCause>,
    partner: &SuspectedPartner,
    operator: &AuthenticatedOperator,
    admin: &AdminState,
) -> Result<Vec<CauseView>, AdminProblem> {
    let mut explained = Vec::with_capacity(causes.len());
    for cause in causes {
        let before = change::before(&cause, &partner.concerned(&cause), admin).await?;
        let example = ExplainedView::explain(cause.example, operator, admin).await?;
        explained.push(CauseView {
            means: example.means,
            remedy: example.remedy,
            reason: cause.reason,
            api: cause.api,
            count: cause.count,
            first: TextMember(cause.first),
            last: TextMember(cause.last),
            addresses: cause.addresses,
            before,
            example,
        });
    }
    Ok(explained)
}
