//! Signing keys and peppers: list and show them, publish, rotate, retire, kill.
//! Never their material.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use countersign_domain::account::InvalidText;
use countersign_domain::key::{KeyRecord, KeyState};
use countersign_domain::{Algorithm, ApiName, Timestamp};
use serde::{Deserialize, Serialize};
use tracing::info;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{RefOr, schema::AdditionalProperties};
use utoipa::{PartialSchema, ToSchema};

use super::AdminState;
use super::body::MemberBody;
use super::idempotency::{
    ChangedReply, CreatedReply, MadeReply, OnceReply, RepeatableRequest, RepeatedOnce,
};
use super::key::AuthenticatedOperator;
use super::member_text::{ApiNameText, InstantText, KeyIdText, ServedApi, TextMember};
use super::member_words::{AlgorithmText, PurposeText};
use super::members::MemberFaults;
use super::page::{ListPage, NoNextPage, RequestQuery};
use super::path_params::{PathParams, no_key};
use super::problem::AdminProblem;
use countersign_server::api::IssuingApi;
use countersign_server::keys::{AppliedKeyChange, KeyRingChange, KeysFault, SigningKeys};
use countersign_store::{KeyError, KeyPurpose, SealedKey};
use countersign_token::PublicKey;

/// Selects the keys to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyQuery {
    /// Only keys of this api.
    api: Option<ServedApi>,
}

/// A key, without its material.
#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
pub(super) struct KeyView {
    /// Its id, as it appears in tokens.
    kid: KeyIdText,
    /// The api that it belongs to.
    api: ApiNameText,
    /// Its algorithm.
    algorithm: AlgorithmText,
    /// What it is used for.
    purpose: PurposeText,
    /// Its state.
    state: KeyStateView,
    /// When it was created.
    created_at: InstantText,
    /// Until when its signatures are accepted, if it no longer signs; null otherwise.
    retires_at: Option<InstantText>,
}

/// The state of a key. A pending key does not sign yet. The active key signs new tokens.
/// Tokens of a retiring key are valid until they expire. All tokens of a gone key have
/// expired. Tokens of a killed key are refused.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = KeyState)]
enum KeyStateView {
    Pending,
    Active,
    Retiring,
    Gone,
    Killed,
}

/// The keys of one algorithm after a change.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedKeys)]
pub(super) struct ChangedView {
    /// The id of the key that signs new tokens.
    active: KeyIdText,
    /// All keys of the algorithm.
    keys: Vec<KeyView>,
}

/// Selects the signing key to publish.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewKey)]
pub(super) struct NewKeyRequest {
    /// The api that the key belongs to.
    api: ServedApi,
    /// Its algorithm, which is needed if the api has several.
    algorithm: Option<AlgorithmText>,
}

/// Selects the pending key that should become active.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyRotation)]
pub(super) struct KeyRotationRequest {
    /// The api that the key belongs to.
    api: ServedApi,
    /// Its algorithm, which is needed if the api has several.
    algorithm: Option<AlgorithmText>,
    /// Rotate even if others may not know the new key yet; false if not given.
    now: Option<bool>,
}

/// The new state of a key.
#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyChangeRequest {
    state: KeyChangeState,
    now: Option<bool>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KeyChangeState {
    Killed,
    Retiring,
}

impl ToSchema for KeyChangeRequest {
    fn name() -> std::borrow::Cow<'static, str> {
        "KeyChange".into()
    }
}

/// Written by hand, since only one of the two states has a `now`.
impl PartialSchema for KeyChangeRequest {
    fn schema() -> RefOr<Schema> {
        let state = |word: &str, description: &str| {
            let state = ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some([word]))
                .description(Some(description));
            ObjectBuilder::new()
                .property("state", state)
                .required("state")
                .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        };
        let now = ObjectBuilder::new()
            .schema_type(Type::Boolean)
            .description(Some(
                "Rotate even if others may not know the new key yet; false if it is not given.",
            ));
        let killed = state("killed", "Refuse everything that the key signed.");
        let retiring = state("retiring", "Let the pending key take its place.");
        OneOfBuilder::new()
            .item(killed)
            .item(retiring.property("now", now))
            .description(Some("The new state of a key."))
            .into()
    }
}

/// Public keys as a JWK Set (RFC 7517 section 5).
#[derive(Serialize, ToSchema)]
#[schema(as = JwkSet)]
pub(super) struct JwkSetView {
    /// The keys, including those that do not sign yet.
    keys: Vec<JwkView>,
}

/// A public key as a JWK (RFC 7517 section 4, RFC 7518 section 6.3.1).
#[derive(Serialize, ToSchema)]
#[schema(as = Jwk)]
struct JwkView {
    /// The type of the key.
    kty: JwkType,
    /// What it is used for: signatures.
    #[serde(rename = "use")]
    usage: JwkUse,
    /// Its algorithm.
    alg: AlgorithmText,
    /// Its id, as it appears in tokens.
    kid: KeyIdText,
    /// The modulus, in base64url.
    n: String,
    /// The exponent, in base64url.
    e: String,
}

/// The type of a public key.
#[derive(Serialize, ToSchema)]
enum JwkType {
    #[serde(rename = "RSA")]
    Rsa,
}

/// What a public key is used for.
#[derive(Serialize, ToSchema)]
enum JwkUse {
    #[serde(rename = "sig")]
    Signature,
}

pub(super) async fn list(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    query: RequestQuery<KeyQuery>,
) -> Result<Json<ListPage<KeyView, NoNextPage>>, AdminProblem> {
    let apis = operator.apis(&admin);
    let asked = query.read(|query: KeyQuery, faults| Some(faults.api(query.api, &apis)))?;
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
    asked: RepeatableRequest<NewKeyRequest>,
) -> Result<OnceReply<KeyView, 201>, AdminProblem> {
    let (target, once) = asked.read(|asked, faults| {
        KeySelection::judge(asked.api, asked.algorithm, &admin, &operator, faults)
    })?;
    let (api, now) = (target.name(), admin.store.now());
    let reply = move |changed: &AppliedKeyChange| {
        let pending = changed
            .keys
            .iter()
            .rfind(|it| it.state == KeyState::Pending);
        let kid = pending.map_or("", |key| key.kid.0.as_str());
        let shown = pending.map(|key| view(&api, key, KeyPurpose::Signing, now));
        CreatedReply::created(format!("/admin/v1/keys/{kid}"), shown)
    };
    let change = KeyRingChange::Publish(target.algorithm);
    change_once(&operator, &target, change, once, reply).await
}

pub(super) async fn rotate(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    asked: RepeatableRequest<KeyRotationRequest>,
) -> Result<OnceReply<ChangedView, 200>, AdminProblem> {
    let ((target, at_once), once) = asked.read(|asked, faults| {
        let target = KeySelection::judge(asked.api, asked.algorithm, &admin, &operator, faults)?;
        Some((target, asked.now.unwrap_or(false)))
    })?;
    let change = KeyRingChange::Rotate {
        algorithm: target.algorithm,
        now: at_once,
    };
    let (api, now) = (target.name(), admin.store.now());
    let reply =
        move |changed: &AppliedKeyChange| ChangedReply::done(changed_view(&api, changed, now));
    change_once(&operator, &target, change, once, reply).await
}

async fn change_once<T: Serialize + 'static, const STATUS: u16>(
    operator: &AuthenticatedOperator,
    target: &KeySelection,
    change: KeyRingChange,
    once: RepeatedOnce,
    reply: impl Fn(&AppliedKeyChange) -> MadeReply<T, STATUS> + Clone + Send + 'static,
) -> Result<OnceReply<T, STATUS>, AdminProblem> {
    let action = action(&change);
    let (kept, keep) = (reply.clone(), once.clone());
    let made = target
        .keys
        .change_once(change, operator.actor(), move |changed| {
            let changed = changed.clone();
            keep.key(move |()| kept(&changed))
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
    body: MemberBody<KeyChangeRequest>,
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

/// A key retires when another one becomes active.
fn retire(sealed: &SealedKey, now: bool) -> Result<KeyRingChange, AdminProblem> {
    if sealed.key.state != KeyState::Active {
        return Err(AdminProblem::conflict(
            "not_active",
            "only the active key can be made to retire",
        )
        .with_help("kill this one instead"));
    }
    Ok(KeyRingChange::Rotate {
        algorithm: sealed.key.algorithm,
        now,
    })
}

fn wanted(asked: KeyChangeRequest, faults: &mut MemberFaults) -> Option<KeyUpdate> {
    match (asked.state, asked.now) {
        (KeyChangeState::Killed, Some(_)) => {
            faults.fault("now", "can only be used with \"retiring\"")
        }
        (KeyChangeState::Killed, None) => Some(KeyUpdate::Killed),
        (KeyChangeState::Retiring, now) => Some(KeyUpdate::Retiring {
            now: now.unwrap_or(false),
        }),
    }
}

/// The keys that a body selects.
struct KeySelection {
    api: Arc<IssuingApi>,
    keys: SigningKeys,
    algorithm: Algorithm,
}

impl KeySelection {
    fn judge(
        api: ServedApi,
        algorithm: Option<AlgorithmText>,
        admin: &AdminState,
        operator: &AuthenticatedOperator,
        faults: &mut MemberFaults,
    ) -> Option<Self> {
        let apis = operator.apis(admin);
        let asked = algorithm.map(|algorithm| algorithm.0);
        let api = apis.get(&faults.api(Some(api), &apis)?)?.clone();
        let keys = SigningKeys::new(api.clone(), admin.store.clone(), admin.master.clone());
        let known = keys.algorithms();
        let algorithm = match (asked, known.as_slice()) {
            (Some(asked), known) if known.contains(&asked) => asked,
            (None, [only]) => *only,
            _ => {
                let names: Vec<_> = known.iter().map(|it| it.name()).collect();
                let names = names.join(" or ");
                let words = match asked {
                    Some(_) => "does not belong to the api",
                    None => "is needed, because the api has several",
                };
                let fault = InvalidText::new(words).with_help(format!("name {names}"));
                return faults.invalid("algorithm", fault);
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

/// The public keys of an api, as its own listener serves them.
pub(super) async fn jwks(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
    place: PathParams,
) -> Result<Json<JwkSetView>, AdminProblem> {
    let api = place.api(&admin, &operator)?;
    let keys = api.public_keys(admin.store.now()).into_iter();
    Ok(Json(JwkSetView {
        keys: keys.map(JwkView::from).collect(),
    }))
}

impl From<PublicKey> for JwkView {
    fn from(key: PublicKey) -> Self {
        Self {
            kty: JwkType::Rsa,
            usage: JwkUse::Signature,
            alg: TextMember(key.algorithm),
            kid: TextMember(key.kid),
            n: key.modulus,
            e: key.exponent,
        }
    }
}

fn changed_view(api: &ApiName, changed: &AppliedKeyChange, now: Timestamp) -> ChangedView {
    let keys = changed.keys.iter();
    ChangedView {
        active: TextMember(changed.active.clone()),
        keys: keys
            .map(|key| view(api, key, KeyPurpose::Signing, now))
            .collect(),
    }
}

fn view(api: &ApiName, key: &KeyRecord, purpose: KeyPurpose, now: Timestamp) -> KeyView {
    let (state, retires_at) = match key.state {
        KeyState::Pending => (KeyStateView::Pending, None),
        KeyState::Active => (KeyStateView::Active, None),
        KeyState::Retiring { until } if until <= now => (KeyStateView::Gone, Some(until)),
        KeyState::Retiring { until } => (KeyStateView::Retiring, Some(until)),
        KeyState::Killed => (KeyStateView::Killed, None),
    };
    KeyView {
        kid: TextMember(key.kid.clone()),
        api: TextMember(api.clone()),
        algorithm: TextMember(key.algorithm),
        purpose: TextMember(purpose),
        state,
        created_at: TextMember(key.created_at),
        retires_at: retires_at.map(TextMember),
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
        let (detail, help) = (fault.to_string(), fault.help());
        let problem = match fault {
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
        };
        match help {
            Some(help) => problem.with_help(help),
            None => problem,
        }
    }
}
