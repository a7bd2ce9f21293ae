//! A dry run: what the guard would decide about a request now, step by step.
//! The guard itself is asked through [`DryRunGuard`], because this crate does not know
//! it. Nothing is spent, logged or kept, the token least of all.

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use axum::http::uri::PathAndQuery;
use countersign_dialect::Secret;
use countersign_domain::account::{InvalidText, admit_address};
use countersign_domain::session::SessionState;
use countersign_domain::{SessionId, Timestamp};
use serde::Serialize;

use super::super::AdminState;
use super::super::body::RequestMembers;
use super::super::fields::NamedValues;
use super::super::key::AuthenticatedOperator;
use super::super::problem::AdminProblem;
use super::dry_run_guard::{
    DryRun, DryRunCredential, DryRunStep, DryRunVerdict, PeerReply, TokenBearer,
};

/// The verdict in a reply.
#[derive(Serialize)]
pub(in super::super) struct DryRunView {
    api: Option<String>,
    steps: Vec<DryRunStep>,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<ToldView>,
}

#[derive(Serialize)]
struct ToldView {
    code: &'static str,
    reason: &'static str,
    detail: String,
    means: &'static str,
    remedy: &'static str,
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

pub(in super::super) async fn run(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    body: RequestMembers,
) -> Result<Json<DryRunView>, AdminProblem> {
    let dry_run = body.read(|fields| DryRun::read(fields, &admin, &operator))?;
    let now = admin.store.now();
    let mut judged = (admin.guard)(&dry_run, now);
    let known = known(judged.bearer, dry_run.from, &admin, now).await?;
    judged.steps.extend(known);
    Ok(Json(judged.into()))
}

impl DryRun {
    fn read(
        fields: &mut NamedValues,
        admin: &AdminState,
        operator: &AuthenticatedOperator,
    ) -> Option<Self> {
        for name in ["from", "method", "path"] {
            fields.require(name);
        }
        let token = fields.text("token").map(Secret::from);
        let key = fields.text("static_key").map(Secret::from);
        let from = fields.parsed("from", |text| parse(text, "an IP address"));
        let method = fields.parsed("method", |text| parse(text, "an HTTP method"));
        let target = fields.parsed("path", target);
        let host = fields.text("host");
        let api = fields.api("api", &operator.apis(admin));
        let credential = match (token, key) {
            (Some(_), Some(_)) => return fields.fault("static_key", "cannot stand beside token"),
            (Some(token), None) => DryRunCredential::Token(token),
            (None, Some(key)) => DryRunCredential::StaticKey(key),
            (None, None) => DryRunCredential::Nothing,
        };
        Some(Self {
            credential,
            from: from?,
            method: method?,
            target: target?,
            host,
            api,
            sees: operator.scope().clone(),
        })
    }
}

fn parse<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, InvalidText> {
    text.parse()
        .map_err(|_| InvalidText(format!("must be {what}")))
}

fn target(text: &str) -> Result<PathAndQuery, InvalidText> {
    if !text.starts_with('/') {
        return Err(InvalidText("must begin with /".to_owned()));
    }
    parse(text, "a path that a request can have")
}

/// What the store knows of the bearer.
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
            DryRunStep::new("session", false, "has run out")
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
            api: judged.api.map(|api| api.to_string()),
            steps: judged.steps,
            verdict: if judged.refused.is_some() {
                "refused"
            } else {
                "allowed"
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
