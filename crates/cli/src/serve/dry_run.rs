//! What the guard would decide about a request that nobody sent: by the guard's own `authorize`,
//! without spending or counting anything.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_admin::refusal_ring::better_reason;
use countersign_admin::{
    DryRun, DryRunCredential, DryRunStep, DryRunVerdict, PeerReply, TokenBearer,
};
use countersign_dialect::{FoundEndpoint, PresentedCredential, TokenRefusal};
use countersign_domain::{
    ApiName, JudgedPath, Reason, RouteAccess, Timestamp, TokenKind, TokenOperation,
};
use countersign_gateway::{
    GuardedApi, GuardedRequest, Permit, RequestAllowances, RevocationView, authorize,
};
use countersign_server::api::IssuingApi;
use countersign_token::{KeyFate, TokenDiagnosis};

use super::front::Served;

/// What the guard knows.
pub(super) struct DryRuns {
    pub(super) served: Arc<Vec<Served>>,
    pub(super) apis: Arc<BTreeMap<ApiName, Arc<IssuingApi>>>,
    pub(super) view: Arc<RevocationView>,
    pub(super) allowances: Arc<RequestAllowances>,
}

impl DryRuns {
    /// Judges a request as the guard would at `now`.
    pub(super) fn judge(&self, dry_run: &DryRun, now: Timestamp) -> DryRunVerdict {
        let mut judged = DryRunVerdict::default();
        let found = self.find(dry_run);
        let seen = found.filter(|(served, _)| dry_run.sees.has(served.api.name()));
        let Some((served, path)) = seen else {
            judged.steps.push(DryRunStep::new(
                "api",
                false,
                "no api is served at this path",
            ));
            judged.refused = Some(unserved());
            return judged;
        };
        let api = &served.api;
        judged.api = Some(api.name().clone());
        let words = format!("the path belongs to {} as {path}", api.name());
        judged.steps.push(DryRunStep::new("api", true, words));
        match (api.dialect().find(&dry_run.method, &path), &served.guarded) {
            (FoundEndpoint::NotMine, Some(guarded)) => {
                self.judge_guarded(&mut judged, guarded, &path, dry_run, now);
            }
            (FoundEndpoint::NotMine, None) => {
                judged
                    .steps
                    .push(DryRunStep::new("guard", false, "the api guards nothing"));
                judged.refused = Some(unserved());
            }
            _ => {
                let words = "it is a token endpoint, at which nothing is guarded";
                judged.steps.push(DryRunStep::new("guard", true, words));
            }
        }
        judged
    }

    /// The api that is named, or that host and path lead to, and the path below
    /// its prefix.
    fn find<'s>(&'s self, dry_run: &'s DryRun) -> Option<(&'s Served, Cow<'s, str>)> {
        let path = dry_run.target.path();
        let host = dry_run.host.as_deref().unwrap_or_default();
        self.served.iter().find_map(|served| match &dry_run.api {
            Some(name) if name != served.api.name() => None,
            Some(_) => {
                let below = served.below_prefix(host, path);
                Some((served, below.unwrap_or(Cow::Borrowed(path))))
            }
            None => {
                let below = served.below_prefix(host, path)?;
                if served.claims(&dry_run.method, &below) {
                    return Some((served, below));
                }
                // What another proxy forwards is judged as it came.
                let below = served.site.claims(host, path)?;
                let judges = served.guarded.as_ref()?.routes().claims(below);
                judges.then_some((served, Cow::Borrowed(below)))
            }
        })
    }

    fn judge_guarded(
        &self,
        judged: &mut DryRunVerdict,
        api: &GuardedApi,
        path: &str,
        dry_run: &DryRun,
        now: Timestamp,
    ) {
        judged.steps.extend(route_steps(api, path, dry_run));
        let token = self.whose(api.name(), dry_run, now);
        if matches!(dry_run.credential, DryRunCredential::Token(_)) {
            look_at_token(judged, token.as_ref(), now);
        }
        let asked = GuardedRequest {
            method: &dry_run.method,
            path,
            presented: match &dry_run.credential {
                DryRunCredential::Nothing => PresentedCredential::Nothing,
                DryRunCredential::Token(token) => PresentedCredential::Token(token.expose()),
                DryRunCredential::StaticKey(key) => PresentedCredential::StaticKey(key.clone()),
            },
            address: dry_run.from,
        };
        match authorize(api, &self.view, &asked, now) {
            Ok(permit) => self.look_at_budget(judged, api, &permit),
            Err(denied) => {
                let detail = denied.detail.unwrap_or_default();
                let reason = token.map_or(denied.reason, |it| it.reason(denied.reason));
                judged.refused = Some(peer_reply(api, reason, detail));
            }
        }
    }

    fn look_at_budget(&self, judged: &mut DryRunVerdict, api: &GuardedApi, permit: &Permit) {
        let Some((limit, left)) = self.allowances.budget_left(api, permit) else {
            return;
        };
        let words = match left {
            None => format!("{limit} requests; none was made since the server was started"),
            Some(left) => format!("{left} of {limit} requests are left"),
        };
        let spent = left == Some(0);
        judged.steps.push(DryRunStep::new("budget", !spent, words));
        if spent {
            judged.refused = Some(peer_reply(api, Reason::BudgetSpent, String::new()));
        }
    }

    /// The token of a dry run, if it is one of an api here; its own before all
    /// others.
    fn whose(&self, own: &ApiName, dry_run: &DryRun, now: Timestamp) -> Option<Whose<'_>> {
        let DryRunCredential::Token(token) = &dry_run.credential else {
            return None;
        };
        let apis = self.apis.get_key_value(own).into_iter().chain(&*self.apis);
        apis.into_iter().find_map(|(name, api)| {
            Some(Whose {
                api: name,
                at_home: name == own,
                is_seen: dry_run.sees.has(name),
                token: api.keychain().current().diagnose(token.expose(), now)?,
            })
        })
    }
}

/// Whose the token of a dry run is.
struct Whose<'a> {
    api: &'a ApiName,
    at_home: bool,
    /// Whether the operator sees that api.
    is_seen: bool,
    token: TokenDiagnosis,
}

impl Whose<'_> {
    fn reason(&self, known: Reason) -> Reason {
        better_reason(known, self.at_home, &self.token)
    }
}

fn look_at_token(judged: &mut DryRunVerdict, found: Option<&Whose<'_>>, now: Timestamp) {
    let Some(Whose {
        api,
        at_home,
        token,
        ..
    }) = found.filter(|found| found.is_seen)
    else {
        let words = match found {
            None => "it was signed by no key of any api here",
            Some(_) => "it is of an api that this admin key does not see",
        };
        judged.steps.push(DryRunStep::new("token", false, words));
        return;
    };
    let is_access = token.kind == TokenKind::Access;
    let words = format!(
        "the {} token of account {} at {api}, generation {} of session {}",
        token.kind.name(),
        token.account,
        token.generation,
        token.session
    );
    judged
        .steps
        .push(DryRunStep::new("token", *at_home && is_access, words));
    judged.steps.push(key_step(token));
    judged.steps.push(expiry_step(token, now));
    judged.bearer = Some(TokenBearer {
        account: token.account,
        epoch: token.epoch,
        session: token.session,
    });
}

fn route_steps(api: &GuardedApi, path: &str, dry_run: &DryRun) -> Vec<DryRunStep> {
    let judged = match JudgedPath::judge(path) {
        Ok(judged) => judged,
        Err(reason) => return vec![DryRunStep::new("path", false, reason.meaning())],
    };
    let mut steps = vec![DryRunStep::new(
        "path",
        true,
        "every program reads it alike",
    )];
    steps.push(match api.routes().find(dry_run.method.as_str(), &judged) {
        None => DryRunStep::new("route", false, "the api does not guard it"),
        Some(route) if route.access == RouteAccess::Public => {
            DryRunStep::new("route", true, "public: no credential is looked at")
        }
        Some(route) => {
            let mut words = "protected".to_owned();
            if let Some(scopes) = route.scopes.filter(|scopes| !scopes.is_empty()) {
                let scopes: Vec<_> = scopes.iter().collect();
                words.push_str(&format!(", needs the scopes {}", scopes.join(" ")));
            }
            if !route.logins.is_empty() {
                words.push_str(&format!(", names the login {}", route.logins.join(" and ")));
            }
            DryRunStep::new("route", true, words)
        }
    });
    steps
}

fn key_step(token: &TokenDiagnosis) -> DryRunStep {
    let (good, fate) = match token.key {
        KeyFate::Alive => (true, "lives"),
        KeyFate::Gone { .. } => (false, "retired, and its last token has run out"),
        KeyFate::Killed => (false, "was killed"),
    };
    DryRunStep::new("key", good, format!("{} {fate}", token.kid))
}

fn expiry_step(token: &TokenDiagnosis, now: Timestamp) -> DryRunStep {
    if token.expires_at <= now {
        let late = now.since(token.expires_at).as_secs();
        return DryRunStep::new("expiry", false, format!("ran out {late} s ago"));
    }
    let left = token.expires_at.since(now).as_secs();
    DryRunStep::new("expiry", true, format!("runs out in {left} s"))
}

/// The refusal as the peer would get it.
fn peer_reply(api: &GuardedApi, reason: Reason, detail: String) -> PeerReply {
    let refusal = reason.refusal(TokenOperation::Guard);
    let response = api
        .dialect()
        .write_refusal(&TokenRefusal::new(TokenOperation::Guard, refusal));
    let fields = response.headers().iter();
    PeerReply {
        reason,
        detail,
        status: response.status().as_u16(),
        headers: fields
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes());
                (name.to_string(), value.into_owned())
            })
            .collect(),
        body: String::from_utf8_lossy(response.body()).into_owned(),
    }
}

/// What is told at a path of no api, in no dialect's spelling.
fn unserved() -> PeerReply {
    PeerReply {
        reason: Reason::PathUnknown,
        detail: String::new(),
        status: 404,
        headers: Vec::new(),
        body: String::new(),
    }
}
