//! A dry run: what the guard would decide about a request now, step by step. The guard
//! itself is asked through [`super::DryRunGuard`], because this crate does not know it. Nothing
//! is used up, logged or stored, least of all the token.

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use countersign_domain::account::admit_address;
use countersign_domain::session::SessionState;
use countersign_domain::{SessionId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::AdminState;
use super::super::body::MemberBody;
use super::super::key::AuthenticatedOperator;
use super::super::member_text::{
    AddressText, ApiNameText, MethodText, SecretText, ServedApi, TargetText, TextMember,
};
use super::super::members::MemberFaults;
use super::super::problem::AdminProblem;
use super::dry_run_guard::{
    DryRun, DryRunCredential, DryRunStep, DryRunVerdict, PeerReply, TokenBearer,
};

/// A request that nobody sent, for the guard to judge.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DryRun)]
pub(in super::super) struct DryRunRequest {
    /// The access token of the request. It is not stored.
    #[schema(value_type = Option<String>, write_only)]
    token: Option<SecretText>,
    /// The static key of the request; not allowed beside token. It is not stored.
    #[schema(value_type = Option<String>, write_only)]
    static_key: Option<SecretText>,
    /// The address of the client.
    from: AddressText,
    /// The method of the request.
    method: MethodText,
    /// The path of the request, with its query if it has one.
    path: TargetText,
    /// The host of the request, if apis differ by host.
    host: Option<String>,
    /// The api of the request, if it should not be found by host and path.
    api: Option<ServedApi>,
}

/// What the guard would decide about a request.
#[derive(Serialize, ToSchema)]
#[schema(as = DryRunVerdict)]
pub(in super::super) struct DryRunView {
    /// The api that the request belongs to; null if it belongs to none.
    api: Option<ApiNameText>,
    /// The checks, in order.
    steps: Vec<DryRunStep>,
    /// Whether the request would pass.
    verdict: VerdictView,
    /// The answer that the peer would get; absent if the request would pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    refusal: Option<ToldView>,
}

/// Whether a request would pass.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Verdict)]
enum VerdictView {
    Allowed,
    Refused,
}

/// The answer that the peer would get, and why.
#[derive(Serialize, ToSchema)]
#[schema(as = DryRunRefusal)]
struct ToldView {
    /// The code of the refusal, as the peer would see it.
    code: &'static str,
    /// The code of the reason, which the peer would not see.
    reason: &'static str,
    /// Details about the reason, in words.
    detail: String,
    /// What the reason means.
    means: &'static str,
    /// What to do about it.
    remedy: &'static str,
    /// The HTTP status of the reply.
    status: u16,
    /// The header fields of the reply, each as its name and its value.
    headers: Vec<(String, String)>,
    /// The body of the reply.
    body: String,
}

pub(in super::super) async fn run(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    body: MemberBody<DryRunRequest>,
) -> Result<Json<DryRunView>, AdminProblem> {
    let dry_run = body.read(|asked, faults| dry_run(asked, &admin, &operator, faults))?;
    let now = admin.store.now();
    let mut judged = (admin.guard)(&dry_run, now);
    let known = known(judged.bearer, dry_run.from, &admin, now).await?;
    judged.steps.extend(known);
    Ok(Json(judged.into()))
}

fn dry_run(
    asked: DryRunRequest,
    admin: &AdminState,
    operator: &AuthenticatedOperator,
    faults: &mut MemberFaults,
) -> Option<DryRun> {
    let api = faults.api(asked.api, &operator.apis(admin));
    let credential = match (asked.token, asked.static_key) {
        (Some(_), Some(_)) => return faults.fault("static_key", "cannot be combined with token"),
        (Some(token), None) => DryRunCredential::Token(token.0),
        (None, Some(key)) => DryRunCredential::StaticKey(key.0),
        (None, None) => DryRunCredential::Nothing,
    };
    Some(DryRun {
        credential,
        from: asked.from.0,
        method: asked.method.0,
        target: asked.path.0,
        host: asked.host,
        api,
        sees: operator.scope().clone(),
    })
}

/// What the store knows about the bearer token.
async fn known(
    bearer: Option<TokenBearer>,
    from: IpAddr,
    admin: &AdminState,
    now: Timestamp,
) -> Result<Vec<DryRunStep>, AdminProblem> {
    let Some(bearer) = bearer else {
        return Ok(Vec::new());
    };
    let mut steps = vec![session(bearer.session, admin, now).await?];
    let Some(account) = admin.store.account(bearer.account).await? else {
        let words = format!("account {} was deleted", bearer.account);
        steps.push(DryRunStep::new("account", false, words));
        return Ok(steps);
    };
    let state = if account.active { "active" } else { "disabled" };
    let words = format!("account {} ({}) is {state}", account.id, account.name);
    steps.push(DryRunStep::new("account", account.active, words));
    if bearer.epoch < account.epoch {
        let words = "it ended everything that is older than a later moment than the token's login";
        steps.push(DryRunStep::new("epoch", false, words));
    }
    let admitted = admit_address(&account, from).is_ok();
    let networks: Vec<_> = account
        .allow
        .networks()
        .iter()
        .map(ToString::to_string)
        .collect();
    let words = match (networks.is_empty(), admitted) {
        (true, _) => "the account may call from everywhere".to_owned(),
        (false, true) => format!("{from} is in {}", networks.join(" ")),
        (false, false) => format!("{from} is not in {}", networks.join(" ")),
    };
    steps.push(DryRunStep::new("address", admitted, words));
    Ok(steps)
}

async fn session(
    id: SessionId,
    admin: &AdminState,
    now: Timestamp,
) -> Result<DryRunStep, AdminProblem> {
    let Some(session) = admin.store.session(id).await? else {
        return Ok(DryRunStep::new("session", false, "is over and forgotten"));
    };
    Ok(match session.state {
        SessionState::Ended { end, at } => {
            let words = format!("was ended at {}: {}", at.rfc3339(), end.code());
            DryRunStep::new("session", false, words)
        }
        SessionState::Active if session.last_expiry() <= now => {
            DryRunStep::new("session", false, "has expired")
        }
        SessionState::Active => {
            let words = format!("lives, and is at generation {}", session.generation);
            DryRunStep::new("session", true, words)
        }
    })
}

impl From<DryRunVerdict> for DryRunView {
    fn from(judged: DryRunVerdict) -> Self {
        Self {
            api: judged.api.map(TextMember),
            steps: judged.steps,
            verdict: if judged.refused.is_some() {
                VerdictView::Refused
            } else {
                VerdictView::Allowed
            },
            refusal: judged.refused.map(ToldView::from),
        }
    }
}

impl From<PeerReply> for ToldView {
    fn from(told: PeerReply) -> Self {
        let PeerReply {
            reason,
            detail,
            status,
            headers,
            body,
        } = told;
        Self {
            code: reason
                .refusal(countersign_domain::TokenOperation::Guard)
                .code(),
            reason: reason.code(),
            detail,
            means: reason.meaning(),
            remedy: reason.remedy(),
            status,
            headers,
            body,
        }
    }
}
