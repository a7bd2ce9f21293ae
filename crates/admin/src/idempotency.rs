//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): if a creation is
//! requested again with the same key, it gets the first reply, byte for byte, and creates
//! nothing.
//!
//! Replies are kept for a day. They are sealed under the master key in the commit of the
//! creation, since they contain the secret that is shown once. Refusals are not kept.
//! Each operator has its own keys: they do not interfere with those of others.
//!
//! All of this is in the extractor [`RepeatableRequest`]: a handler that takes one is not
//! called for a request that is a repetition.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use axum::RequestExt;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AdminState;
use super::body::MemberBody;
use super::key::AuthenticatedOperator;
use super::members::MemberFaults;
use super::problem::AdminProblem;
use countersign_store::seal::{MasterKey, SealError};
use countersign_store::{IdempotencyKey, IdempotentOutcome, reply_context};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// How long a reply is kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_KEY: usize = 255;

/// A request that may be repeated, and is sent for the first time.
pub(super) struct RepeatableRequest<T> {
    body: MemberBody<T>,
    once: RepeatedOnce,
}

/// What is stored for a request that may be repeated: its reply, under its key.
#[derive(Clone)]
pub(super) struct RepeatedOnce {
    key: Option<String>,
    operator: String,
    request: String,
    master: Arc<MasterKey>,
}

/// Why a handler is not called: the request is a repetition, or it is wrong.
pub(super) enum NotRepeatable {
    Before(Box<Response>),
    Refused(AdminProblem),
}

/// The reply to what was just created or done: a `T` with this status.
pub(super) struct MadeReply<T, const STATUS: u16> {
    location: Option<String>,
    body: Option<T>,
}

/// That reply, or the first one.
pub(super) struct OnceReply<T, const STATUS: u16> {
    response: Response,
    body: PhantomData<fn() -> T>,
}

/// The reply to a creation (201), with the location of what was created.
pub(super) type CreatedReply<T> = MadeReply<T, 201>;
/// The reply to a change (200).
pub(super) type ChangedReply<T> = MadeReply<T, 200>;

/// A stored reply.
#[derive(Serialize, Deserialize)]
struct KeptReply {
    status: u16,
    location: Option<String>,
    body: String,
}

/// A reply as it is sealed, with a digest of the request that it answers.
#[derive(Serialize, Deserialize)]
struct SealedReply {
    request: String,
    reply: KeptReply,
}

impl<T> FromRequest<AdminState> for RepeatableRequest<T> {
    type Rejection = NotRepeatable;

    async fn from_request(mut request: Request, admin: &AdminState) -> Result<Self, NotRepeatable> {
        let operator: AuthenticatedOperator = request.extract_parts().await?;
        let key = presented(request.headers())?;
        let target = format!("{} {}", request.method(), request.uri());
        let body = MemberBody::from_request(request, admin).await?;
        let once = RepeatedOnce {
            key,
            operator: operator.name().to_owned(),
            request: digest(&target, body.bytes()),
            master: admin.master.clone(),
        };
        match once.before(admin).await? {
            Some(reply) => Err(NotRepeatable::Before(Box::new(reply))),
            None => Ok(Self { body, once }),
        }
    }
}

fn presented(headers: &HeaderMap) -> Result<Option<String>, AdminProblem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => key(value).ok_or_else(wrong_key).map(Some),
        (Some(_), Some(_)) => Err(wrong_key()),
    }
}

fn digest(target: &str, body: &[u8]) -> String {
    let mut digest = Context::new(&SHA256);
    digest.update(target.as_bytes());
    digest.update(b"\n");
    digest.update(body);
    hex::encode(digest.finish())
}

fn key(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let fits = (1..=MAX_KEY).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

fn wrong_key() -> AdminProblem {
    AdminProblem::new(
        StatusCode::BAD_REQUEST,
        "invalid_idempotency_key",
        "this is not an Idempotency-Key, or more than one",
    )
    .with_help("send one of 1 to 255 visible ASCII characters")
}

impl<T: DeserializeOwned + ToSchema> RepeatableRequest<T> {
    /// Reads every member of the body; see [`MemberBody::read`].
    pub(super) fn read<U>(
        self,
        judge: impl FnOnce(T, &mut MemberFaults) -> Option<U>,
    ) -> Result<(U, RepeatedOnce), AdminProblem> {
        Ok((self.body.read(judge)?, self.once))
    }
}

impl RepeatedOnce {
    /// The first reply, if the request is a repetition.
    async fn before(&self, admin: &AdminState) -> Result<Option<Response>, AdminProblem> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        match admin.store.remembered(&self.operator, key).await? {
            Some(sealed) => self.again(&sealed).map(Some),
            None => Ok(None),
        }
    }

    /// Makes the store keep the reply that `reply` returns, if there is a key.
    pub(super) fn key<M, T: Serialize, const STATUS: u16>(
        &self,
        reply: impl Fn(&M) -> MadeReply<T, STATUS> + Send + 'static,
    ) -> Option<IdempotencyKey<M>> {
        let key = self.key.clone()?;
        let (operator, request) = (self.operator.clone(), self.request.clone());
        let (master, place) = (self.master.clone(), (operator.clone(), key.clone()));
        Some(IdempotencyKey {
            operator,
            key,
            keep_for: KEPT_FOR,
            reply: Box::new(move |made| {
                let kept = SealedReply {
                    request: request.clone(),
                    reply: reply(made).kept_reply(),
                };
                let plain = serde_json::to_vec(&kept).map_err(|_| SealError::NotSealed)?;
                master.seal(&reply_context(&place.0, &place.1), &plain)
            }),
        })
    }

    /// Replies with what was just created, after passing it to `told`, or with what a
    /// request that ran at the same time has created.
    pub(super) fn answer<M, T: Serialize, const STATUS: u16>(
        &self,
        made: &IdempotentOutcome<M>,
        reply: impl Fn(&M) -> MadeReply<T, STATUS>,
        told: impl FnOnce(&M),
    ) -> Result<OnceReply<T, STATUS>, AdminProblem> {
        let response = match made {
            IdempotentOutcome::New(made) => {
                told(made);
                reply(made).kept_reply().response()
            }
            IdempotentOutcome::Before(sealed) => self.again(sealed),
        };
        Ok(OnceReply {
            response: response?,
            body: PhantomData,
        })
    }

    fn again(&self, sealed: &[u8]) -> Result<Response, AdminProblem> {
        let key = self.key.as_deref().unwrap_or_default();
        let opened = self
            .master
            .open_sealed(&reply_context(&self.operator, key), sealed);
        let kept = opened
            .ok()
            .and_then(|plain| serde_json::from_slice::<SealedReply>(&plain).ok());
        let kept = kept.ok_or_else(|| AdminProblem::internal("the kept reply cannot be read"))?;
        if kept.request != self.request {
            return Err(reused());
        }
        let mut response = kept.reply.response()?;
        let headers = response.headers_mut();
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(response)
    }
}

fn reused() -> AdminProblem {
    AdminProblem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
        "this Idempotency-Key was sent with another request before",
    )
    .with_help("send a new one")
}

impl<T> CreatedReply<T> {
    /// Something was created, at `location`.
    pub(super) fn created(location: String, body: impl Into<Option<T>>) -> Self {
        Self {
            location: Some(location),
            body: body.into(),
        }
    }
}

impl<T> ChangedReply<T> {
    /// Something was done.
    pub(super) fn done(body: T) -> Self {
        Self {
            location: None,
            body: Some(body),
        }
    }
}

impl<T: Serialize, const STATUS: u16> MadeReply<T, STATUS> {
    /// Our own views can always be serialized.
    fn kept_reply(&self) -> KeptReply {
        KeptReply {
            status: STATUS,
            location: self.location.clone(),
            body: serde_json::to_string(&self.body).unwrap_or_default(),
        }
    }
}

impl<T, const STATUS: u16> IntoResponse for OnceReply<T, STATUS> {
    fn into_response(self) -> Response {
        self.response
    }
}

impl KeptReply {
    fn response(&self) -> Result<Response, AdminProblem> {
        let broken = || AdminProblem::internal("the reply cannot be written");
        let status = StatusCode::from_u16(self.status).map_err(|_| broken())?;
        let media = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (status, media, self.body.clone()).into_response();
        if let Some(location) = &self.location {
            let location = HeaderValue::from_str(location).map_err(|_| broken())?;
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    }
}

impl From<AdminProblem> for NotRepeatable {
    fn from(problem: AdminProblem) -> Self {
        Self::Refused(problem)
    }
}

impl IntoResponse for NotRepeatable {
    fn into_response(self) -> Response {
        match self {
            Self::Before(reply) => *reply,
            Self::Refused(problem) => problem.into_response(),
        }
    }
}
