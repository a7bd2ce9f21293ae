//! A request body: a JSON object (RFC 8259), read strictly. It is bounded, no
//! member occurs twice, and the media type must not say that it is something
//! else.

use std::fmt;
use std::marker::PhantomData;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Number, Value};
use utoipa::ToSchema;

use super::member_reader::{ValueSource, kind_of};
use super::members::{GivenMembers, MemberFaults, short};
use super::problem::AdminProblem;

/// The size of the largest body that is read.
const MAX_BYTES: usize = 64 * 1024;

/// A request body that should be a `T`, not parsed yet.
pub(super) struct MemberBody<T> {
    members: Map<String, Value>,
    bytes: Bytes,
    wanted: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned + ToSchema> MemberBody<T> {
    /// Reads every member; see [`GivenMembers::read`].
    pub(super) fn read<U>(
        self,
        judge: impl FnOnce(T, &mut MemberFaults) -> Option<U>,
    ) -> Result<U, AdminProblem> {
        GivenMembers::new(self.members, ValueSource::Body).read(judge)
    }
}

impl<T> MemberBody<T> {
    /// The body as it was sent.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<S: Sync, T> FromRequest<S> for MemberBody<T> {
    type Rejection = AdminProblem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, AdminProblem> {
        check_media(request.headers())?;
        let bytes = collect(request).await?;
        let StrictJson(value) = serde_json::from_slice(&bytes)
            .map_err(|error| AdminProblem::malformed(format!("the body is not JSON: {error}")))?;
        match value {
            Value::Object(members) => Ok(Self {
                members,
                bytes,
                wanted: PhantomData,
            }),
            other => Err(AdminProblem::malformed(format!(
                "the body must be a JSON object, not {}",
                kind_of(&other)
            ))),
        }
    }
}

fn check_media(headers: &HeaderMap) -> Result<(), AdminProblem> {
    let Some(media) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let essence = media.to_str().unwrap_or_default().split(';').next();
    if essence.is_some_and(|it| it.trim().eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    Err(AdminProblem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "the Content-Type is not that of JSON",
    )
    .with_help("send Content-Type: application/json"))
}

async fn collect(request: Request) -> Result<Bytes, AdminProblem> {
    let limited = Limited::new(request.into_body(), MAX_BYTES);
    match limited.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(AdminProblem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("a body has at most {MAX_BYTES} bytes"),
        )),
        Err(_) => Err(AdminProblem::malformed("the body broke off")),
    }
}

/// A JSON value in which no object has two members of one name. The parser limits its
/// depth to 128.
struct StrictJson(Value);

impl<'de> Deserialize<'de> for StrictJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(StrictJson(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                let twice = format!("the member {:?} occurs twice", short(&name));
                return Err(A::Error::custom(twice));
            }
            let StrictJson(value) = members.next_value()?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}
