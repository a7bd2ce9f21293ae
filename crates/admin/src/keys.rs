//! Signing keys and peppers: list and show them, publish, rotate, retire, kill.
//! Never their material.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use countersign_domain::account::InvalidText;
use countersign_domain::key::{KeyRecord, KeyState};
use countersign_domain::{Algorithm, ApiName, Timestamp};
use serde::Serialize;
use serde_json::Value;
use tracing::info;

use super::AdminState;
use super::body::RequestMembers;
use super::fields::NamedValues;
use super::idempotency::{CreationReply, RepeatableRequest, RepeatedOnce};
use super::key::AuthenticatedOperator;
use super::page::{ListPage, QueryParameters};
use super::path_params::{PathParams, no_key};
use super::problem::AdminProblem;
use countersign_server::api::IssuingApi;
use countersign_server::keys::{AppliedKeyChange, KeyRingChange, KeysFault, SigningKeys};
use countersign_store::{KeyError, KeyPurpose, SealedKey};

/// A key in a reply.
#[derive(Serialize)]
pub(super) struct KeyView {
    kid: String,
    api: String,
    algorithm: &'static str,
    purpose: &'static str,
    state: &'static str,
    created_at: String,
    retires_at: Option<String>,
}

/// The keys of an algorithm after a change.
#[derive(Serialize)]
pub(super) struct ChangedView {
    /// The id of the one that signs what is new.
    active: String,
    keys: Vec<KeyView>,
}

pub(super) async fn list(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    parameters: QueryParameters,
) -> Result<Json<ListPage<KeyView, String>>, AdminProblem> {
    let apis = operator.apis(&admin);
    let asked = parameters.read(|query| Some(query.api("api", &apis)))?;
    let mut items = Vec::new();
    for name in apis.keys() {
        if asked.as_ref().is_none_or(|asked| asked == name) {
            let keys = admin.store.keys(name).await?;
            let now = admin.store.now();
            items.extend(keys.iter().map(|it| view(name, &it.key, it.purpose, now)));
        }
    }
    Ok(Json(ListPage::whole(items)))
}

pub(super) async fn show(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
) -> Result<Json<KeyView>, AdminProblem> {
    let (api, sealed) = place.key(&admin, &operator).await?;
    let now = admin.store.now();
    Ok(Json(view(&api, &sealed.key, sealed.purpose, now)))
}

pub(super) async fn publish(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    asked: RepeatableRequest,
) -> Result<Response, AdminProblem> {
    let (target, once) = asked.read(|fields| KeySelection::read(fields, &admin, &operator))?;
    let (api, now) = (target.name(), admin.store.now());
    let reply = move |changed: &AppliedKeyChange| {
        let pending = changed
            .keys
            .iter()
            .rfind(|it| it.state == KeyState::Pending);
        let kid = pending.map_or("", |key| key.kid.0.as_str());
        let shown = pending.map(|key| view(&api, key, KeyPurpose::Signing, now));
        CreationReply::created(format!("/admin/v1/keys/{kid}"), &shown)
    };
    let change = KeyRingChange::Publish(target.algorithm);
    change_once(&operator, &target, change, once, reply).await
}

pub(super) async fn rotate(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    asked: RepeatableRequest,
) -> Result<Response, AdminProblem> {
    let ((target, at_once), once) = asked.read(|fields| {
        let at_once = fields.flag("now").unwrap_or(false);
        Some((KeySelection::read(fields, &admin, &operator)?, at_once))
    })?;
    let change = KeyRingChange::Rotate {
        algorithm: target.algorithm,
        now: at_once,
    };
    let (api, now) = (target.name(), admin.store.now());
    let reply =
        move |changed: &AppliedKeyChange| CreationReply::done(&changed_view(&api, changed, now));
    change_once(&operator, &target, change, once, reply).await
}

async fn change_once(
    operator: &AuthenticatedOperator,
    target: &KeySelection,
    change: KeyRingChange,
    once: RepeatedOnce,
    reply: impl Fn(&AppliedKeyChange) -> CreationReply + Clone + Send + 'static,
) -> Result<Response, AdminProblem> {
    let action = action(&change);
    let (kept, keep) = (reply.clone(), once.clone());
    let made = target
        .keys
        .change_once(change, operator.actor(), move |changed| {
            let reply = kept(changed);
            keep.key(move |()| reply.clone())
        })
        .await?;
    once.answer(&made, reply, |_| log(operator, action, &target.name()))
}

/// What a `PATCH` does to a key.
enum KeyUpdate {
    Killed,
    Retiring { now: bool },
}

pub(super) async fn change(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
    body: RequestMembers,
) -> Result<Json<ChangedView>, AdminProblem> {
    let (name, sealed) = place.key(&admin, &operator).await?;
    let wanted = body.read(wanted)?;
    let change = match wanted {
        _ if sealed.purpose != KeyPurpose::Signing => return Err(no_signing_key()),
        KeyUpdate::Killed => KeyRingChange::Kill(sealed.key.kid),
        KeyUpdate::Retiring { now } => retire(&sealed, now)?,
    };
    let api = admin.apis.get(&name).ok_or_else(no_key)?.clone();
    let keys = SigningKeys::new(api, admin.store.clone(), admin.master.clone());
    let action = action(&change);
    let changed = keys.change(change, operator.actor()).await?;
    log(&operator, action, &name);
    Ok(Json(changed_view(&name, &changed, admin.store.now())))
}

/// A key retires when another takes its place.
fn retire(sealed: &SealedKey, now: bool) -> Result<KeyRingChange, AdminProblem> {
    if sealed.key.state != KeyState::Active {
        return Err(AdminProblem::conflict(
            "not_active",
            "only the active key can be made to retire; others can be killed",
        ));
    }
    Ok(KeyRingChange::Rotate {
        algorithm: sealed.key.algorithm,
        now,
    })
}

fn wanted(fields: &mut NamedValues) -> Option<KeyUpdate> {
    fields.require("state");
    let now = fields.flag("now");
    let state = fields.text("state")?;
    match state.as_str() {
        "killed" if now.is_some() => fields.fault("now", "goes with \"retiring\" only"),
        "killed" => Some(KeyUpdate::Killed),
        "retiring" => Some(KeyUpdate::Retiring {
            now: now.unwrap_or(false),
        }),
        _ => fields.fault("state", "must be \"killed\" or \"retiring\""),
    }
}

/// Which keys a body names.
struct KeySelection {
    api: Arc<IssuingApi>,
    keys: SigningKeys,
    algorithm: Algorithm,
}

impl KeySelection {
    fn read(
        fields: &mut NamedValues,
        admin: &AdminState,
        operator: &AuthenticatedOperator,
    ) -> Option<Self> {
        let apis = operator.apis(admin);
        fields.require("api");
        let asked = fields.parsed("algorithm", algorithm);
        let api = apis.get(&fields.api("api", &apis)?)?.clone();
        let keys = SigningKeys::new(api.clone(), admin.store.clone(), admin.master.clone());
        let known = keys.algorithms();
        let algorithm = match (asked, known.as_slice()) {
            (Some(asked), known) if known.contains(&asked) => asked,
            (None, [only]) => *only,
            _ => {
                let names: Vec<_> = known.iter().map(|it| it.name()).collect();
                let names = names.join(" or ");
                let words = match asked {
                    Some(_) => format!("must be one of the api's: {names}"),
                    None => format!("is needed, because the api has several: {names}"),
                };
                return fields.fault("algorithm", words);
            }
        };
        Some(Self {
            api,
            keys,
            algorithm,
        })
    }

    fn name(&self) -> ApiName {
        self.api.name().clone()
    }
}

fn algorithm(text: &str) -> Result<Algorithm, InvalidText> {
    Algorithm::from_name(text).ok_or_else(|| InvalidText("is not an algorithm of ours".to_owned()))
}

/// The public keys of an api, as its own listener serves them.
pub(super) async fn jwks(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
) -> Result<Json<Value>, AdminProblem> {
    let api = place.api(&admin, &operator)?;
    Ok(Json(api.jwks(admin.store.now())))
}

fn changed_view(api: &ApiName, changed: &AppliedKeyChange, now: Timestamp) -> ChangedView {
    let keys = changed.keys.iter();
    ChangedView {
        active: changed.active.0.clone(),
        keys: keys
            .map(|key| view(api, key, KeyPurpose::Signing, now))
            .collect(),
    }
}

fn view(api: &ApiName, key: &KeyRecord, purpose: KeyPurpose, now: Timestamp) -> KeyView {
    let (state, retires_at) = match key.state {
        KeyState::Pending => ("pending", None),
        KeyState::Active => ("active", None),
        KeyState::Retiring { until } if until <= now => ("gone", Some(until)),
        KeyState::Retiring { until } => ("retiring", Some(until)),
        KeyState::Killed => ("killed", None),
    };
    KeyView {
        kid: key.kid.0.clone(),
        api: api.to_string(),
        algorithm: key.algorithm.name(),
        purpose: purpose.name(),
        state,
        created_at: key.created_at.rfc3339(),
        retires_at: retires_at.map(Timestamp::rfc3339),
    }
}

fn no_signing_key() -> AdminProblem {
    AdminProblem::conflict(
        "no_signing_key",
        "this is the key of the stored secrets' hashes, which stays as long as they do",
    )
}

fn action(change: &KeyRingChange) -> &'static str {
    match change {
        KeyRingChange::Publish(_) => "key_published",
        KeyRingChange::Rotate { .. } => "key_rotated",
        KeyRingChange::Kill(_) => "key_killed",
    }
}

fn log(operator: &AuthenticatedOperator, action: &str, api: &ApiName) {
    let actor = operator.actor();
    info!(%actor, action, %api, "operator change");
}

impl From<KeysFault> for AdminProblem {
    fn from(fault: KeysFault) -> Self {
        let detail = fault.to_string();
        match fault {
            KeysFault::NoKey | KeysFault::OtherAlgorithm(_) => {
                Self::conflict("not_alive", "the key is dead already")
            }
            KeysFault::Pending(_) => Self::conflict("pending_already", detail),
            KeysFault::NotPublished => Self::conflict("not_published", detail),
            KeysFault::TooYoung(_) => Self::conflict("published_recently", detail),
            KeysFault::Ring(_) => Self::conflict("too_many_keys", detail),
            KeysFault::Store(KeyError::Unavailable(unavailable)) => unavailable.into(),
            KeysFault::Api(_) | KeysFault::Store(_) | KeysFault::CutOff => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
            }
        }
    }
}
