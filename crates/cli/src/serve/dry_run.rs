//! What the server would answer to a request that nobody sent: by the routes of its listener and
//! the guard's own `authorize`, without spending or counting anything.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use countersign_admin::refusal_ring::better_reason;
use countersign_admin::{
    DryRun, DryRunCredential, DryRunStep, DryRunVerdict, PeerReply, TokenBearer,
};
use countersign_dialect::{FoundEndpoint, PresentedCredential, TokenRefusal};
use countersign_domain::{
    ApiName, FORWARDED_METHODS, JudgedPath, Reason, Refusal, RouteAccess, Timestamp, TokenKind,
    TokenOperation,
};
use countersign_gateway::{
    GuardedApi, GuardedRequest, Permit, RequestAllowances, RevocationView, TrustedProxies,
    authorize, for_trusted_proxies,
};
use countersign_server::api::IssuingApi;
use countersign_token::{KeyFate, TokenDiagnosis};

use http::{Method, Response};

use super::front::{no_api_here, refused_at_keys};
use super::routing::{MountedApi, Route, named, route};

/// What the guard knows.
pub(super) struct DryRuns {
    pub(super) served: Arc<Vec<MountedApi>>,
    pub(super) apis: Arc<BTreeMap<ApiName, Arc<IssuingApi>>>,
    pub(super) view: Arc<RevocationView>,
    pub(super) allowances: Arc<RequestAllowances>,
    pub(super) trusted: TrustedProxies,
}

impl DryRuns {
    /// Judges a request as the server would at `now`.
    pub(super) fn judge(&self, dry_run: &DryRun, now: Timestamp) -> DryRunVerdict {
        let mut judged = DryRunVerdict::default();
        let route = self.route(dry_run);
        match route.filter(|route| dry_run.sees.has(route.api())) {
            Some(route) => self.judge_at(&mut judged, &route, dry_run, now),
            None => judged.stop(
                DryRunStep::new("api", false, "no api is served at this path"),
                peer_reply(Reason::PathUnknown, &no_api_here()),
            ),
        }
        if dry_run.method == Method::HEAD {
            // RFC 9110 section 9.3.2.
            judged.refused.iter_mut().for_each(|it| it.body.clear());
        }
        judged
    }

    fn judge_at(
        &self,
        judged: &mut DryRunVerdict,
        route: &Route<'_>,
        dry_run: &DryRun,
        now: Timestamp,
    ) {
        let name = route.api();
        judged.api = Some(name.clone());
        let words = match route {
            Route::Guard(_, path) | Route::Issuer(_, _, path) => {
                format!("the path belongs to {name} as {path}")
            }
            Route::Keys(_) | Route::Verdict(_) => format!("the path is about {name}"),
            Route::Nowhere(_) => format!("the path could belong to {name} only"),
        };
        judged.steps.push(DryRunStep::new("api", true, words));
        match route {
            Route::Guard(api, path) => self.judge_guarded(judged, api, path, dry_run, now),
            Route::Issuer(api, found, _) => judge_endpoint(judged, api, found),
            Route::Keys(_) => judge_keys(judged, &dry_run.method),
            Route::Verdict(api) => self.judge_asking(judged, api, dry_run),
            Route::Nowhere(api) => {
                let words = "the api neither guards it nor has a token endpoint there";
                let refusal = TokenRefusal::new(TokenOperation::Guard, Refusal::NotFound);
                judged.stop(
                    DryRunStep::new("route", false, words),
                    peer_reply(Reason::PathUnknown, &api.dialect().write_refusal(&refusal)),
                );
            }
        }
    }

    /// Where the request goes: to the api that is named, or to where host and path lead.
    fn route<'s>(&'s self, dry_run: &DryRun) -> Option<Route<'s>> {
        let (method, path) = (&dry_run.method, dry_run.target.path());
        let host = dry_run.host.as_deref().unwrap_or_default();
        let Some(name) = &dry_run.api else {
            return match route(&self.served, method, host, path) {
                found @ (None | Some(Route::Nowhere(_))) => {
                    let mut apis = self.served.iter();
                    let forwarded = apis.find_map(|it| it.forwarded(it.site.claims(host, path)?));
                    forwarded.or(found)
                }
                found => found,
            };
        };
        let served = named(&self.served, name.as_str())?;
        let below = served.below_prefix(host, path);
        let below = below.unwrap_or(Cow::Borrowed(path));
        let here = served.route(method, &below);
        let here = here.or_else(|| served.forwarded(&below));
        Some(here.unwrap_or(Route::Nowhere(&served.api)))
    }

    /// A proxy that asks about another request.
    fn judge_asking(&self, judged: &mut DryRunVerdict, api: &GuardedApi, dry_run: &DryRun) {
        if !self.trusted.has(dry_run.from) {
            let words = format!("{} is not a trusted proxy", dry_run.from);
            judged.stop(
                DryRunStep::new("proxy", false, words),
                peer_reply(Reason::ProxyUntrusted, &for_trusted_proxies()),
            );
            return;
        }
        if api.forward_auth().is_none() {
            judged.stop(
                DryRunStep::new("proxy", false, "this api does not use forward_auth"),
                guard_reply(api, Reason::PathUnknown, String::new()),
            );
            return;
        }
        let words = "this is where a trusted proxy asks about requests; the verdict depends on \
                     the request that it asks about";
        judged.steps.push(DryRunStep::new("proxy", true, words));
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
                judged.refused = Some(guard_reply(api, reason, detail));
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
            judged.refused = Some(guard_reply(api, Reason::BudgetSpent, String::new()));
        }
    }

    /// The token of a dry run, if it is one of an api here; its own before all
    /// others.
    fn whose(&self, own: &ApiName, dry_run: &DryRun, now: Timestamp) -> Option<BearerFinding<'_>> {
        let DryRunCredential::Token(token) = &dry_run.credential else {
            return None;
        };
        let apis = self.apis.get_key_value(own).into_iter().chain(&*self.apis);
        apis.into_iter().find_map(|(name, api)| {
            Some(BearerFinding {
                api: name,
                at_home: name == own,
                is_seen: dry_run.sees.has(name),
                token: api.keychain().current().diagnose(token.expose(), now)?,
            })
        })
    }
}

/// The owner of the token of a dry run, and what is known of it.
struct BearerFinding<'a> {
    api: &'a ApiName,
    at_home: bool,
    /// Whether the operator sees that api.
    is_seen: bool,
    token: TokenDiagnosis,
}

impl BearerFinding<'_> {
    fn reason(&self, known: Reason) -> Reason {
        better_reason(known, self.at_home, &self.token)
    }
}

fn look_at_token(judged: &mut DryRunVerdict, found: Option<&BearerFinding<'_>>, now: Timestamp) {
    let Some(BearerFinding {
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
        KeyFate::Gone { .. } => (false, "retired, and its last token has expired"),
        KeyFate::Killed => (false, "was killed"),
    };
    DryRunStep::new("key", good, format!("{} {fate}", token.kid))
}

fn expiry_step(token: &TokenDiagnosis, now: Timestamp) -> DryRunStep {
    if token.expires_at <= now {
        let late = now.since(token.expires_at).as_secs();
        return DryRunStep::new("expiry", false, format!("expired {late} s ago"));
    }
    let left = token.expires_at.since(now).as_secs();
    DryRunStep::new("expiry", true, format!("expires in {left} s"))
}

/// A request at a token endpoint, before its body is read.
fn judge_endpoint(judged: &mut DryRunVerdict, api: &IssuingApi, found: &FoundEndpoint) {
    let FoundEndpoint::WrongMethod { operation, allow } = found else {
        let words = "it is a token endpoint: what is answered depends on the body";
        judged.steps.push(DryRunStep::new("endpoint", true, words));
        return;
    };
    let words = format!("it is a token endpoint, which takes {allow} only");
    let response = api.dialect().write_refusal(&TokenRefusal {
        allow: Some(allow),
        ..TokenRefusal::new(*operation, Reason::MethodUnknown.refusal(*operation))
    });
    judged.stop(
        DryRunStep::new("endpoint", false, words),
        peer_reply(Reason::MethodUnknown, &response),
    );
}

fn judge_keys(judged: &mut DryRunVerdict, method: &Method) {
    match refused_at_keys(method) {
        None => {
            let words = "its public keys are read there by anybody";
            judged.steps.push(DryRunStep::new("keys", true, words));
        }
        Some(refused) => judged.stop(
            DryRunStep::new("keys", false, "its public keys can only be read there"),
            peer_reply(Reason::MethodUnknown, &refused),
        ),
    }
}

/// The guard's refusal as the peer would get it.
fn guard_reply(api: &GuardedApi, reason: Reason, detail: String) -> PeerReply {
    let refusal = reason.refusal(TokenOperation::Guard);
    let response = api.dialect().write_refusal(&TokenRefusal {
        allow: (reason == Reason::MethodUnknown).then_some(FORWARDED_METHODS),
        ..TokenRefusal::new(TokenOperation::Guard, refusal)
    });
    PeerReply {
        detail,
        ..peer_reply(reason, &response)
    }
}

/// What the peer would be told.
fn peer_reply(reason: Reason, response: &Response<Bytes>) -> PeerReply {
    let fields = response.headers().iter();
    PeerReply {
        reason,
        detail: String::new(),
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
