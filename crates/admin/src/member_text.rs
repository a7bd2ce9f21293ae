//! Values that are text in JSON and in queries: each is parsed, written and described in
//! one place.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use axum::http::Method;
use axum::http::uri::PathAndQuery;
use countersign_dialect::Secret;
use countersign_domain::account::{Allowlist, InvalidText};
use countersign_domain::operator::check_admin_key_name;
use countersign_domain::{ApiName, Kid, Scopes, SessionId, Timestamp};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::{Deserialize as Read, Serialize, Serializer};
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use super::member_reader::invalid;
use super::query_instant::InstantOrAge;

/// A value that is text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TextMember<T>(pub(super) T);

/// How a textual value is described.
pub(super) trait MemberTextForm: Sized {
    /// The name of its schema.
    const NAME: &'static str;
    /// Its schema.
    fn schema() -> Schema;
}

/// How it is parsed.
pub(super) trait ReadForm: MemberTextForm {
    /// The value, or what is wrong with the text.
    fn parse(text: &str) -> Result<Self, InvalidText>;
}

/// How it is written.
pub(super) trait WrittenForm: MemberTextForm {
    /// The text.
    fn written(&self) -> Cow<'_, str>;
}

pub(super) type ApiNameText = TextMember<ApiName>;
pub(super) type InstantText = TextMember<Timestamp>;
pub(super) type InstantOrAgeText = TextMember<InstantOrAge>;
pub(super) type SessionIdText = TextMember<SessionId>;
pub(super) type AddressText = TextMember<IpAddr>;
pub(super) type AdminKeyNameText = TextMember<AdminKeyName>;
pub(super) type NetworkText = TextMember<NetworkEntry>;
pub(super) type ScopeText = TextMember<ScopeToken>;
pub(super) type KeyIdText = TextMember<Kid>;
pub(super) type SupportIdText = TextMember<SupportId>;
pub(super) type MethodText = TextMember<Method>;
pub(super) type TargetText = TextMember<PathAndQuery>;

/// The name of an api that is served. Those that the admin key sees are listed here.
#[derive(Clone, Read, ToSchema)]
#[serde(transparent)]
pub(super) struct ServedApi(pub(super) String);

/// A login that an operator chooses.
#[derive(Clone, Read)]
#[serde(transparent)]
pub(super) struct LoginText(pub(super) String);

/// A secret in a request, which is never written out.
pub(super) struct SecretText(pub(super) Secret);

/// The name of an admin key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AdminKeyName(pub(super) String);

/// A network, or one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NetworkEntry(pub(super) String);

/// A scope of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScopeToken(pub(super) String);

/// The support id of a refusal, or its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SupportId(pub(super) String);

/// Text.
pub(super) fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
}

fn pattern(description: &str, pattern: &str) -> Schema {
    text(description).pattern(Some(pattern)).into()
}

impl MemberTextForm for ApiName {
    const NAME: &'static str = "ApiName";

    fn schema() -> Schema {
        pattern("The name of an api.", "^[a-z][a-z0-9_-]{0,63}$")
    }
}

impl WrittenForm for ApiName {
    fn written(&self) -> Cow<'_, str> {
        self.as_str().into()
    }
}

impl MemberTextForm for AdminKeyName {
    const NAME: &'static str = "AdminKeyName";

    fn schema() -> Schema {
        let description = "The name of an admin key, which identifies its holder in the audit log.";
        pattern(description, "^[a-z][a-z0-9_-]{0,63}$")
    }
}

impl ReadForm for AdminKeyName {
    fn parse(text: &str) -> Result<Self, InvalidText> {
        check_admin_key_name(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl WrittenForm for AdminKeyName {
    fn written(&self) -> Cow<'_, str> {
        self.0.as_str().into()
    }
}

impl MemberTextForm for Timestamp {
    const NAME: &'static str = "Instant";

    fn schema() -> Schema {
        text("An instant as RFC 3339 writes it; replies have UTC with microseconds.")
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .examples(["2027-01-15T08:00:00.000000Z"])
            .into()
    }
}

impl ReadForm for Timestamp {
    fn parse(text: &str) -> Result<Self, InvalidText> {
        let parsed = text.parse();
        parsed.map_err(|_| InvalidText::new("must be an instant such as 2027-01-15T08:00:00Z"))
    }
}

impl WrittenForm for Timestamp {
    fn written(&self) -> Cow<'_, str> {
        self.rfc3339().into()
    }
}

impl MemberTextForm for InstantOrAge {
    const NAME: &'static str = "InstantOrAge";

    fn schema() -> Schema {
        let description = "An instant as RFC 3339 writes it, or how long ago it was: a whole \
                           number with s, m, h or d for seconds, minutes, hours or days.";
        let pattern = "^([0-9]{1,5}[smh]|[0-9]{1,4}d|[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])\
                       T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)$";
        text(description)
            .pattern(Some(pattern))
            .examples(["2h", "2027-01-15T08:00:00Z"])
            .into()
    }
}

impl ReadForm for InstantOrAge {
    fn parse(text: &str) -> Result<Self, InvalidText> {
        Self::parse(text)
    }
}

impl MemberTextForm for SessionId {
    const NAME: &'static str = "SessionId";

    fn schema() -> Schema {
        pattern("The id of a session.", "^[0-9a-f]{32}$")
    }
}

impl ReadForm for SessionId {
    fn parse(text: &str) -> Result<Self, InvalidText> {
        Self::from_hex(text).ok_or_else(|| InvalidText::new("must be 32 hex digits"))
    }
}

impl WrittenForm for SessionId {
    fn written(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

impl MemberTextForm for Kid {
    const NAME: &'static str = "KeyId";

    fn schema() -> Schema {
        pattern("The id of a key, as tokens name it.", "^[0-9a-f]{16}$")
    }
}

impl WrittenForm for Kid {
    fn written(&self) -> Cow<'_, str> {
        self.0.as_str().into()
    }
}

impl MemberTextForm for SupportId {
    const NAME: &'static str = "SupportId";

    fn schema() -> Schema {
        let description = "The support id that the peer was given with a refusal.";
        pattern(description, "^[0-9A-Za-z]{1,64}$")
    }
}

impl MemberTextForm for IpAddr {
    const NAME: &'static str = "Address";

    fn schema() -> Schema {
        let of = |format| {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .format(Some(SchemaFormat::KnownFormat(format)))
        };
        AnyOfBuilder::new()
            .item(of(KnownFormat::Ipv4))
            .item(of(KnownFormat::Ipv6))
            .description(Some("An IPv4 or IPv6 address."))
            .into()
    }
}

impl ReadForm for IpAddr {
    fn parse(text: &str) -> Result<Self, InvalidText> {
        parse(text, "an IP address")
    }
}

impl MemberTextForm for NetworkEntry {
    const NAME: &'static str = "Network";

    fn schema() -> Schema {
        text("A network such as 192.0.2.0/24, or a single address.")
            .examples(["192.0.2.0/24", "::1"])
            .into()
    }
}

impl ReadForm for NetworkEntry {
    fn parse(text: &str) -> Result<Self, InvalidText> {
        Allowlist::parse(&[text])?;
        Ok(Self(text.to_owned()))
    }
}

impl WrittenForm for NetworkEntry {
    fn written(&self) -> Cow<'_, str> {
        self.0.as_str().into()
    }
}

impl MemberTextForm for ScopeToken {
    const NAME: &'static str = "Scope";

    fn schema() -> Schema {
        let description = "What a credential may be used for, as routes ask for it (RFC 6749 \
                           section 3.3).";
        pattern(description, r"^[!#-\[\]-~]{1,64}$")
    }
}

impl ReadForm for ScopeToken {
    fn parse(text: &str) -> Result<Self, InvalidText> {
        Scopes::parse(&[text])?;
        Ok(Self(text.to_owned()))
    }
}

impl WrittenForm for ScopeToken {
    fn written(&self) -> Cow<'_, str> {
        self.0.as_str().into()
    }
}

impl MemberTextForm for Method {
    const NAME: &'static str = "HttpMethod";

    fn schema() -> Schema {
        pattern("An HTTP method.", r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
    }
}

impl ReadForm for Method {
    fn parse(text: &str) -> Result<Self, InvalidText> {
        parse(text, "an HTTP method")
    }
}

impl MemberTextForm for PathAndQuery {
    const NAME: &'static str = "RequestTarget";

    fn schema() -> Schema {
        let description = "The path of a request, with its query if it has one.";
        pattern(description, "^/[A-Za-z0-9/._~-]*$")
    }
}

impl ReadForm for PathAndQuery {
    fn parse(text: &str) -> Result<Self, InvalidText> {
        if !text.starts_with('/') {
            return Err(InvalidText::new("must begin with /"));
        }
        parse(text, "a path that a request can have")
    }
}

fn parse<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, InvalidText> {
    let parsed = text.parse();
    parsed.map_err(|_| InvalidText::new(format!("must be {what}")))
}

impl ToSchema for LoginText {
    fn name() -> Cow<'static, str> {
        "Login".into()
    }
}

impl PartialSchema for LoginText {
    fn schema() -> RefOr<Schema> {
        let description = "A login: 1 to 128 characters, without blanks at its ends. Letters of \
                           Unicode beyond this pattern are taken, too. Some dialects fix a form.";
        text(description)
            .min_length(Some(1))
            .max_length(Some(128))
            .pattern(Some("^[!-~]+( [!-~]+)*$"))
            .into()
    }
}

impl<T: MemberTextForm> ToSchema for TextMember<T> {
    fn name() -> Cow<'static, str> {
        T::NAME.into()
    }
}

impl<T: MemberTextForm> PartialSchema for TextMember<T> {
    fn schema() -> RefOr<Schema> {
        RefOr::T(T::schema())
    }
}

impl<T: WrittenForm> Serialize for TextMember<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.written())
    }
}

impl<'de, T: ReadForm> Deserialize<'de> for TextMember<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(reading(|text| T::parse(text).map(Self)))
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(reading(|text| Ok(Self(Secret::from(text)))))
    }
}

struct TextVisitor<R>(R);

fn reading<T, R: FnOnce(&str) -> Result<T, InvalidText>>(read: R) -> TextVisitor<R> {
    TextVisitor(read)
}

impl<T, R: FnOnce(&str) -> Result<T, InvalidText>> Visitor<'_> for TextVisitor<R> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(invalid)
    }
}
